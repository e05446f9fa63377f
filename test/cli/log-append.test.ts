import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { inspect } from '../../lib/index.js';
import { LockFile, Turns } from '../../lib/log/files/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { fed, linesOf, objectsOf, Running, shell } from './command.js';
import { closedLog, numbered, recordsOf, valuesOf } from './log.js';

describe('what comes on standard input', () => {
  test('a record a line, whatever bytes it has; the last one may lack its end', async () => {
    const directory = join(newDirectory(), 'made');
    const bytes = Buffer.from([0x6f, 0x0d, 0x0a, 0x0a, 0xff, 0x00, 0x1b, 0x0a, 0x65]);
    expect(await fed(bytes, 'log', 'append', directory)).toEqual({
      code: 0,
      stdout: 'appended 4 records: offsets 0 to 3\n',
      stderr: '',
    });
    expect((await recordsOf(directory)).map(({ value }) => value.toString('hex'))).toEqual([
      '6f0d',
      '',
      'ff001b',
      '65',
    ]);
    expect((await fed('f\n', 'log', 'append', directory)).stdout).toBe('appended 1 record: offset 4\n');
    expect((await fed('', 'log', 'append', directory)).stdout).toBe('appended nothing\n');
    expect((await fed('x\n'.repeat(1500), 'log', 'append', directory)).stdout).toBe(
      'appended 1500 records: offsets 5 to 1504\n',
    );
  });

  test('into a log whose files have the permissions that were asked for', async () => {
    const directory = join(newDirectory(), 'made');
    const umask = process.umask(0o022);
    onTestFinished(() => void process.umask(umask));
    expect((await fed('a\n', 'log', 'append', directory, '--file-mode', '640')).code).toBe(0);
    const modes = readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777);
    expect(modes).toEqual([0o640, 0o640]);
    const wrong = await fed('a\n', 'log', 'append', directory, '--file-mode', '0x1');
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("such as 640, not '0x1'") });
  });

  test('lines that come in many pieces', async () => {
    const directory = newDirectory();
    // Longer than what a pipe takes at once.
    const lines = numbered(50_000).map((line, i) => (i % 5000 === 0 ? line.repeat(20_000) : line));
    const { stdout } = await fed(lines.join('\n'), 'log', 'append', directory, '--json', '--lines');
    expect(objectsOf(stdout)).toEqual([{ appended: 50_000, first: 0, last: 49_999 }]);
    expect((await valuesOf(directory)).join('\n') === lines.join('\n')).toBe(true);
  });

  test('frames, each behind its length', async () => {
    const directory = newDirectory();
    const values = [Buffer.from('a\nb'), Buffer.alloc(0), Buffer.alloc(100_000, 'x')];
    const frames = values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(value.length);
      return [length, value];
    });
    const { code } = await fed(Buffer.concat(frames), 'log', 'append', directory, '--frames');
    expect(code).toBe(0);
    expect((await recordsOf(directory)).map(({ value }) => value)).toEqual(values);
  });

  test('objects, with all that a record has', async () => {
    const directory = newDirectory();
    const lines = [
      { key: 'k', value: 'v', headers: { a: '1' }, timestamp: 1_700_000_000_123, ttlMs: 3_155_760_000_000 },
      {
        key: { hex: 'ff00' },
        value: null,
        headers: [
          ['b', '1'],
          ['b', { base64: '/wA=' }],
        ],
      },
      { key: null, value: 'é', headers: null, timestamp: { us: 1_700_000_000_123_456 }, ttlMs: null },
      { value: { base64: '/w' }, timestamp: '2023-11-14T22:13:20.5Z' },
    ];
    const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const { code, stdout, stderr } = await fed(input, 'log', 'append', directory, '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(stdout)).toEqual([{ appended: 4, first: 0, last: 3 }]);
    const [first, second, third, fourth] = await recordsOf(directory);
    expect(first).toEqual({
      offset: 0,
      timestamp: 1_700_000_000_123_000,
      key: Buffer.from('k'),
      value: Buffer.from('v'),
      headers: [['a', Buffer.from('1')]],
      expiresAt: 1_700_000_000_123_000 + 3_155_760_000_000_000,
    });
    expect(second).toMatchObject({ key: Buffer.from([0xff, 0]), tombstone: true });
    expect(second.headers).toEqual([
      ['b', Buffer.from('1')],
      ['b', Buffer.from([0xff, 0])],
    ]);
    expect(third).toEqual({ offset: 2, timestamp: 1_700_000_000_123_456, value: Buffer.from('é') });
    expect(fourth).toMatchObject({ value: Buffer.from([0xff]), timestamp: 1_700_000_000_500_000 });
  });

  test('--key and --header are of each record that does not bring its own', async () => {
    const directory = newDirectory();
    const options = ['--key', 'web1', '--header', 'from=here', '--header', 'sum=1=2'];
    await fed('one\n', 'log', 'append', directory, ...options);
    await fed(
      '{"value":"two"}\n{"key":"mine","value":"three","headers":{}}',
      'log',
      'append',
      directory,
      '--json',
      ...options,
    );
    const headers = [
      ['from', Buffer.from('here')],
      ['sum', Buffer.from('1=2')],
    ];
    expect(await recordsOf(directory)).toMatchObject([
      { key: Buffer.from('web1'), value: Buffer.from('one'), headers },
      { key: Buffer.from('web1'), value: Buffer.from('two'), headers },
      { key: Buffer.from('mine'), value: Buffer.from('three') },
    ]);
    expect((await recordsOf(directory))[2].headers).toBeUndefined();
  });
});

describe('how', () => {
  test.each([
    [[], { everyMs: 100 }],
    [['--sync', 'none'], 'none'],
    [['--sync', 'commit'], 'commit'],
    [['--sync', '250'], { everyMs: 250 }],
  ])('%j: %j', async (options, sync) => {
    const directory = newDirectory();
    expect((await fed('one\n', 'log', 'append', directory, ...options)).code).toBe(0);
    expect(inspect(join(directory, '00000000000000000000.mr')).sync).toEqual(sync);
  });

  test('--segment is how large they grow', async () => {
    const directory = newDirectory();
    await fed(numbered(10_000).join('\n'), 'log', 'append', directory, '--segment', '128KiB');
    await using log = await Log.open(directory, { readOnly: true });
    const capacities = log.segments().map(({ path }) => inspect(path).capacity);
    expect(capacities.length).toBeGreaterThan(3);
    expect(Math.max(...capacities)).toBe(128 * 1024);
    expect(await valuesOf(directory)).toEqual(numbered(10_000));
  });

  test('--batch: so many at a time, all of them or none', async () => {
    const directory = newDirectory();
    const large = 'x'.repeat(20_000);
    const input = `0\n1\n2\n3\n4\n${large}\n6\n`;
    const options = ['--segment', '64KiB'];
    const batches = await fed(input, 'log', 'append', directory, ...options, '--batch', '3');
    expect(batches).toMatchObject({ code: 1, stdout: 'appended 3 records: offsets 0 to 2\n' });
    expect(batches.stderr).toMatch(
      /^millrace: records 4 to 6 of the input: [^\n]+\(ERR_RECORD_TOO_LARGE\)\n$/,
    );
    const alone = await fed(input, 'log', 'append', directory, ...options);
    expect(alone).toMatchObject({ code: 1, stdout: 'appended 5 records: offsets 3 to 7\n' });
    expect(alone.stderr).toMatch(/^millrace: record 6 of the input: [^\n]+\(ERR_RECORD_TOO_LARGE\)\n$/);
    expect(await valuesOf(directory)).toEqual(['0', '1', '2', '0', '1', '2', '3', '4']);
    expect((await fed('a\nb\nc\nd', 'log', 'append', directory, '--batch', '3')).stdout).toBe(
      'appended 4 records: offsets 8 to 11\n',
    );
  });
});

describe('what went in before a fault stays, and is told', () => {
  test.each([
    ['that can’t be read', '{"value":', 'line 3: it is no JSON'],
    ['that the log refuses', '{"value":"2","ttlMs":-1}', 'record 3 of the input: ttlMs'],
    ['whose value is not UTF-8', '{"value":"x\xff"}', 'line 3: it is not UTF-8'],
    ['whose key is not UTF-8', '{"value":"2","key":"\xc3"}', 'line 3: it is not UTF-8'],
    ['with half a pair for a value', '{"value":"\\ud800z"}', 'line 3: the value has half a surrogate pair'],
    [
      'with half a pair for a key',
      '{"value":"2","key":"\\udc00"}',
      'line 3: the key has half a surrogate pair',
    ],
    [
      'with half a pair for a header',
      '{"value":"2","headers":{"a":"\\ud800"}}',
      "line 3: the header 'a' has half",
    ],
    [
      'with half a pair for a name',
      '{"value":"2","headers":{"\\ud800":"a"}}',
      'line 3: the name of a header has half',
    ],
    ['whose time is any text', '{"value":"2","timestamp":"hello 7"}', 'line 3: timestamp must be'],
    ['whose time is a number only', '{"value":"2","timestamp":"12"}', 'line 3: timestamp must be'],
    ['whose day there is not', '{"value":"2","timestamp":"2026-02-30"}', 'line 3: timestamp must be'],
  ])('a line %s', async (_, line, hint) => {
    const directory = newDirectory();
    const input = `{"value":"0"}\n{"value":"1"}\n${line}\n{"value":"3"}\n`;
    const bytes = Buffer.from(input, 'latin1');
    const { code, stdout, stderr } = await fed(bytes, 'log', 'append', directory, '--json');
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 1,
      told: [{ appended: 2, first: 0, last: 1 }],
    });
    expect(stderr).toMatch(/^millrace: [^\n]+\n$/);
    expect(stderr).toContain(hint);
    expect(await valuesOf(directory)).toEqual(['0', '1']);
  });

  test('--batch: none of so many, where one of them is a line that can’t be read', async () => {
    const directory = newDirectory();
    const input = '{"value":"0"}\n{"value":"1"}\n{"value":"2"}\nnope\n{"value":"3"}\n';
    const { code, stdout, stderr } = await fed(input, 'log', 'append', directory, '--json', '--batch', '2');
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 1,
      told: [{ appended: 2, first: 0, last: 1 }],
    });
    expect(linesOf(stderr)).toEqual([
      'millrace: 1 record of a batch of 2 did not go in: the input fails in it',
      expect.stringMatching(/^millrace: line 4: it is no JSON/),
    ]);
    expect(await valuesOf(directory)).toEqual(['0', '1']);
  });

  test('a line that does not end', async () => {
    const directory = newDirectory();
    const appending = new Running(['log', 'append', directory, '--segment', '64KiB'], 'pipe');
    const { stdin } = appending.child;
    // Neither the line nor the input is ended.
    stdin?.on('error', () => {}).write(`0\n${'x'.repeat(100_000)}`);
    const { code, stdout, stderr } = await appending.end();
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'appended 1 record: offset 0\n' });
    expect(stderr).toMatch(
      /^millrace: line 2 has \d+ bytes and more, too many for a segment of the log: at most 65536 \(ERR_RECORD_TOO_LARGE\)\n$/,
    );
  });
});

describe('the end', () => {
  test.each(['SIGINT', 'SIGTERM'] as const)('%s: what had come whole is in', async (signal) => {
    const directory = newDirectory();
    const appending = new Running(['log', 'append', directory], 'pipe');
    appending.child.stdin?.write('one\ntwo\nthr');
    await using log = await opened(directory);
    while (log.next < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await appending.end(signal)).toEqual({
      code: 0,
      stdout: 'appended 2 records: offsets 0 to 1\n',
      stderr: '',
    });
    expect(await valuesOf(directory)).toEqual(['one', 'two']);
    expect(log.hasWriter).toBe(false);
  });

  test('nobody who takes what it tells', async () => {
    const directory = newDirectory();
    const appending = new Running(['log', 'append', directory], 'pipe');
    appending.child.stdout?.destroy();
    appending.child.stdin?.end('one\n');
    expect(await appending.end()).toEqual({ code: 0, stdout: '', stderr: '' });
    expect(await valuesOf(directory)).toEqual(['one']);
  });
});

/** Once there is a log. */
async function opened(directory: string): Promise<Log> {
  while (!readdirSync(directory).includes('log.lock')) await new Promise((resolve) => setTimeout(resolve, 5));
  return Log.open(directory, { readOnly: true });
}

test('--shared: several append at once, and each tells its own', async () => {
  const directory = newDirectory();
  const one = new Running(['log', 'append', directory, '--shared'], 'pipe');
  one.child.stdin?.write('one\n');
  await using log = await opened(directory);
  while (log.next < 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect((await fed('other\n', 'log', 'append', directory)).stdout).toBe('appended 1 record: offset 1\n');
  one.child.stdin?.end('two\n');
  expect((await one.end()).stdout).toBe(
    'appended 2 records: offsets 0 to 2, with those of others between them\n',
  );
  expect(await valuesOf(directory)).toEqual(['one', 'other', 'two']);
  expect((await fed('x', 'log', 'append', await closedLog(['x']), '--shared')).stderr).toContain(
    '(ERR_SHARED)',
  );
});

describe('--shared: where another process stands still in its turn', () => {
  /** This one, until what is returned is called. */
  async function takeTurn(directory: string): Promise<() => void> {
    const lock = LockFile.open(directory, true) as LockFile;
    onTestFinished(() => lock.close());
    await new Turns(lock).take({});
    return () => lock.close();
  }

  const told = (directory: string) =>
    `millrace: waiting for process ${process.pid}: it has the turn to append to ${directory}\n`;

  test('it is told whom it waits for to begin, and Ctrl-C ends that', async () => {
    const directory = newDirectory();
    await (await Log.open(directory, { writers: 'shared' })).close();
    const giveBack = await takeTurn(directory);
    const waiting = () => new Running(['log', 'append', directory], 'pipe');
    const [ended, patient] = [waiting(), waiting()];
    for (const one of [ended, patient]) {
      one.child.stdin?.end('one\n');
      await one.until(({ said }) => said === told(directory));
    }
    expect(await ended.end('SIGINT')).toMatchObject({ code: null, stdout: '', stderr: told(directory) });
    giveBack();
    expect(await patient.end()).toEqual({
      code: 0,
      stdout: 'appended 1 record: offset 0\n',
      stderr: told(directory),
    });
  });

  test.each(['none', 'commit'])('and to go on, with --sync %s', async (sync) => {
    const directory = newDirectory();
    const appending = new Running(['log', 'append', directory, '--shared', '--sync', sync], 'pipe');
    appending.child.stdin?.write('one\n');
    await using log = await opened(directory);
    while (log.next < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await takeTurn(directory);
    appending.child.stdin?.write('two\n');
    await appending.until(({ said }) => said === told(directory));
    const { code, stdout, stderr } = await appending.end('SIGINT');
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'appended 1 record: offset 0\n' });
    expect(stderr).toMatch(/turn to append to [^\n]+\n.+: aborted \(ERR_ABORTED\)\n$/);
    expect(await valuesOf(directory)).toEqual(['one']);
  });
});

test('a directory for standard input is wrong use, and no log is made', async () => {
  const directory = join(newDirectory(), 'made');
  const { code, stdout, stderr } = await shell('"$@" < "$0"', newDirectory(), ['log', 'append', directory]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('log append: standard input is a directory');
  expect(existsSync(directory)).toBe(false);
});

describe('what it does not append to', () => {
  test('a log that has a live writer', async () => {
    const directory = newDirectory();
    await using _log = await Log.open(directory);
    const { code, stdout, stderr } = await fed('x', 'log', 'append', directory);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `millrace: The log ${directory} is open to append in another process already; millrace log read and log tail work ` +
        'beside that (ERR_WRITER_ACTIVE)\n',
    );
  });

  test('a directory of other things, which stay where they are', async () => {
    const directory = newDirectory();
    writeFileSync(join(directory, 'precious.txt'), 'mine');
    const { code, stdout, stderr } = await fed('x', 'log', 'append', directory);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/is no log: [^\n]+\(ERR_EXISTS\)\n$/);
    expect(readdirSync(directory)).toEqual(['precious.txt']);
  });

  test('a file', async () => {
    const file = new URL('../../package.json', import.meta.url).pathname;
    const { code, stderr } = await fed('x', 'log', 'append', file);
    expect(code).toBe(2);
    expect(stderr).toContain('is a file, and a log is a directory');
  });
});

test('what does not belong to a log is put aside, and that is said', async () => {
  const directory = await closedLog(['one']);
  writeFileSync(join(directory, 'stray'), '');
  const { code, stderr } = await fed('two', 'log', 'append', directory);
  expect(code).toBe(0);
  expect(stderr).toMatch(/^millrace: stray was put aside to [^\n]+\n$/);
  expect(await valuesOf(directory)).toEqual(['one', 'two']);
});

const DISK = newDirectory();
const isRoot = process.getuid?.() === 0;
const isMounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', DISK]).status === 0;

describe.skipIf(!isMounted)('on a disk of 1 MiB (needs root, to mount one)', () => {
  afterAll(() => {
    spawnSync('umount', ['-l', DISK]);
  });

  test('what fits goes in and stays; that there is no room for more is said', async () => {
    const directory = join(DISK, 'log');
    const lines = numbered(100_000);
    const { code, stdout, stderr } = await fed(
      lines.join('\n'),
      'log',
      'append',
      directory,
      '--json',
      '--lines',
    );
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: No space for [^\n]+\(ERR_NO_SPACE\)\n$/);
    const [{ appended, first, last }] = objectsOf(stdout);
    expect(appended).toBeGreaterThan(5000);
    expect([first, last]).toEqual([0, Number(appended) - 1]);
    expect(await valuesOf(directory)).toEqual(lines.slice(0, Number(appended)));
    expect(readFileSync(join(directory, 'log.lock'))).toHaveLength(4096);
  });
});

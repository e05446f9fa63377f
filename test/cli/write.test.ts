import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { inspect, Reader, type ReaderRecord, verify, Writer, type WriterOptions } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { fed, linesOf, millrace, objectsOf, Running, shell } from './command.js';
import { closedLog, numbered } from './log.js';

/** A channel that nobody writes, as `millrace create` leaves it. */
async function left(options: WriterOptions = {}): Promise<string> {
  const { writer, crash } = await mortal(() => Writer.create(newPath(), { capacity: '64KiB', ...options }));
  crash();
  return writer.path;
}

async function recordsOf(path: string): Promise<ReaderRecord[]> {
  using reader = await Reader.open(path, { gate: false, from: 'oldest' });
  return reader.readBatch(100_000);
}

async function textsOf(path: string): Promise<string[]> {
  return (await recordsOf(path)).map(({ data }) => data.toString());
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('create, write, dump: what a user types', async () => {
  const path = newPath();
  const script = `set -e; "$@" create "$0"; seq 1000 | "$@" write "$0"; "$@" dump "$0" --json`;
  const { code, stdout, stderr } = await shell(script, path, []);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [made, written, ...records] = linesOf(stdout);
  expect(made).toBe(`made ${path}: ring, 8 MiB, records of 1 MiB at most`);
  expect(written).toBe(`wrote 1000 records: numbers 0 to 999; ${path} is closed`);
  const texts = records.map((line) => (JSON.parse(line) as { text: string }).text);
  expect(texts).toEqual(Array.from({ length: 1000 }, (_, i) => String(i + 1)));
});

describe('what comes on standard input', () => {
  test('a record a line, whatever bytes it has; the last one may lack its end', async () => {
    const path = await left();
    const bytes = Buffer.from([0x6f, 0x0d, 0x0a, 0x0a, 0xff, 0x00, 0x1b, 0x0a, 0x65]);
    expect(await fed(bytes, 'write', path)).toEqual({
      code: 0,
      stdout: `wrote 4 records: numbers 0 to 3; ${path} is closed\n`,
      stderr: '',
    });
    expect((await recordsOf(path)).map(({ data }) => data.toString('hex'))).toEqual([
      '6f0d',
      '',
      'ff001b',
      '65',
    ]);
  });

  test('frames, each behind its length', async () => {
    const path = await left();
    const values = [Buffer.from('a\nb'), Buffer.alloc(0), Buffer.alloc(8000, 'x')];
    const frames = values.flatMap((value) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(value.length);
      return [length, value];
    });
    expect((await fed(Buffer.concat(frames), 'write', path, '--frames')).code).toBe(0);
    expect((await recordsOf(path)).map(({ data }) => data)).toEqual(values);
  });

  test('objects, with all that a record has, as dump shows them', async () => {
    const path = await left({ timestamps: true });
    const lines = [
      { text: 'é', base64: null, type: 7, tag: 42, timestamp: { us: 1_700_000_000_123_456 } },
      { base64: '/wA=', timestamp: 1_700_000_000_124 },
      { hex: 'FF', type: null, timestamp: '2023-11-14T22:13:21Z' },
    ];
    const input = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
    const { code, stdout, stderr } = await fed(input, 'write', path, '--json', '--type', '3', '--tag', '5');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(objectsOf(stdout)).toEqual([{ written: 3, first: 0, last: 2, state: 'closed' }]);
    const shown = objectsOf((await millrace('dump', path, '--json')).stdout);
    expect(
      shown.map(({ text, base64, type, tag, timestamp }) => [text ?? base64, type, tag, timestamp]),
    ).toEqual([
      ['é', 7, 42, 1_700_000_000_123_456],
      ['/wA=', 3, 5, 1_700_000_000_124_000],
      ['/w==', 3, 5, 1_700_000_001_000_000],
    ]);
  });

  test('blank lines between objects are passed over, and counted as lines', async () => {
    const path = await left();
    const { code, stdout, stderr } = await fed(
      '\n{"text":"0"}\n  \t\r\n\n{"text":"1"}\n\nwrong\n',
      'write',
      path,
      '--json',
    );
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 1,
      told: [{ written: 2, first: 0, last: 1, state: 'open' }],
    });
    expect(stderr).toMatch(/^millrace: line 7: it is no JSON: [^\n]+\n$/);
    expect(await textsOf(path)).toEqual(['0', '1']);
    expect((await fed('{"text":"2"}\n \n', 'write', path, '--json')).code).toBe(0);
  });

  test('--type is of each line', async () => {
    const path = await left();
    await fed('a\nb\n', 'write', path, '--type', '65535');
    expect((await recordsOf(path)).map(({ type }) => type)).toEqual([65535, 65535]);
  });

  test('nothing', async () => {
    const path = await left();
    expect((await fed('', 'write', path)).stdout).toBe(`wrote nothing; ${path} is closed\n`);
    expect(inspect(path).status).toBe('closed');
  });
});

describe('the end', () => {
  test('--keep leaves it for the next one, --seal seals it', async () => {
    const path = await left();
    const first = await fed('a\nb\n', 'write', path, '--keep');
    expect(first).toEqual({
      code: 0,
      stdout: `wrote 2 records: numbers 0 to 1; ${path} is left open\n`,
      stderr: '',
    });
    expect(inspect(path)).toMatchObject({ status: 'dead', records: 2 });
    using reader = await Reader.open(path, { from: 'oldest' });
    const second = await fed('c\n', 'write', path, '--seal', '--lines', '--json');
    expect(objectsOf(second.stdout)).toEqual([{ written: 1, first: 2, last: 2, state: 'sealed' }]);
    expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['a', 'b', 'c']);
    expect([reader.ended, reader.status]).toEqual([true, 'sealed']);
    const third = await fed('d\n', 'write', path);
    expect(third).toMatchObject({ code: 1, stdout: '' });
    expect(third.stderr).toContain(
      `; millrace create ${path} --replace makes a new one in its place (ERR_ENDED)\n`,
    );
  });

  test.each([
    ['SIGINT', []],
    ['SIGTERM', ['--seal']],
  ] as const)('%s, %j: what had come whole is in, and it is closed', async (signal, options) => {
    const path = await left();
    const writing = new Running(['write', path, ...options], 'pipe');
    writing.child.stdin?.write('one\ntwo\nthr');
    using reader = await Reader.open(path, { gate: false, from: 'oldest' });
    const seen: string[] = [];
    await until(() => {
      seen.push(...reader.readBatch(9).map(({ data }) => data.toString()));
      return seen.length === 2;
    });
    expect(await writing.end(signal)).toEqual({
      code: 0,
      stdout: `wrote 2 records: numbers 0 to 1; ${path} is closed\n`,
      stderr: '',
    });
    expect([seen, reader.status, reader.ended]).toEqual([['one', 'two'], 'closed', true]);
  });

  test('killed, it leaves what was written, and the next one goes on', async () => {
    const path = await left();
    const writing = new Running(['write', path], 'pipe');
    writing.child.stdin?.write('one\ntwo\nthr');
    await until(() => inspect(path).status === 'alive');
    using reader = await Reader.open(path, { from: 'oldest' });
    await until(() => reader.lag > 0);
    await writing.end('SIGKILL');
    expect((await fed('three\n', 'write', path)).stdout).toBe(
      `wrote 1 record: number 2; ${path} is closed\n`,
    );
    expect(await textsOf(path)).toEqual(['one', 'two', 'three']);
  });

  test('nobody who takes what it tells', async () => {
    const path = await left();
    const writing = new Running(['write', path], 'pipe');
    writing.child.stdout?.destroy();
    writing.child.stdin?.end('one\n');
    expect(await writing.end()).toEqual({ code: 0, stdout: '', stderr: '' });
    expect([inspect(path).status, await textsOf(path)]).toEqual(['closed', ['one']]);
  });

  test.each([[[]], [['--keep']], [['--seal']]])('%j: what is to be on the disk is there', async (options) => {
    const path = await left({ mode: 'linear', sync: { everyMs: 3_600_000 } });
    expect((await fed(numbered(100).join('\n'), 'write', path, ...options)).code).toBe(0);
    const { durable, records } = inspect(path);
    using reader = await Reader.open(path);
    const last = reader.readBatch(100).at(-1);
    expect([records, last?.data.toString()]).toEqual([100, 'record 99']);
    expect(durable).toBeGreaterThan(Number(last?.position));
    expect(await verify(path)).toMatchObject({ sound: true, checked: 100 });
  });
});

describe('readers that hold it back', () => {
  test('are waited for: each gets all there is, in order', async () => {
    const path = await left();
    using reader = await Reader.open(path, { gate: true, from: 'oldest', onDeath: 'wait' });
    const lines = numbered(20_000);
    const writing = fed(lines.join('\n'), 'write', path);
    const seen: string[] = [];
    for await (const { data } of reader) seen.push(data.toString());
    expect(await writing).toMatchObject({ code: 0, stderr: '' });
    expect(seen).toEqual(lines);
  });

  test('Ctrl-C ends the waiting: who it was is said, and how much went in', async () => {
    const path = await left();
    using reader = await Reader.open(path, { gate: true, from: 'oldest', name: 'slow' });
    const writing = new Running(['write', path, '--json', '--lines'], 'pipe');
    writing.child.stdin?.on('error', () => {}).end(numbered(20_000).join('\n'));
    await until(() => inspect(path).refusals > 0);
    const { code, stdout, stderr } = await writing.end('SIGINT');
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(
        `^millrace: interrupted [^\n]+: slow \\(pid ${process.pid}\\); [^\n]+\\(ERR_BACK_PRESSURE\\)\n$`,
      ),
    );
    const [{ written, first, last, state }] = objectsOf(stdout);
    const seen = reader.readBatch(20_000).map(({ data }) => data.toString());
    expect([first, last, state, written]).toEqual([0, Number(written) - 1, 'open', seen.length]);
    expect(seen.length).toBeGreaterThan(1000);
    expect(seen).toEqual(numbered(seen.length));
    expect(inspect(path).status).toBe('dead');
  });
});

describe('what went in before a fault stays and is told, and the channel is left to be gone on with', () => {
  test.each([
    ['that can’t be read', '{"text":', 'line 3: it is no JSON'],
    ['without a payload', '{"type":5}', 'line 3: a record has one of text, base64, hex'],
    ['with two', '{"text":"a","hex":"00"}', 'line 3: a record has one of text, base64, hex'],
    ['whose payload is none', '{"base64":"?"}', 'line 3: base64 must be a string of base64, not "?"'],
    ['whose text is none', '{"text":5}', 'line 3: text must be a string, not 5'],
    ['with more in it', '{"text":"a","position":0}', "line 3: a record has no 'position'; it has text"],
    ['that the channel refuses', '{"text":"a","tag":1}', 'record 3 of the input: '],
    ['that is not UTF-8', '{"text":"x\xff"}', 'line 3: it is not UTF-8'],
    ['with half a pair', '{"text":"\\ud800z"}', 'line 3: text has half a surrogate pair'],
    ['whose time is any text', '{"text":"a","timestamp":"hello 7"}', 'line 3: timestamp must be'],
  ])('a line %s', async (_, line, hint) => {
    const path = await left();
    const input = `{"text":"0"}\n{"text":"1"}\n${line}\n{"text":"3"}\n`;
    const bytes = Buffer.from(input, 'latin1');
    const { code, stdout, stderr } = await fed(bytes, 'write', path, '--json');
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 1,
      told: [{ written: 2, first: 0, last: 1, state: 'open' }],
    });
    expect(stderr).toMatch(/^millrace: [^\n]+\n$/);
    expect(stderr).toContain(hint);
    expect(await fed('2', 'write', path)).toMatchObject({ code: 0 });
    expect(await textsOf(path)).toEqual(['0', '1', '2']);
  });

  test('a linear channel that is full', async () => {
    const path = await left({ mode: 'linear', capacity: '16KiB' });
    const { code, stdout, stderr } = await fed(numbered(10_000).join('\n'), 'write', path);
    const texts = await textsOf(path);
    // 32 bytes each, and room for the end.
    expect(texts).toEqual(numbered(510));
    expect({ code, stdout }).toEqual({
      code: 1,
      stdout: `wrote 510 records: numbers 0 to 509; ${path} is left open\n`,
    });
    expect(stderr).toMatch(
      /^millrace: record 511 of the input: [^\n]+ is full: [^\n]+\(ERR_CHANNEL_FULL\)\n$/,
    );
  });

  test('a record that is too large; --batch: all of so many or none', async () => {
    const path = await left();
    const input = `0\n1\n2\n3\n4\n${'x'.repeat(8193)}\n6\n`;
    const alone = await fed(input, 'write', path);
    expect(alone).toMatchObject({
      code: 1,
      stdout: `wrote 5 records: numbers 0 to 4; ${path} is left open\n`,
    });
    expect(alone.stderr).toBe(
      'millrace: line 6 has 8193 bytes, too many for the largest record of the channel: at most 8192 (ERR_RECORD_TOO_LARGE)\n',
    );
    // It comes in several pieces, and its end is not waited for.
    const endless = await fed('x'.repeat(1_000_000), 'write', path);
    expect(endless.stderr).toMatch(/line 1 has \d+ bytes and more, too many/);
    const large = `{"text":"5"}\n{"text":"6"}\n{"text":"7"}\n{"text":"${'x'.repeat(8193)}"}\n`;
    const batches = await fed(large, 'write', path, '--json', '--batch', '2');
    expect(objectsOf(batches.stdout)).toEqual([{ written: 2, first: 5, last: 6, state: 'open' }]);
    expect(batches.stderr).toMatch(
      /^millrace: records 3 to 4 of the input: 8193 bytes are too much [^\n]+\(ERR_RECORD_TOO_LARGE\)\n$/,
    );
    expect(await textsOf(path)).toEqual(['0', '1', '2', '3', '4', '5', '6']);
  });

  test('--batch: none of so many, where one of them is a line that can’t be read', async () => {
    const path = await left();
    const records = numbered(5).map((text) => JSON.stringify({ text }));
    const input = [...records, 'nope', '{"text":"behind"}'].join('\n');
    const { code, stdout, stderr } = await fed(input, 'write', path, '--json', '--batch', '3');
    expect(objectsOf(stdout)).toEqual([{ written: 3, first: 0, last: 2, state: 'open' }]);
    expect(code).toBe(1);
    expect(stderr).toContain('line 6: it is no JSON');
    expect(await textsOf(path)).toEqual(numbered(3));
  });

  test('--batch: what did not go in of an input that is cut off is told', async () => {
    const path = await left();
    const frames = '\u0003\0\0\0one\u0003\0\0\0two\u0003\0\0\0th';
    const { code, stdout, stderr } = await fed(frames, 'write', path, '--frames', '--batch', '3');
    expect(stderr).toBe(
      'millrace: 2 records of a batch of 3 did not go in: the input fails in it\n' +
        'millrace: the input ends within frame 3\n',
    );
    expect({ code, stdout }).toEqual({ code: 1, stdout: `wrote nothing; ${path} is left open\n` });
    expect(await textsOf(path)).toEqual([]);
  });

  test('also where Ctrl-C came before it was met', async () => {
    const path = await left();
    const input = newPath();
    const lines = Array.from({ length: 1500 }, (_, i) => `{"text":"${i}"}`);
    writeFileSync(input, lines.toSpliced(1000, 0, 'nope').join('\n'));
    const dist = new URL('../../dist/index.js', import.meta.url);
    const interrupting = `import { Writer } from '${dist}'; const { writeBatch } = Writer.prototype;
      Writer.prototype.writeBatch = function (batch) { process.emit('SIGINT'); writeBatch.call(this, batch); }`;
    const script = `NODE_OPTIONS="--import data:text/javascript,${encodeURIComponent(interrupting)}" "$@" < "$0"`;
    const { code, stdout, stderr } = await shell(script, input, ['write', path, '--json']);
    expect(stderr).toMatch(/^millrace: line 1001: it is no JSON[^\n]+\n$/);
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 1,
      told: [{ written: 1000, first: 0, last: 999, state: 'open' }],
    });
  });
});

describe('what it does not write to', () => {
  test('a channel that has a live writer', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('mine');
    const { code, stdout, stderr } = await fed('x', 'write', path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `millrace: ${path} has a live writer, pid ${process.pid}; a channel has one writer; millrace tail -f ${path} ` +
        'reads it meanwhile (ERR_WRITER_ACTIVE)\n',
    );
    expect(await textsOf(path)).toEqual(['mine']);
  });

  test('a channel that is not there: it says what makes one', async () => {
    const path = newPath();
    const { code, stderr } = await fed('x', 'write', path);
    expect(code).toBe(1);
    expect(stderr).toContain(`; millrace create ${path} makes a channel (ERR_NOT_FOUND)\n`);
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  test('a segment of a log', async () => {
    const directory = await closedLog(['one']);
    const segment = join(directory, readdirSync(directory).find((name) => name.startsWith('0')) ?? '');
    const before = readFileSync(segment);
    const { code, stdout, stderr } = await fed('x', 'write', segment);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('is a segment of a log');
    expect(readFileSync(segment).equals(before)).toBe(true);
  });
});

describe('wrong use ends with 2, and leaves the channel as it is', () => {
  test('a directory for standard input', async () => {
    const path = await left();
    const before = readFileSync(path);
    expect(await shell('"$@" < "$0"', newDirectory(), ['write', path])).toEqual({
      code: 2,
      stdout: '',
      stderr:
        'millrace: write: standard input is a directory: there is nothing to read - see: millrace help write\n',
    });
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.each([
    [['--keep', '--seal'], 'one of --keep, --seal, not both'],
    [['--lines', '--frames'], 'one of --lines, --frames, not both'],
    [['--type', '65536'], 'a whole number from 0 to 65535'],
    [['--tag', '1'], 'made without timestamps: its records have no tag'],
    [['--batch', '0'], 'a whole number from 1 up'],
  ])('%j', async (options, hint) => {
    const path = await left();
    const before = readFileSync(path);
    const { code, stdout, stderr } = await fed('x', 'write', path, ...options);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^millrace: write: [^\n]+ - see: millrace help write\n$/);
    expect(stderr).toContain(hint);
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

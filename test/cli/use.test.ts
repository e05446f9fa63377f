import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Writer } from '../../lib/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { fed, millrace, objectsOf, Running } from './command.js';
import { closedLog, recordsOf } from './log.js';

const VERBS = ['create', 'write', 'stat', 'dump', 'tail', 'verify', 'abandon'];
const OTHER_VERBS = ['record', 'replay', 'top', 'doctor'];
const LOG_VERBS = ['append', 'read', 'tail', 'stat', 'segments', 'cursors', 'compact', 'verify', 'repair'];

describe('help', () => {
  test('names every verb', async () => {
    for (const ask of [['help'], ['--help'], ['-h']]) {
      const { code, stdout, stderr } = await millrace(...ask);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const verb of [...VERBS, ...OTHER_VERBS, 'log']) expect(stdout).toContain(`  ${verb}  `);
    }
  });

  test('of log names every verb of it', async () => {
    for (const ask of [
      ['help', 'log'],
      ['log', '--help'],
      ['log', '-h'],
    ]) {
      const { code, stdout, stderr } = await millrace(...ask);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      for (const verb of LOG_VERBS) expect(stdout).toMatch(new RegExp(`^  log ${verb}  `, 'm'));
    }
    const { code, stdout, stderr } = await millrace('log');
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: (await millrace('help', 'log')).stdout,
    });
  });

  test.each(LOG_VERBS)('shows examples of log %s', async (verb) => {
    const { code, stdout } = await millrace('help', 'log', verb);
    expect(code).toBe(0);
    expect(stdout).toContain(`Examples\n  millrace log ${verb} `);
    expect(await millrace('log', verb, '--help')).toMatchObject({ code: 0, stdout });
  });

  test.each([...VERBS, ...OTHER_VERBS])('shows examples of %s', async (verb) => {
    const { code, stdout } = await millrace('help', verb);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Examples\n  millrace ${verb}\\b`));
    expect(await millrace(verb, '--help')).toMatchObject({ code: 0, stdout });
  });

  test('the version is the package’s', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await millrace('--version')).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });
});

test('without a word it says what there is to be done', async () => {
  const { code, stdout, stderr } = await millrace();
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe((await millrace('help')).stdout);
});

describe('wrong use ends with 2 and one line that says what is right', () => {
  test.each([
    [['sta'], "did you mean 'stat'?"],
    [['frobnicate'], 'there are create, write, stat'],
    [['ls'], 'there are create, write, stat'],
    [['nope'], 'there are create, write, stat'],
    [['help', 'dmup'], "did you mean 'dump'?"],
    [['stat'], 'which channel?'],
    [['dump'], 'which channel?'],
    [['tail', 'a', 'b'], 'one channel at a time'],
    [['dump', 'a', '--limt', '3'], "did you mean '--limit'?"],
    [['tail', 'a', '-x'], '-n, --lines'],
    [['tail', 'a', '-n'], 'tail: --lines takes a value - see'],
    [['tail', 'a', '--wait'], 'tail: --wait is for --follow'],
    [['tail', 'a', '-n', 'few'], 'a whole number from 0 up'],
    [['dump', 'a', '--limit', '0'], 'a whole number from 1 up'],
    [['dump', 'a', '--from', 'yesterday'], 'record:N'],
    [['dump', 'a', '--from', 'record:2026-11-21'], 'record:N'],
    [['dump', 'a', '--from', '1969-11-21'], 'record:N'],
    [['dump', 'a', '--from', '2026-02-30'], 'record:N'],
    [['dump', 'a', '--from', '2026-11-21 (junk)'], 'record:N'],
    [['dump', 'a', '--hex', '--text'], 'not several'],
    [['stat', 'a', '--json=yes'], "stat: --json takes no value, and was given 'yes'"],
    [['tail', 'a', '-n', '-1'], "tail: --lines takes a whole number from 0 up, not '-1'"],
    [['tail', 'a', '-n-1'], "tail: --lines takes a whole number from 0 up, not '-1'"],
    [['dump', 'a', '--limit', '-1'], "dump: --limit takes a whole number from 1 up, not '-1'"],
    [
      ['log', 'read', 'a', '--from', '-1'],
      'earliest, latest, an offset, a time such as 2026-11-21T05:00:00Z',
    ],
    [['log', 'read', 'a', '--from', '--json'], "--from takes a value, not the option '--json'"],
    [['tail', 'a', '--constructor'], "tail has no option '--constructor'"],
    [['log', 'append', 'a', '--key', '-k'], 'if it is one, say --key=-k'],
    [['read', 'a'], "there is no 'read'; did you mean 'log read'? - see: millrace help log read"],
    [['help', 'append'], "there is no 'append'; did you mean 'log append'?"],
    [['lgo', 'read'], "did you mean 'log'?"],
    [['log', 'raed'], "there is no 'log raed'; did you mean 'read'? - see: millrace help log"],
    [['help', 'log', 'frobnicate'], 'there are append, read, tail'],
    [['log', 'read'], 'log read: which log? - see: millrace help log read'],
    [['log', 'stat', 'a', 'b'], 'one log at a time'],
    [['log', 'read', 'a', '--fron', '5'], "did you mean '--from'?"],
    [['log', 'read', 'a', '--from', 'yesterday'], 'earliest, latest, an offset'],
    [['log', 'read', 'a', '--from', '2026-11-99'], 'earliest, latest, an offset'],
    [['log', 'read', 'a', '--from', '2026-04-31T05:00'], 'earliest, latest, an offset'],
    [['log', 'read', 'a', '--from', '1969-11-21'], 'earliest, latest, an offset'],
    [['log', 'read', 'a', '--from', '@9007199254740991'], 'earliest, latest, an offset'],
    [['log', 'read', 'a', '--reverse', '--follow'], '--reverse goes without --follow'],
    [['log', 'read', 'a', '--json', '--values'], 'not several'],
    [['log', 'read', 'a', '--frames', '--hex'], 'not several'],
    [['log', 'read', 'a', '--max-bytes', 'much'], "'64KiB'"],
    [['log', 'append', 'a', '--sync', 'often'], 'none, commit or milliseconds'],
    [['log', 'append', 'a', '--sync', '0'], '--sync must be a whole number from 1'],
    [['log', 'append', 'a', '--segment', '100'], 'a multiple of 4096'],
    [['log', 'append', 'a', '--header', 'name'], 'NAME=VALUE'],
    [['log', 'append', 'a', '--lines', '--frames'], 'not both'],
    [['log', 'append', 'a', '--batch', '0'], 'a whole number from 1 up'],
    [['record'], 'record: a CHANNEL and a DIRECTORY, not 0 paths'],
    [['record', 'a'], 'record: a CHANNEL and a DIRECTORY, not 1 path -'],
    [['record', 'a', 'b', '--from', 'yesterday'], 'record: --from takes oldest, latest, a position'],
    [['record', 'a', 'b', '--sync', 'often'], 'record: --sync takes none, commit or milliseconds'],
    [['record', 'a', 'b', '--limit', '0'], 'a whole number from 1 up'],
    [['replay', 'a', 'b', 'c'], 'replay: a DIRECTORY and a CHANNEL, not 3 paths'],
    [['replay', 'a', 'b', '--speed', '0'], 'a number above 0, or max'],
    [['replay', 'a', 'b', '--speed', 'fast'], 'a number above 0, or max'],
    [['replay', 'a', 'b', '--mode', 'square'], 'ring or linear'],
    [['replay', 'a', 'b', '--to', 'yesterday'], 'replay: a place is earliest, latest, an offset'],
    [['replay', 'a', 'b', '--size', 'much'], "'64KiB'"],
    [['stat', 'a', ''], 'stat: an argument is empty - see'],
    [['dump', ''], 'dump: an argument is empty'],
    [['create', ''], 'create: an argument is empty'],
    [['top', ''], 'top: an argument is empty'],
    [['record', 'a', ''], 'record: an argument is empty'],
    [['log', 'read', ''], 'log read: an argument is empty'],
    [['log', 'cursors'], 'which log?'],
    [['log', 'cursors', 'a', 'move', 'b'], "set or delete, not 'move'"],
    [['log', 'cursors', 'a', 'set', 'b'], 'a NAME and a PLACE'],
    [['log', 'cursors', 'a', 'delete', 'b', '--force'], '--force is for set'],
  ])('millrace %j', async (args, hint) => {
    const { code, stdout, stderr } = await millrace(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^millrace: [^\n]+\n$/);
    expect(stderr).toContain(hint);
  });
});

describe('what is not a channel ends with 1 and one line with the code', () => {
  // To verify, it is a finding like any other; to create, something in the way.
  test.each(VERBS.filter((verb) => verb !== 'verify' && verb !== 'create'))('%s', async (verb) => {
    const directory = newDirectory();
    const cases = [
      [`${directory}/nothing\nhere`, 'ERR_NOT_FOUND'],
      [directory, 'ERR_FORMAT'],
      [new URL('../../package.json', import.meta.url).pathname, 'ERR_FORMAT'],
    ];
    for (const [path, errorCode] of cases) {
      const { code, stdout, stderr } = await millrace(verb, path);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(new RegExp(`^millrace: [^\n]+ \\(${errorCode}\\)\n$`));
    }
  });
});

test.each([
  ['create', 'append'],
  ['write', 'append'],
  ['abandon', 'stat'],
  ['stat', 'stat'],
  ['dump', 'read'],
  ['tail', 'tail'],
  ['verify', 'verify'],
])('%s of the directory of a log names log %s', async (verb, ofLogs) => {
  const directory = await closedLog(['one']);
  expect(await millrace(verb, directory)).toEqual({
    code: 1,
    stdout: '',
    stderr: `millrace: ${directory} is the directory of a log, and no channel: millrace log ${ofLogs} ${directory} (ERR_FORMAT)\n`,
  });
});

test.each([
  ['append', 'write'],
  ['read', 'dump'],
  ['tail', 'tail'],
  ['stat', 'stat'],
  ['segments', 'stat'],
  ['cursors', 'stat'],
  ['compact', 'stat'],
  ['verify', 'verify'],
  ['repair', 'verify'],
])('log %s of a channel names %s', async (verb, ofChannels) => {
  const path = newPath();
  (await Writer.create(path, { capacity: '64KiB' })).close();
  const { code, stdout, stderr } = await millrace('log', verb, path);
  expect({ code, stdout, stderr }).toEqual({
    code: 1,
    stdout: '',
    stderr: `millrace: ${path} is a channel, and no log: millrace ${ofChannels} ${path} (ERR_FORMAT)\n`,
  });
});

describe('a time that says no zone is UTC, wherever the machine is', () => {
  const inNewYork = async (args: string[], input = '') => {
    const running = new Running(args, 'pipe', { TZ: 'America/New_York' });
    running.child.stdin?.end(input);
    return (await running.end()).stdout;
  };
  const AT = Date.UTC(2026, 10, 21, 5);
  const WAYS = ['2026-11-21T05:00:00', '2026-11-21 05:00:00', '2026-11-21T05:00', '2026-11-21T00:00-05:00'];

  test('as a place in a log', async () => {
    const directory = await closedLog([-1, 0, 1].map((ms) => ({ value: String(ms), timestamp: AT + ms })));
    for (const way of [...WAYS, '2026-11-21T05:00:00Z']) {
      expect(await inNewYork(['log', 'read', directory, '--values', '--from', way])).toBe('0\n1\n');
    }
    expect(await inNewYork(['log', 'read', directory, '--values', '--from', '2026-11-21'])).toBe(
      '-1\n0\n1\n',
    );
  });

  test('as a place in a channel', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { mode: 'linear', capacity: '16KiB', timestamps: true });
    for (const ms of [-1, 0, 1]) writer.write(String(ms), { timestamp: AT + ms });
    writer.close();
    for (const way of WAYS.flatMap((way) => [way, `time:${way}`])) {
      const shown = objectsOf(await inNewYork(['dump', path, '--json', '--from', way]));
      expect(shown.map(({ text }) => text)).toEqual(['0', '1']);
    }
  });

  test('as the timestamp of a record', async () => {
    const directory = newDirectory();
    const input = WAYS.map((timestamp) => `${JSON.stringify({ value: 'v', timestamp })}\n`).join('');
    await inNewYork(['log', 'append', directory, '--json'], input);
    const times = (await recordsOf(directory)).map(({ timestamp }) => timestamp);
    expect(times).toEqual(WAYS.map(() => AT * 1000));
  });
});

describe('a time that is printed can be given: to the microsecond', () => {
  const US = [100, 456, 500_000].map((us) => Date.UTC(2026, 10, 21, 5) * 1000 + us);
  const PRINTED = ['000100Z', '000456Z', '500000Z'].map((fraction) => `2026-11-21T05:00:00.${fraction}`);

  test('as a place in a log, and as where a replay ends', async () => {
    const directory = await closedLog(US.map((us) => ({ value: String(us), timestamp: { us } })));
    const { stdout } = await millrace('log', 'read', directory);
    expect(stdout.match(/2026-\S+/g)).toEqual(PRINTED);
    const read = await millrace('log', 'read', directory, '--values', '--from', PRINTED[1]);
    expect(read.stdout).toBe(`${US[1]}\n${US[2]}\n`);
    const replayed = await millrace(
      'replay',
      directory,
      newPath(),
      '--speed',
      'max',
      '--to',
      PRINTED[1],
      '--json',
    );
    expect(objectsOf(replayed.stdout)).toEqual([{ replayed: 1, first: 0, last: 0 }]);
  });

  test('as a place in a channel', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { mode: 'linear', capacity: '16KiB', timestamps: true });
    for (const us of US) writer.write('', { timestamp: { us } });
    writer.close();
    expect((await millrace('dump', path)).stdout.match(/2026-\S+/g)).toEqual(PRINTED);
    const { stdout } = await millrace('dump', path, '--json', '--from', PRINTED[1]);
    expect(objectsOf(stdout).map(({ timestamp }) => timestamp)).toEqual(US.slice(1));
  });

  test.each([
    ['.5', 500_000],
    ['.1234', 123_400],
    ['.000456', 456],
    ['.000456789', 456],
  ])('as the timestamp of a record: %s', async (fraction, us) => {
    const directory = newDirectory();
    const timestamp = `2026-11-21T06:00:00${fraction}+01:00`;
    await fed(JSON.stringify({ value: 'v', timestamp }), 'log', 'append', directory, '--json');
    const [record] = await recordsOf(directory);
    expect(record.timestamp).toBe(Date.UTC(2026, 10, 21, 5) * 1000 + us);
  });
});

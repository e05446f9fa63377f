import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { flip } from '../log/damaging.js';
import { fed, millrace, objectsOf, Running } from './command.js';
import { closedLog, numbered } from './log.js';
import { contentsOf, textsOf, variedChannel } from './recording.js';

const AT = 1_700_000_000_000;

/** A log of records that came so many milliseconds after the first one. */
function logOf(delays: readonly number[]): Promise<string> {
  return closedLog(delays.map((ms, i) => ({ value: `record ${i}`, timestamp: AT + ms })));
}

/** A reader of what is replayed, as soon as that is begun. */
async function opened(path: string): Promise<Reader> {
  return Reader.open(path, { wait: true, from: 'oldest' });
}

describe('what was recorded', () => {
  test('comes back with all its bytes, types, tags and times', async () => {
    const path = await variedChannel(3000);
    const directory = newDirectory();
    expect((await millrace('record', path, directory)).code).toBe(0);
    const again = newPath();
    expect(await millrace('replay', directory, again, '--speed', 'max')).toEqual({
      code: 0,
      stdout: 'replayed 3000 records: offsets 0 to 2999\n',
      stderr: '',
    });
    const contents = await contentsOf(again);
    expect(contents).toEqual(await contentsOf(path));
    expect(contents).toHaveLength(3000);
    expect(contents[8]).toEqual({
      type: 2,
      timestamp: AT * 1000 + 80,
      tag: 3,
      size: 8,
      text: 'record 8',
    });
    expect(inspect(again).status).toBe('closed');
  });

  test('with times anew', async () => {
    const directory = newDirectory();
    await millrace('record', await variedChannel(10), directory);
    const again = newPath();
    const before = Date.now() * 1000;
    await millrace('replay', directory, again, '--now');
    const contents = await contentsOf(again);
    expect(contents).toHaveLength(10);
    for (const { timestamp } of contents) expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(contents[8]).toMatchObject({ type: 2, tag: 3 });
  });

  test('what was lost in recording is told', async () => {
    const lost = { 'millrace.lost': '1234' };
    const directory = await closedLog(['a', { value: 'b', headers: lost }, { value: 'c', headers: lost }]);
    expect(await millrace('replay', directory, newPath())).toMatchObject({
      code: 0,
      stderr: `millrace: 2,468 records had been lost before ${directory} was made of the others\n`,
    });
  });
});

test('of any log the values are records; that keys and headers are left out is said once', async () => {
  const directory = await closedLog([
    'plain',
    { key: 'k', value: 'keyed' },
    { value: 'told', headers: { name: 'value' } },
    { key: 'k', value: null },
    { value: 'no number', headers: { 'millrace.type': '65536', 'millrace.tag': '-1' } },
  ]);
  const path = newPath();
  expect(await millrace('replay', directory, path, '--json')).toEqual({
    code: 0,
    stdout: `${JSON.stringify({ replayed: 5, first: 0, last: 4 })}\n`,
    stderr: `millrace: the keys and headers of ${directory} are left out: a channel's records have none\n`,
  });
  expect(await textsOf(path)).toEqual(['plain', 'keyed', 'told', '', 'no number']);
  expect(await contentsOf(path)).toMatchObject([{}, {}, {}, {}, { type: 0, tag: 0 }]);
});

describe('a part of it', () => {
  const delays = Array.from({ length: 20 }, (_, i) => i);

  test.each([
    [['--from', '5'], 5, 20],
    [['--to', '5'], 0, 5],
    [['--from', '5', '--to', '8'], 5, 8],
    [['--from', '5', '--limit', '2'], 5, 7],
    [['--from', `@${AT + 3}`, '--to', `@${AT + 7}`], 3, 7],
    [['--to', `@${AT + 1000}`], 0, 20],
    [['--from', 'earliest', '--to', 'latest'], 0, 20],
  ])('%j', async (options, from, to) => {
    const path = newPath();
    const { code, stdout } = await millrace('replay', await logOf(delays), path, '--json', ...options);
    expect({ code, told: objectsOf(stdout) }).toEqual({
      code: 0,
      told: [{ replayed: to - from, first: from, last: to - 1 }],
    });
    expect(await textsOf(path)).toEqual(numbered(20).slice(from, to));
  });

  test.each([
    ['an empty log', 0, [], ''],
    ['what ends before it begins', 20, ['--from', '5', '--to', '5'], ' from 5 on before 5'],
    ['what is behind the last record', 20, ['--from', 'latest'], ' from latest on'],
  ])('there is nothing to replay of %s: no channel is made', async (_, count, options, range) => {
    const [directory, path] = [await logOf(delays.slice(0, count)), newPath()];
    expect(await millrace('replay', directory, path, ...options)).toEqual({
      code: 1,
      stdout: '',
      stderr: `millrace: ${directory} has no records${range}: there is nothing to replay, and no channel is made\n`,
    });
    expect(existsSync(path)).toBe(false);
  });
});

describe('at its pace', () => {
  const HOUR = 3_600_000;

  test('what is not due is not there; Ctrl-C ends the wait, and the channel', async () => {
    const path = newPath();
    const replaying = new Running(['replay', await logOf([0, 1, HOUR]), path]);
    using reader = await opened(path);
    const records: string[] = [];
    for await (const { data } of reader) {
      records.push(data.toString());
      // It waits for the third.
      if (records.length === 2) replaying.child.kill('SIGINT');
    }
    expect(records).toEqual(numbered(2));
    expect(await replaying.end()).toEqual({
      code: 1,
      stdout: 'replayed 2 records: offsets 0 to 1\n',
      stderr: '',
    });
    expect(inspect(path).status).toBe('closed');
  });

  test.each([['max'], ['100000000']])('at speed %s an hour is over at once', async (speed) => {
    const path = newPath();
    expect((await millrace('replay', await logOf([0, HOUR]), path, '--speed', speed)).code).toBe(0);
    expect(await textsOf(path)).toEqual(numbered(2));
  });
});

describe('who reads it', () => {
  test('is waited for, and misses nothing; a ring waits for it, too', async () => {
    const COUNT = 20_000;
    const directory = await closedLog(numbered(COUNT));
    const path = newPath();
    const options = ['--readers', '2', '--speed', 'max', '--size', '64KiB'];
    const replaying = new Running(['replay', directory, path, ...options]);
    using first = await Reader.open(path, { wait: true, gate: true });
    await replaying.until(({ said }) => said.includes('waits for 2 readers'));
    expect(inspect(path).records).toBe(0);
    using second = await Reader.open(path, { gate: true });
    const read = async (reader: Reader) => {
      const records: string[] = [];
      for await (const { data } of reader) records.push(data.toString());
      return records;
    };
    const [one, other] = await Promise.all([read(first), read(second)]);
    expect(one).toEqual(numbered(COUNT));
    expect(other).toEqual(one);
    expect(await replaying.end()).toEqual({
      code: 0,
      stdout: `replayed ${COUNT} records: offsets 0 to ${COUNT - 1}\n`,
      stderr: `millrace: waits for 2 readers of ${path}\n`,
    });
  });

  test('Ctrl-C ends waiting for readers, and for room', async () => {
    const directory = await closedLog(numbered(20_000));
    const lonely = new Running(['replay', directory, newPath(), '--readers', '1']);
    await lonely.until(() => lonely.said.includes('waits for 1 reader'));
    expect(await lonely.end('SIGINT')).toMatchObject({ code: 1, stdout: 'replayed nothing\n' });

    const path = newPath();
    const options = ['--readers', '1', '--size', '64KiB'];
    const blocked = new Running(['replay', directory, path, ...options]);
    using _reader = await Reader.open(path, { wait: true, gate: true });
    while (inspect(path).refusals === 0) await turn();
    const { code, stdout } = await blocked.end('SIGTERM');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^replayed 1\d{3} records/);
    expect(inspect(path).status).toBe('closed');
  });
});

test('damage is said, what follows is replayed, and the exit code is 1', async () => {
  const directory = await closedLog(['zero', 'broken', 'two', 'three']);
  const segment = join(directory, '00000000000000000000.mr');
  flip(segment, readFileSync(segment).indexOf('broken'));
  const path = newPath();
  expect(await millrace('replay', directory, path, '--json')).toEqual({
    code: 1,
    stdout: `${JSON.stringify({ replayed: 3, first: 0, last: 3 })}\n`,
    stderr: `millrace: ${directory} is damaged from record 1 on; goes on at 2 (ERR_CORRUPT)\n`,
  });
  expect(await textsOf(path)).toEqual(['zero', 'two', 'three']);
});

describe('the channel', () => {
  test('is what is asked for', async () => {
    const directory = await closedLog(numbered(3));
    const path = newPath();
    const options = ['--mode', 'linear', '--size', '128KiB', '--readers', '0'];
    expect((await millrace('replay', directory, path, ...options)).code).toBe(0);
    expect(inspect(path)).toMatchObject({ mode: 'linear', capacity: 131_072, timestamps: true });
  });

  test('is not another’s, unless that ended and --replace is said', async () => {
    const directory = await closedLog(numbered(3));
    const path = newPath();
    const writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('mine');
    const beside = await millrace('replay', directory, path);
    expect(beside).toMatchObject({ code: 1, stdout: '' });
    expect(beside.stderr).toMatch(/^millrace: [^\n]+ exists already; --replace [^\n]+ \(ERR_EXISTS\)\n$/);
    const alive = await millrace('replay', directory, path, '--replace');
    expect(alive).toMatchObject({ code: 1, stdout: '' });
    expect(alive.stderr).toBe(
      `millrace: ${path} has a live writer, pid ${process.pid}; it can be replaced once that one has ended ` +
        '(ERR_WRITER_ACTIVE)\n',
    );
    writer.close();
    expect(await textsOf(path)).toEqual(['mine']);
    expect((await millrace('replay', directory, path, '--replace')).code).toBe(0);
    expect(await textsOf(path)).toEqual(numbered(3));
  });

  test('that is too small for all keeps what fits, and what to do is said', async () => {
    const directory = await closedLog(numbered(2000));
    const path = newPath();
    const small = ['--mode', 'linear', '--size', '16KiB'];
    const { code, stdout, stderr } = await millrace('replay', directory, path, ...small, '--json');
    const [{ replayed }] = objectsOf(stdout);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^millrace: record \d+ of the log: [^\n]+; --size [^\n]+ \(ERR_CHANNEL_FULL\)\n$/);
    expect(await textsOf(path)).toEqual(numbered(Number(replayed)));
    expect(inspect(path).status).toBe('dead');
  });

  test('that not all was written to is not ended: who reads it is told, and write can go on with it', async () => {
    const directory = await closedLog(['first', 'x'.repeat(20_000), 'last']);
    const path = newPath();
    const { code, stdout, stderr } = await millrace('replay', directory, path, '--size', '64KiB');
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'replayed 1 record: offset 0\n' });
    expect(stderr).toContain('(ERR_RECORD_TOO_LARGE)');
    expect(inspect(path)).toMatchObject({ status: 'dead', records: 1 });
    const reading = await millrace('tail', '-f', path);
    expect(reading).toMatchObject({ code: 1, stdout: 'first\n' });
    expect(reading.stderr).toContain('(ERR_WRITER_DEAD)');
    expect(await fed('by hand\n', 'write', path)).toMatchObject({ code: 0 });
    expect(await textsOf(path)).toEqual(['first', 'by hand']);
  });

  test.each([
    ['where there is no log', async () => join(newDirectory(), 'none'), [], 'ERR_NOT_FOUND'],
    ['of a channel', () => variedChannel(3), [], 'ERR_FORMAT'],
    ['from a place that is not there', () => logOf([0]), ['--from', '7'], 'ERR_OFFSET_OUT_OF_RANGE'],
    ['to a place that is not there', () => logOf([0]), ['--to', '7'], 'ERR_OFFSET_OUT_OF_RANGE'],
  ])('is not made %s', async (_, directory, options, errorCode) => {
    const path = newPath();
    const { code, stdout, stderr } = await millrace('replay', await directory(), path, ...options);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^millrace: [^\n]+ \\(${errorCode}\\)\n$`));
    expect(existsSync(path)).toBe(false);
  });

  test('and not a log: record is named where that is what was given', async () => {
    const path = await variedChannel(3);
    expect((await millrace('replay', path, newPath())).stderr).toBe(
      `millrace: ${path} is a channel, and what is replayed is a log: millrace record ${path} DIRECTORY makes one of it ` +
        '(ERR_FORMAT)\n',
    );
  });

  test('is not made where there is something else, or in the directory of a log', async () => {
    const directory = await closedLog(numbered(3));
    const before = readdirSync(directory);
    for (const [path, said] of [
      [newDirectory(), 'is a directory: name a file in it'],
      [new URL('../../package.json', import.meta.url).pathname, 'is no channel: choose another name'],
      [join(directory, 'again'), 'has no place for a channel'],
    ]) {
      const { code, stdout, stderr } = await millrace('replay', directory, path, '--replace');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain(said);
    }
    expect(readdirSync(directory)).toEqual(before);
  });
});

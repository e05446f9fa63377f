import { rm } from 'node:fs/promises';
import { setTimeout, setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MillraceError } from '../../lib/errors.js';
import { Log, type LogOptions, type LogRecord, type ReadOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { apply, until } from './retained.js';

const opened: Log[] = [];

async function open(options: LogOptions = {}, directory = newDirectory()): Promise<Log> {
  const log = await Log.open(directory, options);
  opened.push(log);
  return log;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

const offsetsOf = async (log: Log, options: ReadOptions) =>
  (await collect(log.read(options))).map(({ offset }) => offset);

/** A log of some segments whose clock goes to and fro. */
async function withClock(times: number[]): Promise<Log> {
  const log = await open({ segment: '64KiB', sync: 'none' });
  for (const timestamp of times) log.append({ value: Buffer.alloc(700), timestamp });
  return log;
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test('reading begins at the earliest, the latest, an offset, and ends where the log ended when it began', async () => {
  const log = await open({ segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 300; i++) log.append(Buffer.alloc(500, i));
  expect(log.segments().length).toBeGreaterThan(2);
  expect(await offsetsOf(log, {})).toEqual(range(0, 300));
  expect(await offsetsOf(log, { from: 'earliest' })).toEqual(range(0, 300));
  expect(await offsetsOf(log, { from: 'latest' })).toEqual([]);
  for (const from of [0, 1, 99, 112, 113, 200, 299, 300]) {
    expect(await offsetsOf(log, { from })).toEqual(range(from, 300));
  }
  const reading = log.read();
  await reading.next();
  log.append('later');
  expect((await collect(reading)).length).toBe(299);
});

test('what an object of options has from another one counts as what is its own', async () => {
  const log = await open({ sync: 'none' });
  for (let i = 0; i < 5; i++) log.append(`${i}`);
  const usual: ReadOptions = { reverse: true, limit: 2 };
  expect(await offsetsOf(log, Object.create(usual))).toEqual([4, 3]);
  expect(await offsetsOf(log, Object.assign(Object.create(usual), { from: 1 }))).toEqual([1, 0]);
  const [batch] = await collect(log.batches(Object.create({ reverse: true, max: 3 })));
  expect(batch.map(({ offset }) => offset)).toEqual([4, 3, 2]);
  expect(await offsetsOf(log, Object.create({ durableOnly: true }))).toEqual([]);
});

test('limits in records and in bytes; one record at least', async () => {
  const log = await open();
  for (let i = 0; i < 10; i++) log.append(Buffer.alloc(100));
  expect(await offsetsOf(log, { limit: 3 })).toEqual([0, 1, 2]);
  expect(await offsetsOf(log, { limit: 0 })).toEqual([]);
  expect(await offsetsOf(log, { maxBytes: 250 })).toEqual([0, 1]);
  expect(await offsetsOf(log, { maxBytes: 10, from: 5 })).toEqual([5]);
  expect(await offsetsOf(log, { maxBytes: 0 })).toEqual([0]);
  expect(await offsetsOf(log, { reverse: true, limit: 3 })).toEqual([9, 8, 7]);
  const batches = await collect(log.batches({ max: 4, limit: 9 }));
  expect(batches.map(({ length }) => length)).toEqual([4, 4, 1]);
});

test('backwards is forwards the other way round, from anywhere', async () => {
  const log = await open({ segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 500; i++) log.append(Buffer.alloc(300, i));
  expect(await offsetsOf(log, { reverse: true })).toEqual(range(0, 500).reverse());
  expect(await offsetsOf(log, { reverse: true, from: 'earliest' })).toEqual([0]);
  for (const from of [0, 1, 180, 181, 182, 499]) {
    expect(await offsetsOf(log, { reverse: true, from })).toEqual(range(0, from + 1).reverse());
  }
  for (const other of [{ follow: true }, { cursor: 'c' }, { durableOnly: true }]) {
    expect(thrown(() => log.read({ reverse: true, ...other }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
  }
});

test('a time is sought as a scan would: clocks that stand still, go back, or jump', async () => {
  // Numbers that repeat, fall and leap; the same ones each time.
  const times = range(0, 600).map((i) => 1_000_000 + ((i * 7919) % 613) + Math.floor(i / 3) * 10);
  const log = await withClock(times);
  const scan = (time: number) => times.findIndex((at) => at >= time);
  const again = async () => {
    for (let time = 999_990; time < 1_002_700; time += 13) {
      const expected = scan(time);
      const [first] = await offsetsOf(log, { from: { time }, limit: 1 });
      expect(first ?? -1).toBe(expected);
    }
  };
  await again();
  await log.close();
  opened.push(await Log.open(log.path));
  const reopened = opened.at(-1) as Log;
  for (let time = 999_990; time < 1_002_700; time += 131) {
    const [first] = await offsetsOf(reopened, { from: { time }, limit: 1 });
    expect(first ?? -1).toBe(scan(time));
  }
});

test('an offset that is not there is told apart from none: what is gone, and what is to come', async () => {
  const log = await open();
  log.append('a');
  expect(thrown(() => log.tail({ from: 2 }))).toMatchObject({
    code: 'ERR_OFFSET_OUT_OF_RANGE',
    offset: 2,
    earliest: 0,
    next: 1,
  });
  expect(log.tail({ from: 2, outOfRange: 'earliest' }).read()?.offset).toBe(0);
  expect(log.tail({ from: 2, outOfRange: 'latest' }).read()).toBeUndefined();
});

test('following goes over from segment to segment while they are written, and ends with the log', async () => {
  const log = await open({ segment: '64KiB', sync: 'none' });
  const seen: number[] = [];
  const following = (async () => {
    for await (const { offset, value } of log.read({ follow: true, from: 'earliest' })) {
      seen.push(offset);
      if (value.readUInt32LE(0) !== offset) throw new Error(`${offset}`);
    }
  })();
  for (let i = 0; i < 3000; i++) {
    const value = Buffer.alloc(200);
    value.writeUInt32LE(i);
    log.append(value);
    if (i % 100 === 0) await turn();
  }
  while (seen.length < 3000) await turn();
  expect(log.segments().length).toBeGreaterThan(5);
  await log.close();
  await following;
  expect(seen).toEqual(range(0, 3000));
});

test('a wait for a record can be aborted, times out, and hears of the first record of an empty log', async () => {
  const log = await open();
  const abort = new AbortController();
  const waiting = log.read({ follow: true, signal: abort.signal }).next();
  abort.abort();
  expect(await failure(() => waiting)).toMatchObject({ code: 'ERR_ABORTED' });
  const late = log.read({ follow: true, timeoutMs: 5 });
  expect(await failure(() => late.next())).toMatchObject({ code: 'ERR_TIMEOUT' });
  const first = log.read({ follow: true, from: 'earliest' }).next();
  await turn();
  log.append('at last');
  expect((await first).value?.value.toString()).toBe('at last');
});

test('a tail lends what it reads, tells of each record, and stands behind those that were handled', async () => {
  const log = await open({ segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 400; i++) log.append(i % 2 === 0 ? { key: `k${i}`, value: `v${i}` } : `v${i}`);
  const tail = log.tail({ from: 'earliest' });
  const told: [number, string, string | undefined][] = [];
  const count = tail.poll((bytes, start, end) => {
    const { key } = tail.record();
    told.push([tail.offset, bytes.toString('utf8', start, end), key?.toString()]);
  }, 3);
  expect(count).toBe(3);
  expect(told).toEqual([
    [0, 'v0', 'k0'],
    [1, 'v1', undefined],
    [2, 'v2', 'k2'],
  ]);
  const failing = () =>
    tail.poll(() => {
      if (tail.offset === 5) throw new Error('no');
    });
  expect(failing).toThrow('no');
  expect(tail.offset).toBe(5);
  expect(tail.read()?.offset).toBe(5);
  expect(tail.readBatch(1000).length).toBe(394);
  expect(tail.poll(() => {})).toBe(0);
  tail.seek(399);
  expect(tail.read()?.value.toString()).toBe('v399');
  tail.seek('latest');
  const ready = tail.ready();
  log.append('new');
  expect(await ready).toBe(true);
  expect(tail.read()?.offset).toBe(400);
  tail.close();
  tail.close();
  expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
});

test.each(['ERR_FORMAT', 'ERR_CORRUPT', 'ERR_OFFSET_OUT_OF_RANGE'] as const)(
  'what a handler throws comes out as it is, also %s, and its record is handed out again',
  async (code) => {
    await using log = await Log.open(newDirectory(), { sync: 'none' });
    log.appendBatch(['zero', { key: 'k', value: 'one' }, 'two']);
    for (const offset of [0, 1]) {
      const tail = log.tail({ from: offset, outOfRange: 'latest' });
      const thrown = new MillraceError(code, 'of another log');
      const fail = () => {
        throw thrown;
      };
      for (let i = 0; i < 2; i++) expect(caught(() => tail.poll(fail))).toBe(thrown);
      expect(tail.offset).toBe(offset);
      expect(tail.readBatch(10)).toHaveLength(3 - offset);
    }
  },
);

test.each<[string, LogOptions]>([
  ['plain', {}],
  ['compressed', { compression: 'deflate' }],
])('a tail that is closed in its own handler closes when that returns (%s records)', async (_, options) => {
  const log = await open(options);
  log.append('first');
  log.appendBatch(range(0, 10).map(() => 'all alike, so that they are smaller compressed'));
  for (const closedAt of [0, 1, 2, 10]) {
    const tail = log.tail({ from: 'earliest' });
    const seen: LogRecord[] = [];
    const count = tail.poll(() => {
      if (tail.offset === closedAt) tail.close();
      seen.push(tail.record());
    });
    expect(seen.map(({ offset }) => offset)).toEqual(range(0, closedAt + 1));
    expect(count).toBe(closedAt + 1);
    expect(thrown(() => tail.poll(() => {}))).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
  }
});

test('a named cursor is where its reader is: behind a record once the next one was asked for', async () => {
  const log = await open();
  log.appendBatch(['a', 'b', 'c', 'd']);
  const taken: string[] = [];
  for await (const { value } of log.read({ cursor: 'jobs' })) {
    taken.push(value.toString());
    if (taken.length === 2) break;
  }
  // The second was not done with when it was left: it comes again.
  const rest = await collect(log.read({ cursor: 'jobs' }));
  expect(rest.map(({ value }) => value.toString())).toEqual(['b', 'c', 'd']);
  expect(log.cursor('jobs').get()).toBe(4);
  expect(log.cursor('jobs').lag).toBe(0);
  log.append('e');
  expect(log.cursor('jobs').lag).toBe(1);
});

test.each(['leaves', 'goes on'])(
  'who closes the log within its reading, and %s, has passed what it did',
  async (how) => {
    const log = await open();
    log.appendBatch(Array(50).fill('x'));
    let count = 0;
    for await (const _ of log.read({ cursor: 'jobs' })) {
      if (++count === 40) await log.close();
      if (count === 40 && how === 'leaves') break;
    }
    expect(count).toBe(40);
    const again = await open({}, log.path);
    expect(again.cursor('jobs').get()).toBe(39);
  },
);

test('a cursor is behind what was passed within a tenth of a second, however long each record takes', async () => {
  const log = await open();
  log.appendBatch(['a', 'b', 'c', 'd', 'e']);
  const cursor = log.cursor('jobs');
  await cursor.set(0);
  const reading = log.read({ cursor: 'jobs' });
  for (let i = 0; i < 3; i++) await reading.next();
  expect(cursor.get()).toBe(1);
  const later = performance.now() + 100;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => later);
  await reading.next();
  clock.mockRestore();
  expect(cursor.get()).toBe(3);
});

test('a cursor is behind all that is not to be read any more, at the end', async () => {
  const log = await open();
  for (const value of ['a', 'b']) log.append(value);
  for (const value of ['x', 'y']) log.append({ value, timestamp: 1, ttlMs: 1 });
  expect(await offsetsOf(log, { cursor: 'one' })).toEqual([0, 1]);
  expect((await collect(log.batches({ cursor: 'many' }))).flat().length).toBe(2);
  expect(log.cursors().map(({ offset, lag }) => [offset, lag])).toEqual([
    [4, 0],
    [4, 0],
  ]);
  // Nor further than this reading was to go.
  const reading = log.read({ cursor: 'more' });
  await reading.next();
  log.append('later');
  expect((await collect(reading)).length).toBe(1);
  expect(log.cursor('more').get()).toBe(4);
});

describe('where all behind a cursor has expired', () => {
  const expired = { value: Buffer.alloc(2000), timestamp: 1, ttlMs: 1 };

  async function someExpired(): Promise<Log> {
    const log = await open({ segment: '16KiB', sync: 'none' });
    log.append('lives');
    for (let i = 0; i < 40; i++) log.append(expired);
    return log;
  }

  test.each(['read', 'batches'] as const)(
    '%s moves it to the end, so that nothing is kept for it',
    async (how) => {
      const log = await someExpired();
      const cursor = log.cursor('c');
      await cursor.set(1);
      expect(await collect<unknown>(log[how]({ cursor: 'c' }))).toEqual([]);
      expect([cursor.get(), cursor.lag]).toEqual([41, 0]);
      expect((await log.compact()).records).toBeGreaterThan(20);
      await apply(log, { segments: 2 });
      expect(log.segments()).toHaveLength(2);
    },
  );

  test('who follows moves it while nothing comes that is handed out', async () => {
    const log = await someExpired();
    const cursor = log.cursor('c');
    await cursor.set(1);
    const reading = log.read({ cursor: 'c', follow: true });
    const next = reading.next();
    await until(() => cursor.get() === 41);
    log.append(expired);
    await until(() => cursor.get() === 42);
    log.append('lives');
    expect((await next).value?.offset).toBe(42);
    await reading.return?.();
    expect(cursor.get()).toBe(42);
  });

  test('it is moved over segments of which nothing is left, to one in which nothing is yet', async () => {
    const log = await open({ segment: '16KiB', sync: 'none', rollAfterMs: 5 });
    for (let i = 0; i < 40; i++) log.append(expired);
    while (log.segments().at(-1)?.base !== 40) await setTimeout(1);
    expect((await log.compact()).records).toBe(40);
    const cursor = log.cursor('c');
    await cursor.set(5);
    expect(await offsetsOf(log, { cursor: 'c' })).toEqual([]);
    expect(cursor.get()).toBe(40);
    const tail = log.tail({ from: 5 });
    expect([tail.offset, tail.read(), tail.offset]).toEqual([5, undefined, 40]);
  });

  test('it is neither made by that, nor moved by a reading that began elsewhere', async () => {
    const log = await someExpired();
    const cursor = log.cursor('c');
    expect(await offsetsOf(log, { cursor: 'c', from: 1 })).toEqual([]);
    expect(cursor.get()).toBeUndefined();
    await cursor.set(0);
    expect(await offsetsOf(log, { cursor: 'c', from: 1 })).toEqual([]);
    expect(cursor.get()).toBe(0);
  });
});

describe('a reading with records all the time', () => {
  const MANY = 300;
  let log: Log;
  beforeEach(async () => {
    log = await open({ sync: 'none' });
    for (let i = 0; i < MANY; i++) log.append(`${i}`);
  });

  test.each([
    ['read', {}],
    ['read', { reverse: true }],
    ['batches', { max: 1 }],
    ['batches', { reverse: true, max: 1 }],
  ] as const)('%s %o is over when its signal says so', async (how, options) => {
    const none = log[how]({ ...options, signal: AbortSignal.abort() });
    expect(await failure(() => none.next())).toMatchObject({ code: 'ERR_ABORTED' });
    const abort = new AbortController();
    const some = log[how]({ ...options, signal: abort.signal });
    for (let i = 0; i < 3; i++) expect((await some.next()).done).toBe(false);
    abort.abort();
    expect(await failure(() => some.next())).toMatchObject({ code: 'ERR_ABORTED' });
  });

  test.each(['read', 'batches'] as const)('%s is over when its time is', async (how) => {
    const reading = log[how]({ timeoutMs: 60_000, ...(how === 'batches' && { max: 1 }) });
    expect((await reading.next()).done).toBe(false);
    const later = performance.now() + 60_000;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => later);
    const error = await failure(() => reading.next());
    clock.mockRestore();
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 60_000 });
  });

  test('has its cursor behind what was passed until then', async () => {
    const cursor = log.cursor('c');
    await cursor.set(0);
    const abort = new AbortController();
    const reading = log.read({ cursor: 'c', signal: abort.signal });
    for (let i = 0; i < 5; i++) await reading.next();
    abort.abort();
    await failure(() => reading.next());
    expect(cursor.get()).toBe(5);
  });
});

test('backwards from what was removed is an error, or begins at what there is, as was asked', async () => {
  const log = await open({ segment: '64KiB', sync: 'none' });
  while (log.segments().length < 3) log.append(Buffer.alloc(1000));
  await rm(log.segments()[0].path);
  const { earliest, next } = log;
  expect(earliest).toBeGreaterThan(0);
  const back = (outOfRange?: ReadOptions['outOfRange']) =>
    offsetsOf(log, { reverse: true, from: 0, limit: 2, ...(outOfRange && { outOfRange }) });
  expect(await failure(() => back())).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', earliest });
  expect(await back('earliest')).toEqual([earliest]);
  expect(await back('latest')).toEqual([next - 1, next - 2]);
});

test('an empty segment may give way to another of its name, and nobody is left to say so', async () => {
  const log = await open({ rollAfterMs: 5, sync: 'none' });
  log.append('old');
  while (log.segments().length < 2) await setTimeout(1);
  await log.close();
  const reading = await open({ readOnly: true }, log.path);
  const tail = reading.tail({ from: 'latest' });
  expect(tail.hasNext()).toBe(false);
  const { path } = reading.segments()[1];
  await rm(path);
  const again = await open({}, log.path);
  expect(again.append('new')).toBe(1);
  expect(tail.read()?.value.toString()).toBe('new');
});

test('a cursor is not moved by who may change nothing', async () => {
  const log = await open();
  log.append('x');
  const reading = await open({ readOnly: true }, log.path);
  expect(thrown(() => reading.read({ cursor: 'c' }))).toMatchObject({ code: 'ERR_PERMISSION' });
  expect(thrown(() => log.batches({ max: 0 }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});

test.each([
  [{ fom: 1 }, 'from'],
  [{ from: 'first' }, 'earliest'],
  [{ from: -1 }, 'offset'],
  [{ from: { time: 'noon' } }, 'time'],
  [{ limit: -1 }, 'limit'],
  [{ maxBytes: 'much' }, 'maxBytes'],
  [{ follow: 'yes' }, 'follow'],
])('options of reading %j are refused in words', async (options, word) => {
  const log = await open();
  log.append('x');
  const error = thrown(() => log.read(options as ReadOptions));
  expect(error.code).toBe('ERR_INVALID_ARGUMENT');
  expect(error.message).toContain(word);
});

function caught(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('a cursor that stands beyond the end', () => {
  const ways = {
    read: (log: Log, options: ReadOptions) => offsetsOf(log, options),
    batches: offsetsOfBatches,
  };

  async function offsetsOfBatches(log: Log, options: ReadOptions): Promise<number[]> {
    return (await collect(log.batches(options))).flat().map(({ offset }) => offset);
  }

  test.each([
    ['read', 'earliest', 0],
    ['read', 'latest', 10],
    ['batches', 'earliest', 0],
    ['batches', 'latest', 10],
  ] as const)(
    '%s: is set back to the %s, once, where reading was to begin there, and that is told',
    async (way, outOfRange, to) => {
      const told: [string, object][] = [];
      const warn = (message: string, facts: object) => told.push([message, facts]);
      const logger = { debug() {}, info() {}, warn, error() {} };
      const log = await open({ logger });
      log.appendBatch(range(0, 10).map(String));
      const cursor = log.cursor('c');
      await cursor.set(50);
      expect(await failure(() => ways[way](log, { cursor: 'c' }))).toMatchObject({
        code: 'ERR_OFFSET_OUT_OF_RANGE',
        offset: 50,
        next: 10,
      });
      expect(await ways[way](log, { from: 5, cursor: 'c', outOfRange })).toEqual(range(5, 10));
      expect(cursor.get()).toBe(50);
      expect(told).toEqual([]);

      const [first] = await ways[way](log, { cursor: 'c', outOfRange, limit: 1 });
      expect(first).toBe(to === 0 ? 0 : undefined);
      await ways[way](log, { cursor: 'c', outOfRange });
      expect(cursor.get()).toBe(10);
      log.append('more');
      expect(await ways[way](log, { cursor: 'c', outOfRange })).toEqual([10]);
      expect(told).toEqual([
        [
          `The cursor 'c' of ${log.path} stood at 50, beyond the log's end, and was set back to ${to}`,
          { role: 'log', path: log.path, cursor: 'c', from: 50, to },
        ],
      ]);
    },
  );

  test('is set back, and moved to the end, where nothing is to be read there', async () => {
    const log = await open();
    for (let i = 0; i < 10; i++) log.append({ value: `${i}`, timestamp: 1, ttlMs: 1 });
    await log.cursor('c').set(50);
    expect(await offsetsOf(log, { cursor: 'c', outOfRange: 'earliest' })).toEqual([]);
    expect(log.cursor('c').get()).toBe(10);
  });

  test('is not set back where another reading has moved it since', async () => {
    const told: object[] = [];
    const warn = (_: string, facts: object) => told.push(facts);
    const log = await open({ logger: { debug() {}, info() {}, warn, error() {} } });
    log.appendBatch(range(0, 10).map(String));
    const cursor = log.cursor('c');
    await cursor.set(50);
    const late = log.read({ cursor: 'c', outOfRange: 'earliest' });
    expect(await offsetsOf(log, { cursor: 'c', outOfRange: 'earliest' })).toEqual(range(0, 10));
    expect((await late.next()).value?.offset).toBe(0);
    await late.return?.();
    expect(cursor.get()).toBe(10);
    expect(told).toHaveLength(1);
  });

  test('follows from where it was set back to, which it is before a record comes', async () => {
    const log = await open();
    log.append('there');
    await log.cursor('c').set(50);
    const reading = log.read({ cursor: 'c', follow: true, outOfRange: 'latest' });
    const next = reading.next();
    // Nothing comes as yet.
    await until(() => log.cursor('c').get() === 1);
    log.append('comes');
    expect((await next).value?.offset).toBe(1);
    await reading.return?.();
    expect(log.cursor('c').get()).toBe(1);
  });
});

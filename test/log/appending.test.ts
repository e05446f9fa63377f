import { statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { WaitOptions } from '../../lib/index.js';
import { Log, type LogOptions, type LogRecord } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { descriptorsIn } from '../native/addon.js';
import { collect } from './collect.js';

const opened: Log[] = [];

async function open(options: LogOptions = {}, directory = newDirectory()): Promise<Log> {
  const log = await Log.open(directory, options);
  opened.push(log);
  return log;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

async function all(log: Log): Promise<LogRecord[]> {
  return collect(log.read());
}

const textOf = ({ value }: LogRecord) => value.toString();

describe('what is appended without waiting for the one before', () => {
  test('comes behind it, however it is appended', async () => {
    const log = await open();
    const first = log.commit('a');
    expect(log.append('b')).toBe(1);
    const third = log.appendAsync(['c', 'd']);
    expect(log.append('e')).toBe(4);
    expect(await Promise.all([first, third])).toEqual([0, 2]);
  });

  test('comes behind it also where all have to wait for the disk, and one of them no longer does', async () => {
    const log = await open({ maxUnsyncedBytes: '4KiB', sync: { everyMs: 3_600_000 } });
    while (log.stats().unsyncedBytes < 4096) log.append(Buffer.alloc(100));
    const abort = new AbortController();
    const texts = ['a', 'b', 'c', 'd'];
    const appended = texts.map((text) => log.appendAsync(text, text === 'b' ? { signal: abort.signal } : {}));
    abort.abort();
    const settled = await Promise.allSettled(appended);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect((await all(log)).slice(-3).map(textOf)).toEqual(['a', 'c', 'd']);
  });

  test('goes on waiting where another one takes the room as soon as it is there', async () => {
    // By the ticks of promises that lie between, in what order both go on.
    for (let ticks = 0; ticks < 12; ticks++) {
      const log = await open({ maxUnsyncedBytes: '4KiB', sync: { everyMs: 3_600_000 } });
      log.append(Buffer.alloc(5000));
      const taken = log.ready().then(async () => {
        for (let i = 0; i < ticks; i++) await undefined;
        return log.append(Buffer.alloc(5000));
      });
      const waited = log.appendAsync('waits', { timeoutMs: 3_600_000 });
      expect(new Set(await Promise.all([taken, waited])), `${ticks} ticks`).toEqual(new Set([1, 2]));
    }
  });

  test('may be bytes of another context', async () => {
    const bytes: Uint8Array = runInNewContext('Uint8Array.of(97, 98)');
    const log = await open();
    log.append(bytes);
    await log.appendAsync([bytes, 'c']);
    expect((await all(log)).map(textOf)).toEqual(['ab', 'ab', 'c']);
  });

  test('is in the log, and on the disk, when it is closed', async () => {
    const log = await open({ sync: 'commit' });
    const committed = log.commit('a');
    await log.close();
    expect(await committed).toBe(0);
    expect((await all(await open({ readOnly: true }, log.path))).map(textOf)).toEqual(['a']);
  });
});

test('a batch with holes is refused', async () => {
  const log = await open();
  const records = new Array<string>(2);
  records[1] = 'x';
  const refused = { code: 'ERR_INVALID_ARGUMENT' };
  expect(thrown(() => log.appendBatch(records))).toMatchObject(refused);
  expect(await failure(() => log.commit(records))).toMatchObject(refused);
  expect(log.next).toBe(0);
});

test('offsets count from 0, one by one and in batches, and are read back in order', async () => {
  const log = await open();
  expect(log.append('a')).toBe(0);
  expect(log.append(Buffer.from('b'))).toBe(1);
  expect(log.appendBatch([Buffer.from('c'), Buffer.from('d')])).toBe(2);
  expect(log.appendBatch(['e', { value: 'f' }])).toBe(4);
  expect(log.appendBatch([])).toBe(6);
  expect(log.next).toBe(6);
  const records = await all(log);
  expect(records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5]);
  expect(records.map(textOf).join('')).toBe('abcdef');
});

test('a record has all that it was given: key, value, headers in order with duplicates, timestamp, time to live', async () => {
  const log = await open();
  const timestamp = new Date('2031-02-03T04:05:06.789Z');
  const headers = [
    ['b', '1'],
    ['a', Buffer.from([0, 255])],
    ['b', ''],
  ] as const;
  log.append({ key: 'the key', value: Buffer.from([1, 2, 3]), headers, timestamp, ttlMs: 1000 });
  log.append({ key: 'gone', value: null });
  const [record, tombstone] = await all(log);
  expect(record).toEqual({
    offset: 0,
    timestamp: timestamp.getTime() * 1000,
    key: Buffer.from('the key'),
    value: Buffer.from([1, 2, 3]),
    headers: headers.map(([name, value]) => [name, Buffer.from(value)]),
    expiresAt: (timestamp.getTime() + 1000) * 1000,
  });
  expect(tombstone).toMatchObject({
    offset: 1,
    key: Buffer.from('gone'),
    value: Buffer.alloc(0),
    tombstone: true,
  });
});

test('a record whose time to live is over is not handed out, and its offset is nobody else’s', async () => {
  const log = await open();
  log.append({ value: 'over', ttlMs: 1, timestamp: Date.now() - 60_000 });
  log.append({ value: 'lives', ttlMs: 3_600_000 });
  expect((await all(log)).map(({ offset, value }) => [offset, value.toString()])).toEqual([[1, 'lives']]);
});

test('segments double from 64 KiB on, and what is read across them lacks nothing', async () => {
  const log = await open({ segment: '256KiB', sync: 'none' });
  for (let i = 0; i < 20_000; i++) log.append(`record ${i}`);
  const bases = log.segments().map(({ base }) => base);
  expect(bases.length).toBeGreaterThan(4);
  // A frame of 32 bytes and a value of 8 to 12 takes 48: the second holds twice what the first does.
  expect(bases[2] - bases[1]).toBeGreaterThan(1.9 * bases[1]);
  let expected = 0;
  for await (const { offset, value } of log.read()) {
    if (offset !== expected || value.toString() !== `record ${offset}`)
      throw new Error(`${offset}: ${value}`);
    expected++;
  }
  expect(expected).toBe(20_000);
});

test('the next file is made ahead: when half of a segment is used up, or at once behind one that was full soon', async () => {
  const prepare = vi.spyOn(binding(), 'prepareFile');
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const arePressed = () => prepare.mock.calls.map((given) => given[4]);
  try {
    const log = await open();
    const fill = (bytes: number) => {
      for (let filled = 0; filled < bytes; filled += 1024) log.append(Buffer.alloc(992));
    };
    fill(30 * 1024);
    expect(arePressed()).toEqual([]);
    fill(4 * 1024);
    expect(arePressed()).toEqual([false]);
    fill(32 * 1024);
    expect(log.stats().segments).toBe(2);
    // More quickly than it could be made with pauses.
    expect(arePressed()).toEqual([false, true]);
    now += 5_000;
    fill(128 * 1024);
    expect(log.stats().segments).toBe(3);
    expect(arePressed()).toEqual([false, true, false]);
    // The third one is full only after a while.
    now += 60_000;
    fill(256 * 1024);
    expect(log.stats().segments).toBe(4);
    expect(prepare).toHaveBeenCalledTimes(3);
    fill(256 * 1024);
    expect(prepare).toHaveBeenCalledTimes(4);
  } finally {
    vi.restoreAllMocks();
  }
});

test.each(['none', 'commit', { everyMs: 60_000 }] as const)(
  'a loop without a turn of the event loop, sync %o, holds few of its segments open, and loses nothing of them',
  async (sync) => {
    const log = await open({ segment: '64KiB', sync });
    const value = Buffer.alloc(15_000, 1);
    while (log.segments().length < 150) log.append(value);
    expect(descriptorsIn(log.path)).toBeLessThan(100);
    const { next } = log;
    expect(await log.flush()).toBe(next);
    expect(log.durable).toBe(next);
    expect(await all(log)).toHaveLength(next);
    expect(await log.verify()).toMatchObject({ sound: true, checked: next, durable: next });
    const directory = log.path;
    const sealed = log.segments().slice(0, -1);
    await log.close();
    expect(descriptorsIn(directory)).toBe(0);
    const taken = sealed.map(({ path }) => statSync(path).blocks * 512);
    expect(Math.max(...taken)).toBeLessThan(statSync(sealed[0].path).size);
    expect(new Set(taken).size).toBe(1);
  },
);

test('a value of 25 bytes takes 64 bytes of file', async () => {
  const log = await open({ sync: 'none' });
  for (let i = 0; i < 100; i++) log.append(Buffer.alloc(25));
  expect(log.stats().bytes).toBe(6400);
});

test('a segment that is old enough is followed by a new one, unless nothing is in it', async () => {
  const log = await open({ rollAfterMs: 5 });
  log.append('old');
  while (log.segments().length < 2) await setTimeout(1);
  expect(log.append('new')).toBe(1);
  await log.close();
  const again = await open({ rollAfterMs: 60_000 }, log.path);
  expect((await collect(again.read())).map(textOf)).toEqual(['old', 'new']);
});

test('a segment in which nothing is gives way to one that is large enough, also under who reads it', async () => {
  const log = await open({ rollAfterMs: 5, sync: 'none' });
  log.append('old');
  while (log.segments().length < 2) await setTimeout(1);
  const tail = log.tail({ from: 'latest' });
  const large = Buffer.alloc(1_000_000, 1);
  expect(log.append(large)).toBe(1);
  expect(await tail.ready()).toBe(true);
  expect(tail.read()?.value.equals(large)).toBe(true);
  // That one may be old by now, too.
  expect(
    log
      .segments()
      .map(({ base }) => base)
      .slice(0, 2),
  ).toEqual([0, 1]);
});

test('what was sealed gives back the space behind its end', async () => {
  const log = await open({ segment: '1MiB', sync: 'none' });
  for (let i = 0; i < 8; i++) log.append(Buffer.alloc(140_000));
  await log.close();
  const again = await open({ readOnly: true }, log.path);
  const [{ path, bytes }] = again.segments();
  expect(statSync(path).size).toBeGreaterThan(1_048_576);
  expect(bytes).toBeLessThan(statSync(path).size - 50_000);
});

test('a batch lies in one segment, however full the last one is; one that fits in none is refused whole', async () => {
  const log = await open({ segment: '256KiB', sync: 'none' });
  log.append(Buffer.alloc(60_000));
  const batch = Array.from({ length: 100 }, (_, i) => Buffer.alloc(2000, i));
  expect(log.appendBatch(batch)).toBe(1);
  const error = thrown(() => log.appendBatch(Array.from({ length: 200 }, () => Buffer.alloc(2000))));
  expect(error).toMatchObject({ code: 'ERR_RECORD_TOO_LARGE', max: 256 * 1024 - 64 });
  expect(log.next).toBe(101);
  expect((await all(log)).slice(1).every(({ value }, i) => value.equals(batch[i]))).toBe(true);
});

test('a record may be a quarter of the largest segment, and no larger', async () => {
  const log = await open({ segment: '256KiB', sync: 'none' });
  const largest = Buffer.alloc(65_536, 1);
  expect(log.append(largest)).toBe(0);
  expect(thrown(() => log.append(Buffer.alloc(65_537)))).toMatchObject({
    code: 'ERR_RECORD_TOO_LARGE',
    size: 65_537,
    max: 65_536,
  });
  expect(log.append('small')).toBe(1);
  expect((await all(log)).map(({ value }) => value.length)).toEqual([65_536, 5]);
});

describe('durability', () => {
  test.each(['none', 'commit', { everyMs: 5 }] as const)(
    'sync %o: a commit is on the disk when it resolves',
    async (sync) => {
      const log = await open({ sync, segment: '64KiB' });
      const offsets = await Promise.all(Array.from({ length: 16 }, (_, i) => log.commit(`waiter ${i}`)));
      expect(offsets).toEqual([...offsets.keys()]);
      expect(log.durable).toBe(16);
      for (let i = 0; i < 3000; i++) log.append(`more ${i}`);
      expect(log.segments().length).toBeGreaterThan(2);
      expect(await log.commit(['x', 'y'])).toBe(3016);
      expect(log.durable).toBe(3018);
      expect(await log.flush()).toBe(3018);
      const { unsyncedBytes, syncs } = log.stats();
      expect(unsyncedBytes).toBe(0);
      expect(syncs.count).toBe(18);
      expect(syncs.p50).toBeGreaterThan(0);
      expect(syncs.max).toBeGreaterThanOrEqual(syncs.p999);
    },
  );

  test('appending is refused while too much waits for the disk, and goes on after ready()', async () => {
    const log = await open({ sync: { everyMs: 3_600_000 }, maxUnsyncedBytes: '64KiB' });
    const value = Buffer.alloc(1000);
    const fill = () => {
      for (;;) log.append(value);
    };
    expect(thrown(fill)).toMatchObject({ code: 'ERR_BACK_PRESSURE', max: 65_536 });
    const { next } = log;
    expect(next).toBeGreaterThan(60);
    expect(next).toBeLessThan(66);
    await log.ready();
    expect(log.append(value)).toBe(next);
    const signal = AbortSignal.abort();
    for (const wait of [() => log.ready({ signal }), () => log.appendAsync(value, { signal })]) {
      const { code, message } = await failure(wait);
      expect([code, message]).toEqual(['ERR_ABORTED', `Waiting for room to append to ${log.path}: aborted`]);
    }
    expect(await log.appendAsync(value)).toBe(next + 1);
  });

  test('a reader who asks for it sees only what is on the disk', async () => {
    const log = await open({ sync: { everyMs: 3_600_000 } });
    await log.commit('durable');
    log.append('not yet');
    expect((await collect(log.read({ durableOnly: true }))).map(textOf)).toEqual(['durable']);
    const following = log.read({ durableOnly: true, follow: true, from: 'earliest' });
    expect((await following.next()).value?.offset).toBe(0);
    const next = following.next();
    await log.flush();
    expect((await next).value?.offset).toBe(1);
    await following.return?.();
  });
});

test('what ends a wait too soon names the directory of the log', async () => {
  const log = await open();
  const { path } = log;
  const tail = log.tail();
  for (const wait of [
    (limits: WaitOptions) => log.read({ follow: true, ...limits }).next(),
    (limits: WaitOptions) => tail.ready(limits),
  ]) {
    expect(await failure(() => wait({ timeoutMs: 5 }))).toMatchObject({ code: 'ERR_TIMEOUT', path });
  }
  const signal = AbortSignal.abort();
  for (const wait of [
    () => log.appendAsync('x', { signal }),
    () => log.commit('x', { signal }),
    () => log.flush({ signal }),
    () => log.ready({ signal }),
    () => log.compact({ signal }),
    () => log.read({ follow: true, signal }).next(),
    () => tail.ready({ signal }),
  ]) {
    expect(await failure(wait)).toMatchObject({ code: 'ERR_ABORTED', path });
  }
});

test('what is no record is refused with the directory of the log', async () => {
  const log = await open();
  const { path } = log;
  for (const record of [5, null, {}, { value: 5 }, { value: 'x', ttlMs: 0 }] as unknown as string[]) {
    for (const work of [() => log.append(record), () => log.appendBatch([record])])
      expect(thrown(work)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    for (const work of [() => log.appendAsync(record), () => log.commit([record])])
      expect(await failure(work)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
  }
  expect(thrown(() => log.appendBatch('x' as never))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
  expect(log.next).toBe(0);
});

test('a closed log says so, and closes twice', async () => {
  const log = await open();
  log.append('x');
  const tail = log.tail({ from: 'earliest' });
  await Promise.all([log.close(), log.close()]);
  await log.close();
  for (const work of [
    () => log.append('y'),
    () => log.read(),
    () => log.tail(),
    () => log.next,
    () => tail.read(),
  ]) {
    expect(thrown(work)).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
  }
  expect(await failure(() => log.commit('y'))).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
});

test.each([
  [{ segmnt: 1 }, 'segment'],
  [{ segment: '1KiB' }, '16KiB'],
  [{ segment: 100_000 }, '4096'],
  [{ sync: 'always' }, 'none'],
  [{ sync: { everyMs: 0 } }, 'everyMs'],
  [{ sync: { everyMS: 1 } }, 'everyMs'],
  [{ writers: 'many' }, 'exclusive'],
  [{ readOnly: 1 }, 'readOnly'],
  [{ idle: 'parked' }, 'adaptive'],
  [{ idle: {} }, 'idle(looks, waitedMs)'],
  [{ maxUnsyncedBytes: -1 }, 'maxUnsyncedBytes'],
  [{ retention: { byte: 1 } }, 'bytes'],
  [{ retention: { segments: 0 } }, 'segments'],
  [{ retention: { keepUnread: false, maxUnread: '1MiB' } }, 'keepUnread'],
  [{ segment: null }, 'segment'],
  [{ retention: { maxUnread: null } }, 'maxUnread'],
  [{ rollAfterMs: 0 }, 'rollAfterMs'],
])('options %j are refused in words', async (options, word) => {
  const error = await failure(() => Log.open(newDirectory(), options as LogOptions));
  expect(error.code).toBe('ERR_INVALID_ARGUMENT');
  expect(error.message).toContain(word);
});

test('a record is refused that would expire beyond the last time there is', async () => {
  const log = await open({});
  const ttlMs = 3_155_760_000_000;
  const last = Number.MAX_SAFE_INTEGER - ttlMs * 1000;
  for (const us of [last + 1, Number.MAX_SAFE_INTEGER]) {
    const record = { value: 'x', timestamp: { us }, ttlMs };
    for (const append of [() => log.append(record), () => log.appendBatch(['y', record])]) {
      expect(thrown(append)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: log.path });
    }
  }
  expect(log.next).toBe(0);
  log.append({ value: 'x', timestamp: { us: last }, ttlMs });
  log.append({ value: 'x', timestamp: { us: Number.MAX_SAFE_INTEGER } });
  const [first, second] = await collect(log.read());
  expect([first.expiresAt, second.expiresAt]).toEqual([Number.MAX_SAFE_INTEGER, undefined]);
});

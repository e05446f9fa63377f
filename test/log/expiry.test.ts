import { describe, expect, test, vi } from 'vitest';
import { environment } from '../../lib/channel/index.js';
import type { Log, LogOptions, ReadOptions } from '../../lib/log/index.js';
import { clock, withOwnClock } from './own-clock.js';
import { apply, open, readAll, VALUE } from './retained.js';

withOwnClock();

const TTL_MS = 300;
const WORK_US = 50_000;
/** So many are handed out before the rest has expired, when each takes so long. */
const IN_TIME = (TTL_MS * 1000) / WORK_US;
const MANY = 200;

const each = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const command = (i: number) => ({ value: `command ${i}`, ttlMs: TTL_MS });

describe.each<[string, LogOptions]>([
  ['plain', {}],
  ['compressed', { compression: 'deflate' }],
])('what expires after it was read is not handed out (%s)', (_, options) => {
  /** What ends soon, and behind it what stays. */
  async function opened(): Promise<Log> {
    const log = await open(options);
    log.appendBatch(each(MANY, command));
    log.append('stays');
    return log;
  }

  async function readSlowly(log: Log, reading: ReadOptions): Promise<number[]> {
    const offsets: number[] = [];
    for await (const { offset, expiresAt = Number.POSITIVE_INFINITY } of log.read(reading)) {
      expect(expiresAt).toBeGreaterThan(clock.us);
      offsets.push(offset);
      clock.us += WORK_US;
    }
    return offsets;
  }

  test('to who iterates', async () => {
    const log = await opened();
    expect(await readSlowly(log, { cursor: 'c' })).toEqual([...each(IN_TIME, (i) => i), MANY]);
    expect(log.cursor('c').get()).toBe(log.next);
    expect(await readSlowly(log, {})).toEqual([MANY]);
  });

  test('to who iterates backwards', async () => {
    const log = await opened();
    expect(await readSlowly(log, { reverse: true })).toEqual(each(IN_TIME, (i) => MANY - i));
  });

  test('nor does it count', async () => {
    const log = await opened();
    expect(await readSlowly(log, { limit: IN_TIME + 1 })).toEqual([...each(IN_TIME, (i) => i), MANY]);
  });

  test('to a handler that takes its time', async () => {
    const log = await opened();
    const tail = log.tail({ from: 'earliest' });
    const offsets: number[] = [];
    const count = tail.poll(() => {
      offsets.push(tail.offset);
      clock.us += WORK_US;
    });
    expect(offsets).toEqual([...each(IN_TIME, (i) => i), MANY]);
    expect(count).toBe(IN_TIME + 1);
  });

  test('to a handler again that could not take it', async () => {
    const log = await opened();
    const tail = log.tail({ from: 'earliest' });
    const fail = () => {
      throw new Error('not now');
    };
    expect(() => tail.poll(fail)).toThrow('not now');
    expect(tail.offset).toBe(0);
    clock.us += TTL_MS * 1000;
    expect(tail.readBatch(MANY).map(({ offset }) => offset)).toEqual([MANY]);
  });

  test('to who takes a time between two reads', async () => {
    const log = await opened();
    const tail = log.tail({ from: 'earliest' });
    expect(tail.readBatch(3)).toHaveLength(3);
    clock.us += TTL_MS * 1000 - 1;
    expect(tail.read()?.offset).toBe(3);
    clock.us += 1;
    expect(tail.read()?.offset).toBe(MANY);
    expect(tail.hasNext()).toBe(false);
  });

  test('in the next batch', async () => {
    const log = await opened();
    const lengths: number[] = [];
    for await (const batch of log.batches({ max: 10 })) {
      lengths.push(batch.length);
      clock.us += (TTL_MS * 1000) / 3;
    }
    expect(lengths).toEqual([10, 10, 10, 1]);
  });
});

test('a cursor from which on all is removed, or has expired, is moved to the end', async () => {
  const log = await open();
  const add = () => log.append({ value: Buffer.alloc(VALUE), ttlMs: 1 });
  add();
  await log.cursor('c').set(0);
  while (log.segments().length < 3) add();
  await apply(log, { segments: 2, keepUnread: false });
  clock.us += 1000;
  expect(await readAll(log, { cursor: 'c', outOfRange: 'latest' })).toEqual([]);
  expect(log.cursor('c').get()).toBe(0);
  expect(await readAll(log, { cursor: 'c', outOfRange: 'earliest' })).toEqual([]);
  expect(log.cursor('c').get()).toBe(log.next);
});

test.each<[string, LogOptions]>([
  ['plain', {}],
  ['compressed', { compression: 'deflate' }],
])('what has no time to live pays for no look at the clock (%s)', async (_, options) => {
  const log = await open(options);
  log.appendBatch(each(MANY, (i) => ({ key: `key ${i}`, value: 'value' })));
  const looks = vi.mocked(environment.nowUs);
  looks.mockClear();
  const tail = log.tail({ from: 'earliest' });
  expect(tail.poll(() => {})).toBe(MANY);
  for (const reading of [log.read(), log.read({ reverse: true }), log.batches()]) {
    for await (const _ of reading);
  }
  expect(looks).not.toHaveBeenCalled();
});

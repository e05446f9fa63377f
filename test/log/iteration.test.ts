import { afterEach, describe, expect, test, vi } from 'vitest';
import { environment, LEAST_RECORDS_A_BATCH, SegmentReader } from '../../lib/channel/index.js';
import { turnBegins } from '../../lib/channel/runtime/index.js';
import { MillraceError } from '../../lib/errors.js';
import { Log } from '../../lib/log/index.js';
import { iterate, iterateBatches, type RecordSource } from '../../lib/log/reading/index.js';
import type { LogRecord } from '../../lib/log/records/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const RECORDS = 200;
const READING_MS = 1;

afterEach(() => {
  vi.restoreAllMocks();
  turnBegins();
});

/** Takes its time for each record, by a clock that stands still otherwise. Breaks where it is told to. */
class SlowSource implements RecordSource {
  readonly path = 'slow';
  closed = false;
  offset = 0;
  readonly #breaksAt: number;
  #now = performance.now();

  constructor(breaksAt = Number.POSITIVE_INFINITY) {
    this.#breaksAt = breaksAt;
    vi.spyOn(performance, 'now').mockImplementation(() => this.#now);
  }

  read(max: number): LogRecord[] {
    const records: LogRecord[] = [];
    while (records.length < max && this.offset < Math.min(RECORDS, this.#breaksAt)) {
      records.push({ offset: this.offset++, timestamp: 0, value: Buffer.alloc(1) });
      this.#now += READING_MS;
    }
    if (records.length === 0 && this.offset === this.#breaksAt)
      throw new MillraceError('ERR_CORRUPT', 'broken', {});
    return records;
  }

  async wait(): Promise<boolean> {
    return this.offset === this.#breaksAt;
  }

  rouse(): void {}

  close(): void {
    this.closed = true;
  }
}

const open = () => {};

/** How many records were read in the longest stretch without a turn of the event loop. */
async function longestStretch(source: RecordSource, reading: AsyncIterable<unknown>): Promise<number> {
  let before = 0;
  let longest = 0;
  let over = false;
  const look = () => {
    longest = Math.max(longest, source.offset - before);
    before = source.offset;
  };
  setImmediate(function turn() {
    look();
    if (!over) setImmediate(turn);
  });
  for await (const _ of reading);
  over = true;
  look();
  return longest;
}

describe.each([
  // 5 ms, and what is read between two looks at the clock.
  ['iteration', iterate, 8],
  // However slow they are, 16 are read as one.
  ['batches', iterateBatches, 16],
])('%s over slow records', (_, iteration, most) => {
  test('leaves the event loop its turns', async () => {
    const source = new SlowSource();
    const longest = await longestStretch(source, iteration(source, {}, undefined, open));
    expect(source.offset).toBe(RECORDS);
    expect(longest).toBeLessThanOrEqual(most);
  });

  test('hands out what was read before it tells what went wrong', async () => {
    const source = new SlowSource(7);
    const read: unknown[] = [];
    const reading = async () => {
      for await (const next of iteration(source, {}, undefined, open)) read.push(next);
    };
    expect(await failure(reading)).toMatchObject({ message: 'broken' });
    const offsets = (read as (LogRecord | LogRecord[])[]).flat().map(({ offset }) => offset);
    expect(offsets).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(source.closed).toBe(true);
  });
});

/** By a clock that stands still otherwise each step takes its time. How many there are, and in one turn of the event loop. */
async function stepsOf(
  spyOn: (step: () => void) => void,
  reading: () => AsyncIterable<unknown>,
): Promise<{ all: number; inOneTurn: number }> {
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  let all = 0;
  let before = 0;
  let inOneTurn = 0;
  let over = false;
  const look = () => {
    inOneTurn = Math.max(inOneTurn, all - before);
    before = all;
  };
  spyOn(() => {
    now += 2;
    all++;
  });
  setImmediate(function turn() {
    look();
    if (!over) setImmediate(turn);
  });
  for await (const _ of reading());
  over = true;
  look();
  return { all, inOneTurn };
}

const WAYS: [string, (log: Log) => AsyncIterable<unknown>][] = [
  ['iteration', (log) => log.read()],
  ['batches', (log) => log.batches()],
  ['the way back', (log) => log.read({ reverse: true })],
];

describe.each(WAYS)('what is passed over leaves the event loop its turns: %s', (_, reading) => {
  test.each([{}, { compression: 'deflate' }] as const)('what has expired, %o', async (options) => {
    await using log = await Log.open(newDirectory(), options);
    const record = { value: 'x', timestamp: 1, ttlMs: 1 };
    log.appendBatch(Array(RECORDS).fill(record));
    const steps = await stepsOf(
      (step) => {
        const nowUs = environment.nowUs.bind(environment);
        vi.spyOn(environment, 'nowUs').mockImplementation(() => {
          step();
          return nowUs();
        });
      },
      () => reading(log),
    );
    expect(steps.all).toBeGreaterThanOrEqual(RECORDS);
    expect(steps.inOneTurn).toBeLessThanOrEqual(LEAST_RECORDS_A_BATCH + 4);
  });
});

async function* waiting(log: Log): AsyncGenerator<boolean> {
  using tail = log.tail({ from: 'earliest' });
  yield await tail.ready();
}

test.each<[string, (log: Log) => AsyncIterable<unknown>]>([...WAYS, ['waiting', waiting]])(
  'so do segments in which nothing is left: %s',
  async (_, reading) => {
    await using log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none' });
    while (log.segments().length < 30) log.append({ value: Buffer.alloc(3000), timestamp: 1, ttlMs: 1 });
    expect(await log.compact()).toMatchObject({ segments: 29 });
    const steps = await stepsOf(
      (step) => {
        const openNow = SegmentReader.openNow.bind(SegmentReader);
        vi.spyOn(SegmentReader, 'openNow').mockImplementation((...given) => {
          step();
          return openNow(...given);
        });
      },
      () => reading(log),
    );
    expect(steps.all).toBeGreaterThanOrEqual(30);
    expect(steps.inOneTurn).toBeLessThanOrEqual(4);
  },
);

test('batches that are waited for can be left', async () => {
  await using log = await Log.open(newDirectory());
  const batches = log.batches({ follow: true });
  const next = batches.next();
  await batches.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
});

import { afterEach, describe, expect, test, vi } from 'vitest';
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

test('batches that are waited for can be left', async () => {
  await using log = await Log.open(newDirectory());
  const batches = log.batches({ follow: true });
  const next = batches.next();
  await batches.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
});

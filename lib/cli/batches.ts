import type { Readable } from 'node:stream';
import type { Cutter } from './input.js';
import { say } from './output.js';
import { plain } from './words.js';

/** What comes at once goes in at once, but no more than that. */
export const MOST_RECORDS = 1000;
export const MOST_BYTES = 2 ** 20;

/** What a record takes besides its bytes. */
export const FRAME_BYTES = 64;

export interface BatchSize<T> {
  /** So many records each, the last ones apart; left out: what has come. */
  exactly: number | undefined;
  /** What a batch takes that is not to grow any more, where there is no number of its records. */
  most: number;
  /** What a record takes, at most. */
  bytesOf(record: T): number;
}

/**
 * The records of an input, batch by batch. Stopped, it ends with those that had come whole. Where the input fails, those
 * before that are given, but not a part of a batch of exactly so many, which goes in as a whole or not at all.
 */
export async function* batchesOf<T>(
  input: Readable,
  cutter: Cutter<T>,
  { exactly, most, bytesOf }: BatchSize<T>,
  stop: AbortSignal,
): AsyncGenerator<T[], void, undefined> {
  const mostBytes = Math.min(MOST_BYTES, most);
  let batch: T[] = [];
  let bytes = 0;
  const isFull = (record: T) => {
    bytes += bytesOf(record);
    batch.push(record);
    return exactly === undefined
      ? batch.length === MOST_RECORDS || bytes >= mostBytes
      : batch.length === exactly;
  };
  const taken = () => {
    const whole = batch;
    batch = [];
    bytes = 0;
    return whole;
  };
  const end = () => input.destroy();
  stop.addEventListener('abort', end);
  let failure: unknown;
  try {
    for await (const piece of input) {
      for (const record of cutter.take(piece)) if (isFull(record)) yield taken();
      if (exactly === undefined && batch.length > 0) yield taken();
    }
    const last = cutter.end();
    if (last !== undefined && isFull(last)) yield taken();
  } catch (error) {
    if (!(stop.aborted && isOfDestroying(error))) failure = error;
  } finally {
    stop.removeEventListener('abort', end);
  }
  if (batch.length > 0) {
    if (failure === undefined || exactly === undefined) yield batch;
    else
      say(`${plain(batch.length, 'record')} of a batch of ${exactly} did not go in: the input fails in it`);
  }
  if (failure !== undefined) throw failure;
}

/** What a stream says that was ended by whoever reads it. */
function isOfDestroying(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';
}

import type { Readable } from 'node:stream';
import type { Appendable } from '../../log/index.js';
import type { Cutter } from './input.js';

/** What comes at once goes in at once, but no more than that. */
const MOST_RECORDS = 1000;
const MOST_BYTES = 2 ** 20;
/** A batch is all in one segment. */
const PART_OF_SEGMENT = 8;
/** What a record takes besides. */
const FRAME_BYTES = 64;
/** UTF-8 takes no more for each of a string's units. */
const BYTES_A_UNIT = 3;

export interface BatchSize {
  /** So many records each, the last ones apart; left out: what has come. */
  exactly: number | undefined;
  /** Bytes of the log's segments. */
  segment: number;
}

/** The records of an input, batch by batch. Stopped, it ends with those that had come whole. */
export async function* batchesOf(
  input: Readable,
  cutter: Cutter,
  { exactly, segment }: BatchSize,
  stop: AbortSignal,
): AsyncGenerator<Appendable[], void, undefined> {
  const most = Math.min(MOST_BYTES, segment / PART_OF_SEGMENT);
  let batch: Appendable[] = [];
  let bytes = 0;
  const isFull = (record: Appendable) => {
    bytes += bytesOf(record);
    batch.push(record);
    return exactly === undefined ? batch.length === MOST_RECORDS || bytes >= most : batch.length === exactly;
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
    if (!stop.aborted) failure = error;
  } finally {
    stop.removeEventListener('abort', end);
  }
  if (batch.length > 0) yield batch;
  if (failure !== undefined) throw failure;
}

function bytesOf(record: Appendable): number {
  if (record instanceof Uint8Array) return record.length + FRAME_BYTES;
  if (typeof record === 'string') return record.length * BYTES_A_UNIT + FRAME_BYTES;
  const { key = '', value, headers = [] } = record;
  let units = key.length + (value?.length ?? 0);
  for (const [name, data] of Array.isArray(headers) ? headers : Object.entries(headers)) {
    units += name.length + data.length;
  }
  return units * BYTES_A_UNIT + FRAME_BYTES;
}

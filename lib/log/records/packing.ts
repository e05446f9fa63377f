import {
  type Algorithm,
  checkCompression,
  compress,
  DescribedRecord,
  decompress,
  numberOf,
  whyNotUnpacked,
} from '../../channel/index.js';
import { invalidArgument, MillraceError } from '../../errors.js';
import { frameBytes, type LogRecord, PACKED, PARTS } from './record.js';
import { decodeRecord, fromPool } from './record-decoder.js';
import {
  NO_NUMBER,
  readSigned,
  readVarint,
  signedBytes,
  varintBytes,
  writeSigned,
  writeVarint,
} from './varint.js';

/** What a batch may be at most, for whoever unpacks it: its bytes, and its records, each of which takes memory, too. */
const MAX_UNPACKED = 64 * 2 ** 20;
export const MAX_COUNT = 65536;
/** More than this comes only of something that is not too small for it. */
const FREELY_UNPACKED = 2 ** 20;
const MAX_RATIO = 1024;
/** Flags and a length. */
const LEAST_RECORD = 2;
/** Who wants one record unpacks all that it was packed with. With four bytes each at least they are not too many. */
const CHUNK = 256 * 1024;
/** What a record takes beside its payload is hardly ever more. */
const ROUND_A_RECORD = 8;
/** The algorithm, and four numbers. */
const MOST_HEAD = 33;

/** A record that is ready for its frame. */
export type EncodedRecord = DescribedRecord<Uint8Array, number>;

/** Called for each record of a batch; `bytes[start, end)` is its payload. Who keeps a part of `bytes` keeps all of the batch. */
export type UnpackHandler = (
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  offset: number,
  timestampUs: number,
) => void;

/** What a packed payload says before it is unpacked. */
export interface PackedHead {
  count: number;
  /** The offset of its first record. */
  first: number;
  firstUs: number;
  algorithm: number;
  /** How long it is unpacked. */
  length: number;
  /** Where the packed bytes begin. */
  at: number;
}

/**
 * What to write for these records: in chunks that are each one compressed record of at most `largest` bytes, or left as
 * they are where that is smaller.
 */
export function packAll(
  records: readonly EncodedRecord[],
  largest: number,
  algorithm: Algorithm,
  level?: number,
): EncodedRecord[] {
  const result: EncodedRecord[] = [];
  for (let from = 0; from < records.length; ) {
    const to = endOfChunk(records, from, Math.min(CHUNK, largest));
    const chunk = records.slice(from, to);
    const packed = pack(chunk, algorithm, level);
    if (packed !== undefined && packed.length <= largest) result.push(packed);
    else for (const record of chunk) result.push(record);
    from = to;
  }
  return result;
}

function endOfChunk(records: readonly EncodedRecord[], from: number, most: number): number {
  let to = from;
  let bytes = 0;
  do {
    bytes += records[to].length + ROUND_A_RECORD;
    to++;
  } while (to < records.length && bytes + records[to].length + ROUND_A_RECORD <= most);
  return to;
}

/**
 * Makes one record of many, compressed; they come in the order of their offsets. Undefined where it would take no less
 * of a segment than they do by themselves, or be more than `unpack` takes.
 */
export function pack(
  records: readonly EncodedRecord[],
  algorithm: Algorithm,
  level?: number,
): EncodedRecord | undefined {
  checkCompression(algorithm, level);
  const length = joinedLength(records);
  if (records.length === 0 || records.length > MAX_COUNT || length > MAX_UNPACKED) return undefined;
  const packed = compress(joined(records, length), algorithm, level);
  if (length > mostFrom(packed.length)) return undefined;
  const timeUs = records.reduce((latest, record) => Math.max(latest, record.timeUs), 0);
  const data = Buffer.concat([head(records, timeUs, algorithm, length), packed]);
  const apart = records.reduce((bytes, record) => bytes + frameBytes(record.length), 0);
  if (frameBytes(data.length) >= apart) return undefined;
  return new DescribedRecord(data, data.length, PACKED, records[records.length - 1].tag, timeUs);
}

/** The most that so many packed bytes are believed to become. */
function mostFrom(packed: number): number {
  return Math.min(MAX_UNPACKED, Math.max(FREELY_UNPACKED, packed * MAX_RATIO));
}

function head(
  records: readonly EncodedRecord[],
  timeUs: number,
  algorithm: Algorithm,
  length: number,
): Buffer {
  const [first] = records;
  const last = records[records.length - 1];
  const bytes = Buffer.alloc(MOST_HEAD);
  bytes[0] = numberOf(algorithm);
  let at = writeVarint(bytes, 1, records.length);
  at = writeVarint(bytes, at, last.tag - first.tag);
  at = writeVarint(bytes, at, timeUs - first.timeUs);
  at = writeVarint(bytes, at, length);
  return bytes.subarray(0, at);
}

function joinedLength(records: readonly EncodedRecord[]): number {
  let bytes = 0;
  records.forEach(({ tag, timeUs, length, type }, i) => {
    if (i > 0) {
      const before = records[i - 1];
      if (tag <= before.tag) throw invalidArgument(`Record ${tag} can't follow record ${before.tag}`);
      bytes += varintBytes(tag - before.tag - 1) + signedBytes(timeUs - before.timeUs);
    }
    if ((type & ~PARTS) !== 0) throw invalidArgument(`A record of type ${type} can't be packed`);
    bytes += 1 + varintBytes(length) + length;
  });
  return bytes;
}

function joined(records: readonly EncodedRecord[], bytes: number): Buffer {
  const target = Buffer.allocUnsafe(bytes);
  let at = 0;
  records.forEach(({ data, tag, timeUs, length, type }, i) => {
    if (i > 0) {
      const before = records[i - 1];
      at = writeVarint(target, at, tag - before.tag - 1);
      at = writeSigned(target, at, timeUs - before.timeUs);
    }
    target[at] = type;
    at = writeVarint(target, at + 1, length);
    target.set(data, at);
    at += length;
  });
  return target;
}

/** What a packed payload says of itself, before anything is unpacked. */
export function packedHead(
  bytes: Buffer,
  start: number,
  end: number,
  tag: number,
  timestampUs: number,
): PackedHead {
  const algorithm = bytes[start];
  let at = start + 1;
  const next = (): number => {
    const number = readVarint(bytes, at, end);
    if (number === NO_NUMBER) throw corruptBatch(tag, 'its head ends too soon');
    at += varintBytes(number);
    return number;
  };
  if (start >= end) throw corruptBatch(tag, 'it is empty');
  const count = next();
  const span = next();
  const firstUs = timestampUs - next();
  const length = next();
  if (count < 1 || count > Math.min(MAX_COUNT, span + 1) || span > tag || firstUs < 0) {
    throw corruptBatch(tag, `it can't have ${count} records`);
  }
  if (length > mostFrom(end - at) || length < count * LEAST_RECORD) {
    throw corruptBatch(tag, `${end - at} bytes can't be ${count} records in ${length} bytes`);
  }
  return { algorithm, count, first: tag - span, firstUs, length, at };
}

/** Hands out the records of the batch in a frame of that tag and timestamp. Those before damage are handed out, too. */
export function unpackEach(
  bytes: Buffer,
  start: number,
  end: number,
  tag: number,
  timestampUs: number,
  handler: UnpackHandler,
): void {
  const head = packedHead(bytes, start, end, tag, timestampUs);
  const unknown = whyNotUnpacked(head.algorithm);
  if (unknown !== undefined) {
    throw new MillraceError('ERR_FORMAT', `Record ${tag} is in a compressed batch: ${unknown}`, {
      offset: tag,
      compression: head.algorithm,
    });
  }
  const batch = decompress(bytes.subarray(head.at, end), head.algorithm, head.length);
  if (batch === undefined) throw corruptBatch(tag, 'it does not unpack to what it should be');
  walk(batch, head, tag, timestampUs, handler);
}

function walk(
  batch: Buffer,
  { count, first, firstUs }: PackedHead,
  tag: number,
  latestUs: number,
  handler: UnpackHandler,
): void {
  let at = 0;
  let offset = first;
  let timeUs = firstUs;
  let latest = 0;
  for (let i = 0; i < count; i++) {
    if (i > 0) {
      const leftOut = readVarint(batch, at, batch.length);
      at += varintBytes(leftOut);
      const later = readSigned(batch, at, batch.length);
      at += signedBytes(later);
      offset += 1 + leftOut;
      timeUs += later;
      if (leftOut === NO_NUMBER || offset > tag || !(timeUs >= 0)) {
        throw corruptBatch(tag, `its record ${i} has an offset or a timestamp that can't be`);
      }
    }
    const type = batch[at];
    const length = readVarint(batch, at + 1, batch.length);
    const start = at + 1 + varintBytes(length);
    if (length === NO_NUMBER || length > batch.length - start || (type & PACKED) !== 0) {
      throw corruptBatch(tag, `record ${offset} does not end in it`);
    }
    at = start + length;
    latest = Math.max(latest, timeUs);
    handler(batch, start, at, type, offset, timeUs);
  }
  if (at !== batch.length || offset !== tag || latest !== latestUs) {
    throw corruptBatch(tag, 'it does not end as it should');
  }
}

/** The same as records to keep. */
export function unpack(
  bytes: Buffer,
  start: number,
  end: number,
  tag: number,
  timestampUs: number,
): LogRecord[] {
  const records: LogRecord[] = [];
  unpackEach(bytes, start, end, tag, timestampUs, (batch, from, to, type, offset, timeUs) => {
    records.push(decodeRecord(batch, from, to, type, offset, timeUs, fromPool));
  });
  return records;
}

function corruptBatch(tag: number, what: string): MillraceError {
  return new MillraceError(
    'ERR_CORRUPT',
    `The compressed batch that ends with record ${tag} is damaged: ${what}`,
    { offset: tag },
  );
}

import { partOf } from '../../channel/index.js';
import {
  corruptRecord,
  EXPIRES,
  HEADERS,
  KEY,
  type LogRecord,
  MAX_HEADERS,
  MAX_TTL_MS,
  PARTS,
  TOMBSTONE,
  unknownType,
} from './record.js';
import { NO_NUMBER, readVarint, varintBytes } from './varint.js';

/** A name of one byte, an empty value, and the lengths of both. */
const LEAST_HEADER = 3;
export const NO_KEY = -1;

/** Called for each header; its value is `bytes[valueStart, valueEnd)` of those that are looked through. */
export type HeaderHandler = (name: string, valueStart: number, valueEnd: number) => void;

/** Makes copies of bytes that are lent: a channel's `Copier`, or `fromPool`. */
export interface Copies {
  copy(bytes: Buffer, start: number, end: number): Buffer;
}

/** Copies of bytes that lie anywhere. */
export const fromPool: Copies = {
  copy: (bytes, start, end) => Buffer.from(bytes.subarray(start, end)),
};

/**
 * Where the parts of a payload lie, found without making anything: for who looks at many records to keep few. One
 * object for any number of them. Bytes that can't be such a record's payload are an error.
 */
export class RecordParts {
  /** Infinity where it never does. */
  expiresAtUs = Number.POSITIVE_INFINITY;
  /** `NO_KEY` where there is none. */
  keyStart = NO_KEY;
  keyEnd = NO_KEY;
  /** Where headers begin, or else the value. */
  rest = 0;

  /** Looks at nothing behind the key. */
  find(bytes: Buffer, start: number, end: number, type: number, offset: number, timestampUs: number): void {
    if ((type & ~PARTS) !== 0) throw unknownType(offset, type);
    this.rest = start;
    this.expiresAtUs = Number.POSITIVE_INFINITY;
    if ((type & EXPIRES) !== 0) {
      const ttlMs = readVarint(bytes, start, end);
      if (ttlMs < 1 || ttlMs > MAX_TTL_MS) throw corruptRecord(offset, 'its time to live is none');
      this.expiresAtUs = timestampUs + ttlMs * 1000;
      this.rest += varintBytes(ttlMs);
    }
    if ((type & KEY) !== 0) {
      this.keyStart = this.#part(bytes, end, offset, 'its key');
      this.keyEnd = this.rest;
    } else {
      if ((type & TOMBSTONE) !== 0) throw corruptRecord(offset, 'it says that a key is gone, and has none');
      this.keyStart = this.keyEnd = NO_KEY;
    }
  }

  /** Behind `find`: passes over the headers, whose names are looked at only for a handler; then the value begins at `rest`. */
  findValue(bytes: Buffer, end: number, type: number, offset: number, handler?: HeaderHandler): void {
    if ((type & HEADERS) !== 0) this.#passHeaders(bytes, end, offset, handler);
    if ((type & TOMBSTONE) !== 0 && this.rest !== end) {
      throw corruptRecord(offset, 'it says that its key is gone, and has a value');
    }
  }

  #passHeaders(bytes: Buffer, end: number, offset: number, handler: HeaderHandler | undefined): void {
    const count = readVarint(bytes, this.rest, end);
    if (count < 1 || count > (end - this.rest) / LEAST_HEADER) {
      throw corruptRecord(offset, 'it has no room for as many headers as it should have');
    }
    if (count > MAX_HEADERS) throw corruptRecord(offset, 'it has more headers than a record may have');
    this.rest += varintBytes(count);
    for (let i = 0; i < count; i++) {
      const nameStart = this.#part(bytes, end, offset, 'the name of a header');
      const nameEnd = this.rest;
      if (nameEnd === nameStart) throw corruptRecord(offset, 'a header has no name');
      const valueStart = this.#part(bytes, end, offset, 'the value of a header');
      handler?.(nameOf(bytes, nameStart, nameEnd, offset), valueStart, this.rest);
    }
  }

  /** Passes over a length and the bytes that it speaks of: they begin at what is returned, and end at `rest`. */
  #part(bytes: Buffer, end: number, offset: number, what: string): number {
    const length = readVarint(bytes, this.rest, end);
    const start = this.rest + varintBytes(length);
    if (length === NO_NUMBER || length > end - start)
      throw corruptRecord(offset, `${what} does not end in it`);
    this.rest = start + length;
    return start;
  }
}

function nameOf(bytes: Buffer, start: number, end: number, offset: number): string {
  const name = bytes.toString('utf8', start, end);
  // Where this mark stands, it may have taken the place of what is no UTF-8.
  if (name.includes('\ufffd') && !Buffer.from(name).equals(bytes.subarray(start, end))) {
    throw corruptRecord(offset, 'the name of a header is no UTF-8');
  }
  return name;
}

const parts = new RecordParts();

/** What the payload `bytes[start, end)` of a frame of that type says; copied before anything of it is believed. */
export function decodeRecord(
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  offset: number,
  timestampUs: number,
  copies: Copies,
): LogRecord {
  const payload = copies.copy(bytes, start, end);
  if (type === 0) return { offset, timestamp: timestampUs, value: payload };
  const { length } = payload;
  parts.find(payload, 0, length, type, offset, timestampUs);
  if (type === KEY) {
    const key = partOf(payload, parts.keyStart, parts.keyEnd);
    return { offset, timestamp: timestampUs, key, value: partOf(payload, parts.rest, length) };
  }
  return decodeRest(payload, type, offset, timestampUs);
}

function decodeRest(payload: Buffer, type: number, offset: number, timestamp: number): LogRecord {
  const record: LogRecord = { offset, timestamp, value: payload };
  if ((type & EXPIRES) !== 0) record.expiresAt = parts.expiresAtUs;
  if ((type & KEY) !== 0) record.key = partOf(payload, parts.keyStart, parts.keyEnd);
  const headers: LogRecord['headers'] = (type & HEADERS) === 0 ? undefined : [];
  if (headers !== undefined) record.headers = headers;
  if ((type & TOMBSTONE) !== 0) record.tombstone = true;
  const keep: HeaderHandler | undefined =
    headers && ((name, start, end) => headers.push([name, partOf(payload, start, end)]));
  parts.findValue(payload, payload.length, type, offset, keep);
  record.value = partOf(payload, parts.rest, payload.length);
  return record;
}

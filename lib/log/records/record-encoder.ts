import { timeInUs } from '../../channel/index.js';
import { HeaderList } from './header-list.js';
import { bytesOf, putBytes } from './put-bytes.js';
import { EXPIRES, HEADERS, KEY, type LogRecordInput, TOMBSTONE } from './record.js';
import { checkBytes, checkFields, checkTtl, checkValue, isBytes } from './record-check.js';
import { varintBytes, writeVarint } from './varint.js';

/** The timestamp of a record that was given none. */
export const NO_TIME = -1;

/**
 * Writes records straight to where they go, one at a time: `measure`, then whatever the caller does with length, type
 * and time, then `write`. It looks at each field of a record once, so what it writes is what it measured.
 */
export class RecordEncoder {
  /** Which parts the record has, for its frame's type. */
  type = 0;
  /** Microseconds since 1970, or `NO_TIME`. */
  timeUs = NO_TIME;
  readonly #headers = new HeaderList();
  #ttlMs = 0;
  #key: Uint8Array | string = '';
  #keyBytes = 0;
  #value: Uint8Array | string = '';
  #valueBytes = 0;

  /** Checks all of it. Returns the length of its payload. */
  measure(input: LogRecordInput | Uint8Array | string): number {
    this.type = 0;
    this.timeUs = NO_TIME;
    if (isBytes(input)) {
      this.#value = input;
      this.#valueBytes = bytesOf(input);
      return this.#valueBytes;
    }
    checkFields(input);
    const { key, value, headers, timestamp, ttlMs } = input;
    this.#valueBytes = checkValue(value, key !== undefined);
    let length = this.#valueBytes;
    if (timestamp !== undefined) this.timeUs = timeInUs('timestamp', timestamp);
    if (ttlMs !== undefined) length += this.#takeTtl(checkTtl(ttlMs, this.timeUs));
    if (key !== undefined) length += this.#takeKey(key);
    if (headers !== undefined) length += this.#takeHeaders(headers);
    if (value === null) this.type |= TOMBSTONE;
    this.#value = value ?? '';
    return length;
  }

  #takeTtl(ttlMs: number): number {
    this.type |= EXPIRES;
    this.#ttlMs = ttlMs;
    return varintBytes(ttlMs);
  }

  #takeKey(key: Uint8Array | string): number {
    this.type |= KEY;
    this.#keyBytes = checkBytes('key', key);
    this.#key = key;
    return varintBytes(this.#keyBytes) + this.#keyBytes;
  }

  #takeHeaders(headers: NonNullable<LogRecordInput['headers']>): number {
    const bytes = this.#headers.collect(headers);
    if (this.#headers.count === 0) return 0;
    this.type |= HEADERS;
    return bytes;
  }

  /** Writes what was measured last, and lets go of it. */
  write(target: Buffer, at: number): void {
    const { type } = this;
    let to = at;
    if ((type & EXPIRES) !== 0) to = writeVarint(target, to, this.#ttlMs);
    if ((type & KEY) !== 0) {
      to = writeVarint(target, to, this.#keyBytes);
      putBytes(target, to, this.#key, this.#keyBytes);
      to += this.#keyBytes;
      this.#key = '';
    }
    if ((type & HEADERS) !== 0) {
      to = this.#headers.write(target, to);
      this.#headers.clear();
    }
    putBytes(target, to, this.#value, this.#valueBytes);
    this.#value = '';
  }
}

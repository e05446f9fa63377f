import { isByteArray } from '../../channel/index.js';
import { invalidArgument, type MillraceError } from '../../errors.js';
import { show, unknownOption } from '../../options.js';
import { bytesOf } from './put-bytes.js';
import { type LogRecordInput, MAX_TTL_MS } from './record.js';

const FIELDS = ['key', 'value', 'headers', 'timestamp', 'ttlMs'] as const;

export function isBytes(data: unknown): data is Uint8Array | string {
  return typeof data === 'string' || isByteArray(data);
}

/** Refuses what is no object, and an object with fields that a record doesn't have. */
export function checkFields(input: unknown): asserts input is LogRecordInput {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw invalidArgument(
      `A record must be a Uint8Array, a string or { key, value, headers, timestamp, ttlMs }, not ${show(input)}`,
    );
  }
  const unknown = unknownField(input);
  if (unknown !== undefined) throw unknownOption('A record', unknown, FIELDS);
}

/** Makes no list of them, as `Object.keys` does; but it also meets inherited ones, which are none. */
function unknownField(input: object): string | undefined {
  for (const name in input) {
    switch (name) {
      case 'key':
      case 'value':
      case 'headers':
      case 'timestamp':
      case 'ttlMs':
        continue;
      default:
        if (Object.hasOwn(input, name)) return name;
    }
  }
  return undefined;
}

/** Its length in bytes. */
export function checkBytes(what: string, data: unknown): number {
  if (isBytes(data)) return bytesOf(data);
  throw notBytes(what, data);
}

export function notBytes(what: string, data: unknown): MillraceError {
  return invalidArgument(`The ${what} of a record must be a Uint8Array or a string, not ${show(data)}`);
}

export function checkValue(value: unknown, hasKey: boolean): number {
  if (value === undefined) {
    throw invalidArgument('A record needs a value; null as the value of a key says that what had it is gone');
  }
  if (value !== null) return checkBytes('value', value);
  if (!hasKey)
    throw invalidArgument('A record whose value is null needs a key: it says that what had it is gone');
  return 0;
}

/** `timestampUs`: the one that the record was given; none that is taken from the clock is so large. */
export function checkTtl(ttlMs: unknown, timestampUs: number): number {
  if (typeof ttlMs === 'number' && Number.isSafeInteger(ttlMs) && ttlMs >= 1 && ttlMs <= MAX_TTL_MS) {
    if (timestampUs <= Number.MAX_SAFE_INTEGER - ttlMs * 1000) return ttlMs;
    throw invalidArgument(
      `A record can't expire ${ttlMs} ms after ${timestampUs} µs: that is beyond ${Number.MAX_SAFE_INTEGER} µs, the last time there is`,
    );
  }
  throw invalidArgument(
    `ttlMs must be a whole number of milliseconds from 1 to ${MAX_TTL_MS}, or left out, not ${show(ttlMs)}`,
  );
}

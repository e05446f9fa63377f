import fc from 'fast-check';
import type { LogRecord, LogRecordInput } from '../../lib/log/records/record.js';
import { decodeRecord, fromPool } from '../../lib/log/records/record-decoder.js';
import { NO_TIME, RecordEncoder } from '../../lib/log/records/record-encoder.js';

export type Input = LogRecordInput | Uint8Array | string;

export interface Encoded {
  payload: Buffer;
  type: number;
  timeUs: number | undefined;
}

const encoder = new RecordEncoder();

export function encode(input: Input): Encoded {
  const payload = Buffer.alloc(encoder.measure(input));
  const { type, timeUs } = encoder;
  encoder.write(payload, 0);
  return { payload, type, timeUs: timeUs === NO_TIME ? undefined : timeUs };
}

export function decode(payload: Buffer, type: number, offset = 0, timestampUs = 0): LogRecord {
  return decodeRecord(payload, 0, payload.length, type, offset, timestampUs, fromPool);
}

export function bytesOf(data: Uint8Array | string): Buffer {
  return Buffer.from(data as Uint8Array);
}

/** What a record must be read back as. */
export function expected(input: Input, offset: number, timestamp: number): LogRecord {
  if (typeof input === 'string' || input instanceof Uint8Array) {
    return { offset, timestamp, value: bytesOf(input) };
  }
  const { key, value, headers, ttlMs } = input;
  const record: LogRecord = { offset, timestamp, value: bytesOf(value ?? '') };
  if (key !== undefined) record.key = bytesOf(key);
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers ?? {});
  if (pairs.length > 0) record.headers = pairs.map(([name, data]) => [name, bytesOf(data)]);
  if (ttlMs !== undefined) record.expiresAt = timestamp + ttlMs * 1000;
  if (value === null) record.tombstone = true;
  return record;
}

/** With texts instead of bytes, which compare much more quickly. */
export function shown({ key, value, headers, ...rest }: LogRecord): Record<string, unknown> {
  const text = (bytes: Buffer) => bytes.toString('latin1');
  const named = headers?.map(([name, bytes]) => `${name}: ${text(bytes)}`);
  return { ...rest, key: key && text(key), value: text(value), headers: named };
}

const foreign = fc.string({ unit: 'binary', maxLength: 60 });
/** Also such as are foreign only at their end. */
const text = fc.oneof(
  foreign,
  fc.tuple(fc.nat(60), foreign).map(([length, end]) => 'a'.repeat(length) + end),
);
const bytes = fc.uint8Array({ maxLength: 300 });
const data = fc.oneof(bytes, text, fc.uint8Array({ minLength: 127, maxLength: 129 }));
const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 50 });
const pairs = fc.array(fc.tuple(name, data), { maxLength: 6 });
const ttlMs = fc.oneof(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 3_155_760_000_000 }));

/** Any record that can be appended; without a timestamp. */
export const anyInput: fc.Arbitrary<Input> = fc.oneof(
  { weight: 1, arbitrary: data },
  {
    weight: 4,
    arbitrary: fc.record(
      { key: data, value: data, headers: fc.oneof(pairs, fc.dictionary(name, data)), ttlMs },
      { requiredKeys: ['value'] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.record(
      { key: data, value: fc.constant(null), headers: pairs, ttlMs },
      { requiredKeys: ['key', 'value'] },
    ),
  },
);

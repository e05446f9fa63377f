import { expect, test } from 'vitest';
import { HEADERS, MAX_HEADERS } from '../../lib/log/records/record.js';
import { RecordEncoder } from '../../lib/log/records/record-encoder.js';
import { lookAtFrame } from '../../lib/log/records/record-look.js';
import { varintBytes, writeVarint } from '../../lib/log/records/varint.js';
import { thrown } from '../helpers/failure.js';
import { decode, encode } from './records.js';

const pairs = (count: number) => Array.from({ length: count }, () => ['a', ''] as const);

/** A payload that has so many headers of one byte. */
function payloadWith(count: number, name = 0x61): Buffer {
  const start = varintBytes(count);
  const payload = Buffer.alloc(start + 3 * count);
  writeVarint(payload, 0, count);
  payload.fill(Buffer.from([1, name, 0]), start);
  return payload;
}

const WAYS = {
  reading: (payload: Buffer) => decode(payload, HEADERS),
  verifying: (payload: Buffer) => lookAtFrame(payload, 0, payload.length, HEADERS, 7, 5),
};

test('a record has as many headers as it may, and is refused with one more', () => {
  const { payload, type } = encode({ value: '', headers: pairs(MAX_HEADERS) });
  expect(decode(payload, type).headers).toHaveLength(MAX_HEADERS);
  const error = thrown(() => new RecordEncoder().measure({ value: '', headers: pairs(MAX_HEADERS + 1) }));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('65536') });
});

test.each(Object.entries(WAYS))('%s takes more of them for damage', (_, way) => {
  expect(() => way(payloadWith(MAX_HEADERS))).not.toThrow();
  expect(thrown(() => way(payloadWith(MAX_HEADERS + 1))).code).toBe('ERR_CORRUPT');
});

test.each(Object.entries(WAYS))('%s takes a name that is no UTF-8 for damage', (_, way) => {
  expect(thrown(() => way(payloadWith(2, 0xff))).code).toBe('ERR_CORRUPT');
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  NO_NUMBER,
  readSigned,
  readVarint,
  signedBytes,
  varintBytes,
  writeSigned,
  writeVarint,
} from '../../lib/log/records/varint.js';

const SEED = Number(process.env.RECORD_SEED ?? 27_182);
const LATEST = Number.MAX_SAFE_INTEGER;
const fixed = { seed: SEED, numRuns: 3000 };
const anyNumber = fc.oneof(
  fc.nat(70_000),
  fc.nat(LATEST),
  fc.integer({ min: 0, max: 52 }).map((power) => 2 ** power),
  fc.integer({ min: 0, max: 53 }).map((power) => 2 ** power - 1),
);

function written(value: number): string {
  const target = Buffer.alloc(9);
  return target.toString('hex', 0, writeVarint(target, 0, value));
}

function writtenSigned(value: number): string {
  const target = Buffer.alloc(9);
  return target.toString('hex', 0, writeSigned(target, 0, value));
}

test.each([
  [0, '00'],
  [1, '01'],
  [127, '7f'],
  [128, '8001'],
  [300, 'ac02'],
  [16_383, 'ff7f'],
  [16_384, '808001'],
  [2 ** 32, '8080808010'],
  [LATEST, 'ffffffffffffff0f'],
])('%i is %s', (value, hex) => {
  expect(written(value)).toBe(hex);
});

test.each([
  [0, '00'],
  [-1, '01'],
  [1, '02'],
  [-2, '03'],
  [63, '7e'],
  [-64, '7f'],
  [64, '8001'],
  [-65, '8101'],
  [LATEST, 'feffffffffffff1f'],
  [-LATEST, 'fdffffffffffff1f'],
])('%i with a sign is %s', (value, hex) => {
  expect(writtenSigned(value)).toBe(hex);
});

test('any number comes back, in as many bytes as it was said to take', () => {
  fc.assert(
    fc.property(anyNumber, fc.boolean(), fc.nat(5), (size, negative, at) => {
      const target = Buffer.alloc(20, 0xff);
      const end = writeVarint(target, at, size);
      expect([end - at, readVarint(target, at, end)]).toEqual([varintBytes(size), size]);
      expect(readVarint(target, at, end - 1)).toBe(NO_NUMBER);
      const value = negative ? -size : size;
      const signedEnd = writeSigned(target, at, value);
      expect(signedEnd - at).toBe(signedBytes(value));
      // There is one zero only.
      expect(readSigned(target, at, signedEnd)).toBe(size === 0 ? 0 : value);
      expect(readSigned(target, at, signedEnd - 1)).toBeNaN();
    }),
    fixed,
  );
});

test('any bytes are a number in its one spelling, or none', () => {
  let numbers = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(255), fc.constantFrom(0, 127, 128, 255)), { maxLength: 10 }),
      (array) => {
        const bytes = Buffer.from(array);
        const value = readVarint(bytes, 0, bytes.length);
        if (value !== NO_NUMBER) {
          numbers++;
          expect(bytes.toString('hex', 0, varintBytes(value))).toBe(written(value));
        }
        const signed = readSigned(bytes, 0, bytes.length);
        if (!Number.isNaN(signed)) {
          expect(bytes.toString('hex', 0, signedBytes(signed))).toBe(writtenSigned(signed));
        }
      },
    ),
    fixed,
  );
  expect(numbers).toBeGreaterThan(1000);
});

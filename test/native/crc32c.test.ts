import { expect, test } from 'vitest';
import { binding } from '../../lib/native.js';
import { randomOf } from '../crash/fixtures/plan.js';

const { crc32c } = binding();
const SEED = 20260101;

const unsigned = (sum: number) => sum >>> 0;
const whole = (bytes: Uint8Array) => unsigned(crc32c(bytes, 0, bytes.length, 0));

/** Bit by bit, as the polynomial says. */
function reference(bytes: Uint8Array, crc = 0): number {
  let state = ~crc;
  for (const byte of bytes) {
    state ^= byte;
    for (let bit = 0; bit < 8; bit++) state = state & 1 ? (state >>> 1) ^ 0x82f63b78 : state >>> 1;
  }
  return ~state >>> 0;
}

test('known vectors (RFC 3720, B.4)', () => {
  expect(whole(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(whole(new Uint8Array(0))).toBe(0);
  expect(whole(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(whole(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(whole(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e);
  expect(whole(Uint8Array.from({ length: 32 }, (_, i) => 31 - i))).toBe(0x113fdb5c);
});

test('the result is an int32, and a checksum may be given back as int32 or uint32', () => {
  const bytes = Buffer.from('123456789');
  const half = crc32c(bytes, 0, 3, 0);
  expect(crc32c(bytes, 0, 9, 0)).toBe(0xe3069283 | 0);
  expect(crc32c(bytes, 3, 9, half)).toBe(0xe3069283 | 0);
  expect(crc32c(bytes, 3, 9, half >>> 0)).toBe(0xe3069283 | 0);
});

test(`any length, alignment and split gives what the definition gives (seed ${SEED})`, () => {
  const random = randomOf(SEED);
  const bytes = Uint8Array.from({ length: 60_000 }, () => random(256));
  // Around the edges of words and of the blocks that are summed in three streams, and anywhere.
  const edges = [0, 1, 7, 8, 9, 767, 768, 769, 1536, 12_287, 12_288, 12_289, 24_576, 50_000];
  const lengths = [...edges, ...Array.from({ length: 100 }, () => random(40_000))];
  for (const length of lengths) {
    const start = random(64);
    const part = bytes.subarray(start, start + length);
    const expected = reference(part);
    expect(unsigned(crc32c(bytes, start, start + length, 0)), `${length} from ${start}`).toBe(expected);
    const split = length === 0 ? 0 : random(length);
    const head = crc32c(part, 0, split, 0);
    expect(unsigned(crc32c(part, split, length, head)), `${length} split at ${split}`).toBe(expected);
  }
});

test('bounds that are not in the bytes throw', () => {
  const bytes = new Uint8Array(10);
  for (const [start, end] of [
    [0, 11],
    [-1, 5],
    [6, 5],
    [0, 2.5],
    [Number.NaN, 5],
    [0, Number.POSITIVE_INFINITY],
    [0, 2 ** 53],
  ]) {
    expect(() => crc32c(bytes, start, end, 0), `${start} to ${end}`).toThrow(RangeError);
  }
  const wrong = crc32c as (...given: unknown[]) => number;
  expect(() => wrong()).toThrow(TypeError);
  expect(() => wrong(bytes)).toThrow(TypeError);
  expect(() => wrong(new ArrayBuffer(10), 0, 1, 0)).toThrow(TypeError);
  expect(() => wrong(new Uint16Array(10), 0, 1, 0)).toThrow(TypeError);
  expect(() => wrong(bytes, '0', 1, 0)).toThrow(TypeError);
  expect(() => wrong(bytes, 0, 1, 'x')).toThrow(TypeError);
});

/**
 * Whole numbers from 0 to 2^53 - 1 in seven bits a byte, the lowest first; the top bit of a byte says that another
 * follows. Each number has one spelling, the shortest.
 */
const MOST_BYTES = 8;
export const NO_NUMBER = -1;

/** How many bytes it takes. */
export function varintBytes(value: number): number {
  if (value < 128) return 1;
  if (value < 16384) return 2;
  let bytes = 3;
  for (let limit = 2097152; value >= limit; limit *= 128) bytes++;
  return bytes;
}

/** Returns the place behind it. */
export function writeVarint(target: Uint8Array, at: number, value: number): number {
  let to = at;
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) target[to++] = (rest % 128) | 128;
  target[to] = rest;
  return to + 1;
}

/** `NO_NUMBER` where what begins at `at` is none: it goes on at `end`, is too large, or has another spelling. */
export function readVarint(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  let unit = 1;
  for (let from = at; from < end && from - at < MOST_BYTES; from++) {
    const byte = bytes[from];
    value += (byte & 127) * unit;
    if (byte < 128) {
      const shortest = byte !== 0 || from === at;
      return shortest && value <= Number.MAX_SAFE_INTEGER ? value : NO_NUMBER;
    }
    unit *= 128;
  }
  return NO_NUMBER;
}

// Numbers that may be below zero: 0, -1, 1, -2, 2 … as 0, 1, 2, 3, 4 … in the same bytes. Twice a number may be more
// than a number can be, so the first byte, with its six bits and the sign, is made apart from the others.

export function signedBytes(value: number): number {
  const size = sizeOf(value);
  return size < 64 ? 1 : 1 + varintBytes(Math.floor(size / 64));
}

/** Returns the place behind it. */
export function writeSigned(target: Uint8Array, at: number, value: number): number {
  const size = sizeOf(value);
  const first = (size % 64) * 2 + (value < 0 ? 1 : 0);
  if (size < 64) return writeVarint(target, at, first);
  target[at] = first | 128;
  return writeVarint(target, at + 1, Math.floor(size / 64));
}

/** NaN where what begins at `at` is none. */
export function readSigned(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end) return Number.NaN;
  const first = bytes[at];
  let size = (first & 127) >> 1;
  if (first > 127) {
    const rest = readVarint(bytes, at + 1, end);
    size += rest * 64;
    if (rest <= 0 || size > Number.MAX_SAFE_INTEGER) return Number.NaN;
  }
  return (first & 1) === 0 ? size : -size - 1;
}

function sizeOf(value: number): number {
  return value < 0 ? -value - 1 : value;
}

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

/** Which bits are flipped: one out of each of as many equal shares of all as are chosen. */
import { more } from './cases.js';

const [chosen, all] = more.map(Number);

export function checkBits(bytes) {
  if (bytes * 8 !== all) throw new Error(`There are ${bytes * 8} bits, not ${all}`);
}

export function bitOf(index, random) {
  const [from, to] = [index, index + 1].map((i) => Math.floor((i * all) / chosen));
  return from + random(to - from);
}

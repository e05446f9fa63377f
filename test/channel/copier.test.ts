import { describe, expect, test } from 'vitest';
import { Copier, partOf } from '../../lib/channel/records/copier.js';
import { payloadOf } from '../helpers/payload.js';

describe('copies of what is lent', () => {
  const memory = Buffer.alloc(9000);
  memory.set(payloadOf(3, memory.length));
  const odd = memory.subarray(3, 8000);

  test.each([
    ['all of it', memory],
    ['with an odd start and end', odd],
  ])('are the bytes from any start to any end, of memory %s', (_, lent) => {
    const copier = new Copier();
    const ends = [0, 1, 7, 40, 1023, 1024, 1025, 5000];
    for (const length of ends) {
      for (let start = 0; start < 9; start++) {
        const copy = copier.copy(lent, start, start + length);
        expect(copy.equals(lent.subarray(start, start + length)), `${start} + ${length}`).toBe(true);
        expect(copy.byteOffset % 8).toBe(0);
      }
      const copy = copier.copy(lent, lent.length - length, lent.length);
      expect(copy.equals(lent.subarray(lent.length - length)), `the last ${length}`).toBe(true);
    }
  });

  test('stay as they are when what was lent changes, and do not lie on one another', () => {
    const copier = new Copier();
    const lent = Buffer.alloc(100);
    const copies = Array.from({ length: 500 }, (_, i) => copier.copy(lent.fill(i & 255), 4, 50));
    copies.forEach((copy, i) => {
      expect(copy).toEqual(Buffer.alloc(46, i & 255));
    });
  });

  test('have parts that are views', () => {
    const copy = new Copier().copy(memory, 16, 80);
    const part = partOf(copy, 5, 9);
    expect(part).toBeInstanceOf(Buffer);
    expect(part).toEqual(memory.subarray(21, 25));
    expect(part.buffer).toBe(copy.buffer);
  });
});

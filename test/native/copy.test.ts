import { expect, test } from 'vitest';
import { binding } from '../../lib/native.js';

const { copyBytes } = binding();

test('copies a part to a place, also onto itself', () => {
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => i);
  const target = new Uint8Array(8);
  copyBytes(target, 3, bytes, 2, 5);
  expect([...target]).toEqual([0, 0, 0, 2, 3, 4, 0, 0]);
  copyBytes(bytes, 1, bytes, 0, 7);
  expect([...bytes]).toEqual([0, 0, 1, 2, 3, 4, 5, 6]);
});

test('refuses what would reach out of either', () => {
  const target = new Uint8Array(4);
  const source = new Uint8Array(8);
  for (const [to, start, end] of [
    [0, 0, 5],
    [1, 0, 4],
    [5, 0, 0],
    [-1, 0, 1],
    [0, 0, 9],
    [0, 3, 2],
    [0.5, 0, 1],
  ]) {
    expect(() => copyBytes(target, to, source, start, end), `${to}, ${start}, ${end}`).toThrow(RangeError);
  }
  expect(() => (copyBytes as (...given: unknown[]) => void)(target, 0, [1], 0, 1)).toThrow(TypeError);
});

test('a detached array has no bytes', () => {
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  expect(() => copyBytes(gone, 0, new Uint8Array(8), 0, 8)).toThrow(RangeError);
  expect(() => copyBytes(new Uint8Array(8), 0, gone, 0, 8)).toThrow(RangeError);
  copyBytes(gone, 0, gone, 0, 0);
});

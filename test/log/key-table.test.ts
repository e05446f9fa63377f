import { randomBytes } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import { environment } from '../../lib/channel/index.js';
import { KeyTable, NO_VALUE } from '../../lib/log/upkeep/key-table.js';
import { randomOf } from '../crash/fixtures/plan.js';

const NO_LIMIT = 2 ** 30;

function put(table: KeyTable, key: Uint8Array, value: number): boolean {
  if (table.find(key, 0, key.length) === NO_VALUE) return table.add(key, 0, key.length, value);
  table.change(value);
  return true;
}

function get(table: KeyTable, key: Uint8Array): number | undefined {
  const value = table.find(key, 0, key.length);
  return value === NO_VALUE ? undefined : value;
}

test('it holds what a map holds', () => {
  const random = randomOf(20_261);
  const table = new KeyTable(NO_LIMIT);
  const model = new Map<string, number>();
  const keys = Array.from({ length: 20_000 }, () => randomBytes(2 + random(12)));
  keys.push(Buffer.alloc(0), Buffer.from('a'), Buffer.from('ab'), Buffer.from('b'), Buffer.alloc(40_000, 1));
  for (let i = 0; i < 60_000; i++) {
    const key = keys[i < keys.length ? i : random(keys.length)];
    put(table, key, i);
    model.set(key.toString('latin1'), i);
  }
  expect(table.count).toBe(model.size);
  for (const [key, value] of model) {
    if (get(table, Buffer.from(key, 'latin1')) !== value) expect.fail(`The value of ${key} is another one`);
  }
  for (let i = 0; i < 20_000; i++) {
    const key = randomBytes(2 + random(12));
    if (get(table, key) !== model.get(key.toString('latin1')))
      expect.fail('A key that is not there is found');
  }
});

test('keys are different whose hashes are the same', () => {
  // With this seed they are.
  vi.spyOn(environment, 'random').mockReturnValueOnce(Buffer.alloc(4));
  const table = new KeyTable(NO_LIMIT);
  const [one, other] = [Buffer.from('key-285216'), Buffer.from('key-339400')];
  put(table, one, 1);
  expect(get(table, other)).toBeUndefined();
  put(table, other, 2);
  expect([get(table, one), get(table, other)]).toEqual([1, 2]);
  vi.restoreAllMocks();
});

test('a key is what lies between start and end', () => {
  const table = new KeyTable(NO_LIMIT);
  const bytes = Buffer.from('abcabc');
  expect(table.find(bytes, 0, 3)).toBe(NO_VALUE);
  table.add(bytes, 0, 3, 7);
  expect(table.find(bytes, 3, 6)).toBe(7);
  expect(table.find(bytes, 2, 5)).toBe(NO_VALUE);
  bytes.fill(0);
  expect(get(table, Buffer.from('abc'))).toBe(7);
});

test('it takes no more memory than it may, and keeps what it has', () => {
  const limit = 4 * 2 ** 20;
  // The second one frees all that the first one found.
  globalThis.gc?.();
  globalThis.gc?.();
  const before = process.memoryUsage().arrayBuffers;
  const table = new KeyTable(limit);
  const key = (i: number) => Buffer.from(`key-${i}`.padStart(16, '.'));
  let count = 0;
  while (put(table, key(count), count)) count++;
  globalThis.gc?.();
  globalThis.gc?.();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(limit * 1.1);
  // 12 bytes for each, 16 for its key, and slots of 4 bytes, a third to five thirds more of them than there are keys.
  expect(count).toBeGreaterThan((0.6 * limit) / (12 + 16 + 4 * (8 / 3)));
  expect(put(table, key(count), 0)).toBe(false);
  for (let i = 0; i < count; i++) if (get(table, key(i)) !== i) expect.fail(`Key ${i} is lost`);
  expect(get(table, key(count))).toBeUndefined();
});

test('of one key there is always room', () => {
  const table = new KeyTable(1);
  const key = Buffer.alloc(2 ** 20, 7);
  expect(put(table, key, 1)).toBe(true);
  expect(put(table, Buffer.alloc(2 ** 20, 8), 2)).toBe(false);
  expect(get(table, key)).toBe(1);
});

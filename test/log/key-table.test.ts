import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { KeyTable, NO_ENTRY } from '../../lib/log/key-table.js';
import { randomOf } from '../crash/fixtures/plan.js';

const NO_LIMIT = 2 ** 30;

function put(table: KeyTable, key: Uint8Array, value: number): boolean {
  const entry = table.find(key, 0, key.length);
  if (entry === NO_ENTRY) return table.add(key, 0, key.length, value);
  table.setValue(entry, value);
  return true;
}

function get(table: KeyTable, key: Uint8Array): number | undefined {
  const entry = table.find(key, 0, key.length);
  return entry === NO_ENTRY ? undefined : table.valueOf(entry);
}

test('it holds what a map holds, also of keys whose hashes are the same', () => {
  const random = randomOf(20_261);
  const table = new KeyTable(NO_LIMIT);
  const model = new Map<string, number>();
  // So many that some pairs of them have one hash of 32 bits, whatever the seed: 11 by expectation.
  const keys = Array.from({ length: 300_000 }, () => randomBytes(5 + random(12)));
  keys.push(Buffer.alloc(0), Buffer.from('a'), Buffer.from('ab'), Buffer.from('b'), Buffer.alloc(40_000, 1));
  for (const [i, key] of keys.entries()) {
    put(table, key, i);
    model.set(key.toString('latin1'), i);
  }
  for (let i = 0; i < 50_000; i++) {
    const key = keys[random(keys.length)];
    put(table, key, i);
    model.set(key.toString('latin1'), i);
  }
  expect(table.count).toBe(model.size);
  for (const [key, value] of model) {
    if (get(table, Buffer.from(key, 'latin1')) !== value) expect.fail(`The value of ${key} is another one`);
  }
  for (let i = 0; i < 50_000; i++) {
    const key = randomBytes(5 + random(12));
    if (get(table, key) !== model.get(key.toString('latin1')))
      expect.fail('A key that is not there is found');
  }
});

test('a key is what lies between start and end', () => {
  const table = new KeyTable(NO_LIMIT);
  const bytes = Buffer.from('abcabc');
  expect(table.find(bytes, 0, 3)).toBe(NO_ENTRY);
  table.add(bytes, 0, 3, 7);
  expect(table.valueOf(table.find(bytes, 3, 6))).toBe(7);
  expect(table.find(bytes, 2, 5)).toBe(NO_ENTRY);
  bytes.fill(0);
  expect(get(table, Buffer.from('abc'))).toBe(7);
});

test('it takes no more memory than it may, and keeps what it has', () => {
  const limit = 4 * 2 ** 20;
  const before = process.memoryUsage().arrayBuffers;
  const table = new KeyTable(limit);
  const key = (i: number) => Buffer.from(`key-${i}`.padStart(16, '.'));
  let count = 0;
  while (put(table, key(count), count)) count++;
  globalThis.gc?.();
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(limit * 1.1);
  // 12 bytes for each, 16 for its key, and slots for a third to five thirds more of them than there are.
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

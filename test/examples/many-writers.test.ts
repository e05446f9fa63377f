import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';

test('one reader gets all of many writers, of one that comes late and of one that dies', async () => {
  const { code, text, left } = await run('many-writers');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  expect(text).toMatch(/^there are channels of east, north, south$/m);
  const total = numberIn(text, /^north: \d+ of (\d+) records$/m);
  expect(total).toBeGreaterThan(1000);
  // The late one is found by the reader itself.
  for (const name of ['north', 'east', 'west'])
    expect(text).toContain(`\n${name}: ${total} of ${total} records\n`);

  expect(text).toMatch(/^kill -9 \d+: south$/m);
  const had = numberIn(text, /^south died; what it had written is read: (\d+) records$/m);
  expect(had).toBe(total / 2);
  expect(text).toContain(`\nsouth: ${had} of ${total} records\n`);

  expect(numberIn(text, /^(\d+) out of turn;/m)).toBe(0);
  // Read one after the other, they would make as many changes as there are writers.
  expect(numberIn(text, /(\d+) times a record was of another writer/)).toBeGreaterThan(20);
});

testInterruptions('many-writers', /^west starts/);

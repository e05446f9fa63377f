import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';

test('a reader is terminated on its way, and everybody else gets to the end', async () => {
  const { code, text, left } = await run('worker-threads');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const total = numberIn(text, /^the writer wrote (\d+) numbers$/m);
  expect(total).toBeGreaterThan(10_000);
  const stoodStill = numberIn(text, /^one reader stands still after (\d+) numbers/m);
  expect(stoodStill).toBeGreaterThan(0);
  // It would have held the writer back for ever.
  expect(numberIn(text, /the writer has come to (\d+) of/)).toBeLessThan(total);
  expect(text.indexOf('that reader is terminated')).toBeLessThan(text.indexOf('the writer wrote'));

  for (const reader of ['a worker', 'a worker that blocks', 'a process'])
    expect(text).toContain(`\n${reader} read ${total} numbers, 0 of them out of turn\n`);
});

testInterruptions('worker-threads', /stands still/);

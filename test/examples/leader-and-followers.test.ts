import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';
import { stateAfter } from './state-after.js';

test('a follower that was killed comes back at its cursor, and all end with the state of the leader', async () => {
  const { code, text, left } = await run('leader-and-followers');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const total = numberIn(text, /^leader: (\d+) commands, state/m);
  const state = stateAfter(total);
  expect(state).not.toBe(stateAfter(total - 1));
  for (const name of ['leader', 'steady', 'unlucky'])
    expect(text).toContain(`\n${name}: ${total} commands, state ${state}\n`);

  const cursor = numberIn(text, /its cursor stood at (\d+)/);
  const had = numberIn(text, /with the state after (\d+) commands/);
  // At least once: the state may have what the cursor doesn't know of yet, and never lacks what it has passed.
  expect(cursor).toBeGreaterThan(0);
  expect(had).toBeGreaterThanOrEqual(cursor);
  expect(numberIn(text, /^leader: is at command (\d+)/m)).toBeGreaterThan(had);

  // The leader would keep one segment, and kept all that the cursor had still to read; and no longer than that.
  expect(numberIn(text, /has kept those from (\d+) on/)).toBeLessThanOrEqual(cursor);
  expect(numberIn(text, /keeps those from (\d+) on/)).toBeGreaterThan(cursor);
});

testInterruptions('leader-and-followers', /^unlucky: killed/);

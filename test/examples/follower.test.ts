import { expect, test } from 'vitest';
import { numberIn, run, testInterruptions } from './example.js';
import { stateAfter } from './state-after.js';

test('a late follower and one that fell out end with the state of the leader', async () => {
  const { code, text, left } = await run('follower');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const total = numberIn(text, /^leader: (\d+) transfers, state/m);
  const state = stateAfter(total);
  expect(state).not.toBe(stateAfter(total - 1));
  for (const name of ['leader', 'late', 'stalling'])
    expect(text).toContain(`\n${name}: ${total} transfers, state ${state}\n`);

  // What the channel gave is what the snapshot lacked.
  const snapshotsOf = (name: string) =>
    [...text.matchAll(new RegExp(`^${name}: has the snapshot after transfer (\\d+)`, 'gm'))].map(
      ([, count]) => Number(count),
    );
  for (const name of ['late', 'stalling']) {
    const followed = numberIn(text, new RegExp(`^${name}: took (\\d+) transfers`, 'm'));
    expect(followed).toBeGreaterThan(0);
    expect(snapshotsOf(name).at(-1)).toBe(total - followed);
  }

  expect(snapshotsOf('late')[0]).toBeGreaterThan(0);
  const stoodStill = numberIn(text, /^stalling: stands still after transfer (\d+)$/m);
  expect(text).toMatch(/^stalling: fell out with ERR_EVICTED/m);
  expect(snapshotsOf('stalling').at(-1)).toBeGreaterThan(stoodStill);
});

testInterruptions('follower', /has overwritten/);

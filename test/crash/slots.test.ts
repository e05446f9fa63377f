import { afterEach, expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { endAll } from './fixtures/child.js';
import { contend } from './fixtures/slot-kills.js';

// The same kills each time; `npm run soak -- --seed N` has others.
const SEED = 20_265;

// A hang guard: it takes seconds, but has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

test('of more readers than slots, killed, evicted and leaving, each reads without a gap; no slot is lost', async () => {
  const done = await contend({ newPath, events: 6, seed: SEED });
  console.log(`${JSON.stringify(done)}, seed ${SEED}`);
  expect(done.kills).toBeGreaterThanOrEqual(2);
  expect(done.evicted).toBeGreaterThanOrEqual(2);
  expect(done.writerKills).toBeGreaterThanOrEqual(2);
  expect(done.refused).toBeGreaterThan(0);
  expect(done.read).toBeGreaterThan(0);
});

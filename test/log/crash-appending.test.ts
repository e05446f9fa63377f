import { afterEach, expect, test, vi } from 'vitest';
import { endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';
import { killAtRandom, killAtSteps } from './fixtures/log-kills.js';

// The same kills each time; `npm run soak -- --log-kills N` has others.
const SEED = 20_271;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 240_000 });
afterEach(endAll);

test('killed at any time: what was acknowledged is there, nothing else is, and who follows sees each record once', async () => {
  const { kills, records, segments } = await killAtRandom({ newPath, seed: SEED, kills: 20 });
  console.log(`${kills} kills, ${records} records, ${segments} segments, seed ${SEED}`);
  expect(kills).toBe(20);
  expect(segments).toBeGreaterThan(kills);
});

test('killed at each step of appending, rolling, syncing and opening', async () => {
  const { kills, segments } = await killAtSteps({ newPath, seed: SEED });
  console.log(`${kills} kills, ${segments} segments, seed ${SEED}`);
  expect(kills).toBeGreaterThan(50);
});

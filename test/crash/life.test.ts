import { afterEach, expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { endAll } from './fixtures/child.js';
import { killAtAbandoning, killAtCreation, killAtRelieving, replaceTogether } from './fixtures/life-kills.js';

// The same kills each time; `npm run soak -- --seed N` has others.
const SEED = 20_263;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

test('a name leads to a whole channel, whenever its creator is killed', async () => {
  const { kills } = await killAtCreation({ newPath, seed: SEED });
  expect(kills).toBe(10);
});

test('of two that replace the same dead channel, the later one does not take the name of a live one', async () => {
  await replaceTogether({ newPath, seed: SEED });
});

test('a channel is as it was or abandoned, whenever the one that declares it so is killed', async () => {
  const { kills } = await killAtAbandoning({ newPath, seed: SEED });
  expect(kills).toBe(6);
});

test('a writer killed in evicting a slow reader or freeing a dead one leaves a table that works', async () => {
  const { kills } = await killAtRelieving({ newPath, seed: SEED });
  expect(kills).toBe(3);
});

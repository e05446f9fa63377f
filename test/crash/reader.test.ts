import { afterEach, describe, expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { endAll } from './fixtures/child.js';
import { abandonUnderIteration, killUnderIteration, stopWriter } from './fixtures/liveness.js';
import { evict, killAtRandom, killAtSteps } from './fixtures/reader-kills.js';

// The same kills each time; `npm run soak -- --seed N` has others.
const SEED = 20_262;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

describe('a dead reader does not hold the writer, and its slot is free again', () => {
  test('killed at any time, in poll and in for await', async () => {
    const { kills, longestHeldMs } = await killAtRandom({ newPath, kills: 20, seed: SEED });
    console.log(
      `${kills} readers killed, a writer held for at most ${longestHeldMs.toFixed(1)} ms, seed ${SEED}`,
    );
    expect(kills).toBe(20);
  });

  test('killed at each step of joining, seeking, reading and leaving', async () => {
    const { longestHeldMs } = await killAtSteps({ newPath, seed: SEED });
    console.log(`a writer held for at most ${longestHeldMs.toFixed(1)} ms, seed ${SEED}`);
  });
});

test('a reader that stands still for too long is evicted, learns it, and never reads an overwritten byte', async () => {
  const { evictions } = await evict({ newPath, rounds: 5, seed: SEED });
  expect(evictions).toBeGreaterThanOrEqual(5);
});

describe.each(['ring', 'linear'] as const)('the readers of a %s channel', (mode) => {
  test('see a stopped writer as stalled, then alive again, and lose nothing', async () => {
    await stopWriter({ newPath, mode, seed: SEED });
  });

  test('have all that a killed writer committed before iteration throws; those that wait go on', async () => {
    await killUnderIteration({ newPath, mode, seed: SEED });
  });

  test('end when a dead writer is declared gone', async () => {
    await abandonUnderIteration({ newPath, mode, seed: SEED });
  });
});

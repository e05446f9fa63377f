import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stepped } from '../crash/fixtures/stepped.js';
import { newDirectory } from '../helpers/run-directory.js';
import { loadCursors, losePowerOnce } from './fixtures/cursor-power.js';

const SEED = 2718;
const TRIALS = 60;

test('after a power cut each cursor is where it was flushed last, or where it was later', async () => {
  const library = await loadCursors(stepped());
  const counts: Record<string, number> = {};
  for (let trial = 0; trial < TRIALS; trial++) {
    const seed = SEED + trial;
    try {
      await losePowerOnce(library, seed, join(newDirectory(), 'home'), counts);
    } catch (error) {
      throw new Error(`Trial ${seed}`, { cause: error });
    }
  }
  console.log(JSON.stringify(counts));
  expect(counts.losses).toBe(3 * TRIALS);
  // It did all of what it is there for.
  for (const what of ['flushes', 'sets', 'forced', 'deleted', 'kept', 'older']) {
    expect(counts[what], what).toBeGreaterThan(100);
  }
  for (const what of ['between two stores', 'failed syncs', 'grown', 'deaths'])
    expect(counts[what], what).toBeGreaterThan(5);
});

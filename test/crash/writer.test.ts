import { afterEach, describe, expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { endAll } from './fixtures/child.js';
import { stepsIn } from './fixtures/stepped.js';
import {
  killAtEnds,
  killAtRandom,
  killAtSplits,
  killAtSteps,
  WRITING_STEPS,
} from './fixtures/writer-kills.js';

// The same kills each time; `npm run soak -- --seed N` has others.
const SEED = 20_261;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

test('the steps of lib/ are in dist/ too, each under a number of its own', () => {
  const steps = stepsIn('lib', '.ts');
  expect(new Set(steps).size).toBe(steps.length);
  const built = stepsIn('dist', '.js');
  expect(
    built.sort((a, b) => a - b),
    'dist/ is older than lib/: npm run build:ts',
  ).toEqual(steps.sort((a, b) => a - b));
});

describe.each(['ring', 'linear'] as const)(
  'what the killed writer of a %s channel committed is there',
  (mode) => {
    test('killed at any time, in writing or in resuming', async () => {
      const { kills, resumes, records } = await killAtRandom({ newPath, mode, kills: 20, seed: SEED });
      console.log(`${mode}: ${kills} kills, ${resumes} resumes, ${records} records, seed ${SEED}`);
      expect(kills).toBe(20);
    });

    test('killed at each step of write, batch, claim, wrap and resume', async () => {
      const { kills } = await killAtSteps({ newPath, mode, form: 'mixed', seed: SEED });
      expect(kills).toBeGreaterThan(WRITING_STEPS[mode].mixed.length);
    });

    test('killed at each step of close and seal: open until the last frame is stored, ended from then on', async () => {
      const { kills } = await killAtEnds({ newPath, mode, seed: SEED });
      expect(kills).toBe(10);
    });
  },
);

test('a writer killed between the stores of a word of 64 bits leaves the word it was or the word it was to be', async () => {
  const { kills } = await killAtSplits({ newPath, seed: SEED });
  expect(kills).toBe(6);
});

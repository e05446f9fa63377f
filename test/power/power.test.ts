import { expect, test } from 'vitest';
import { stepped } from '../crash/fixtures/stepped.js';
import { newDirectory } from '../helpers/run-directory.js';
import { losePower } from './schedules.js';

// `npm run soak -- --power N` for longer, and with other seeds.
test('what was acknowledged outlives 100 power cuts, what is left is a prefix, and what is gone stays gone', async () => {
  const { failures, counts } = await losePower({
    losses: 100,
    seed: 314,
    newDirectory,
    libraryUrl: stepped(),
  });
  expect(failures).toEqual([]);
  // It did all of what it is there for.
  const often = ['losses', 'acknowledged flushes', 'records kept', 'records dropped', 'healed'];
  const seldom = [
    'acknowledged sends',
    'losses while healing',
    'process deaths',
    'process deaths while healing',
    'ended',
    'never there',
  ];
  for (const what of often) expect(counts[what]).toBeGreaterThan(10);
  for (const what of seldom) expect(counts[what]).toBeGreaterThan(0);
});

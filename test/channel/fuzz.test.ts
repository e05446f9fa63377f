import { expect, test } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { fuzzChannels } from '../soak/fuzz/run.js';

// `npm run soak -- --fuzz N` for longer, and with other seeds.
test('75,000 random operations do to channels what they do to plain arrays', async () => {
  const { failures, counts } = await fuzzChannels({ operations: 75_000, seed: 27_182, newPath });
  expect(failures).toEqual([]);
  // It did all of what it is there for.
  const all = [
    'written',
    'refused',
    'laps',
    'resumed',
    'ended',
    'read',
    'inHandlers',
    'overtaken',
    'evicted',
  ];
  for (const what of [...all, 'seeks', 'unreachable']) expect(counts[what]).toBeGreaterThan(5);
});

import { expect, test } from 'vitest';
import { stepped } from '../crash/fixtures/stepped.js';
import { newDirectory } from '../helpers/run-directory.js';
import { loseLogPower } from '../power/schedules.js';

// `npm run soak -- --log-power N` for longer, and with other seeds.
test('what was acknowledged outlives 100 power cuts, what is left is a prefix, and the log goes on at once', async () => {
  const { failures, counts } = await loseLogPower({
    losses: 100,
    seed: 271,
    newDirectory,
    libraryUrl: stepped(),
  });
  expect(failures).toEqual([]);
  // It did all of what it is there for.
  for (const what of ['acknowledged commits', 'acknowledged flushes', 'records dropped', 'set aside']) {
    expect(counts[what]).toBeGreaterThan(10);
  }
  for (const what of ['losses while opening', 'process deaths', 'process deaths while opening', 'finished']) {
    expect(counts[what]).toBeGreaterThan(0);
  }
});

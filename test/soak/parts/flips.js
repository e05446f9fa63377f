import { dirname } from 'node:path';
import { runFlips } from '../flips.js';

export const option = 'flips';
export const says = 'bits flipped, one at a time, in a closed channel with checksums; 0: each one';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('flips', async () => {
    const report = (done) => attempt.progress(`${done} flipped`);
    const { cases, outcomes, failures } = await runFlips({
      count,
      seed,
      directory: dirname(newPath()),
      report,
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return { cases, outcomes };
  });
}

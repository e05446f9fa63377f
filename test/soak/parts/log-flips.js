import { dirname } from 'node:path';
import { runLogFlips } from '../log-flips.js';

export const option = 'log-flips';
export const says = 'bits flipped, one at a time, in the files of a closed log; 0: each one';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('log flips', async () => {
    const report = (done) => attempt.progress(`${done} flipped`);
    const { cases, outcomes, failures } = await runLogFlips({
      count,
      seed,
      directory: dirname(newPath()),
      report,
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return { cases, outcomes };
  });
}

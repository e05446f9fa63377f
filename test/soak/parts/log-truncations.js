import { dirname } from 'node:path';
import { runLogTruncations } from '../log-truncations.js';

export const option = 'log-truncations';
export const says = 'lengths to which the last segment of a log is cut, in its last 64 KiB; 0: each one';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('log truncations', async () => {
    const report = (done) => attempt.progress(`${done} cut`);
    const { cases, outcomes, failures } = await runLogTruncations({
      count,
      seed,
      directory: dirname(newPath()),
      report,
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return { cases, outcomes };
  });
}

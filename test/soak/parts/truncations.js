import { dirname } from 'node:path';
import { runTruncations } from '../truncations.js';

export const option = 'truncations';
export const says = 'lengths to which a closed channel with checksums is cut; 0: each 16th byte';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('truncations', async () => {
    const report = (done) => attempt.progress(`${done} cut`);
    const { cases, outcomes, failures } = await runTruncations({
      count,
      seed,
      directory: dirname(newPath()),
      report,
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return { cases, outcomes };
  });
}

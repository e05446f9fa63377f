import { dirname } from 'node:path';
import { runMutations } from '../mutations.js';

export const option = 'mutations';
export const says = 'channels damaged';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('mutations', async () => {
    const report = (done) => attempt.progress(`${done} damaged`);
    const { cases, outcomes, failures } = await runMutations({
      count,
      seed,
      directory: dirname(newPath()),
      report,
    });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return { cases, outcomes };
  });
}

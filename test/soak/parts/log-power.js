import { dirname } from 'node:path';
import { stepped } from '../../crash/fixtures/stepped.js';
import { loseLogPower } from '../../power/schedules.js';
import { describe } from './power.js';

export const option = 'log-power';
export const says = 'power cuts under logs, and what is left then';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('log-power', async () => {
    const { failures, counts, ...done } = await loseLogPower({
      losses: count,
      seed,
      newDirectory: () => dirname(newPath()),
      libraryUrl: stepped(),
      report: (losses) => attempt.progress(`${losses} power cuts`),
    });
    if (failures.length > 0) throw new Error(failures.map((one) => describe(one, option)).join('\n'));
    return { ...done, ...counts };
  });
}

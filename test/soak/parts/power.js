import { dirname } from 'node:path';
import { stepped } from '../../crash/fixtures/stepped.js';
import { losePower } from '../../power/schedules.js';

export const option = 'power';
export const says = 'power cuts, and what is left then';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('power', async () => {
    const { failures, counts, ...done } = await losePower({
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

export function describe({ seed, problem, operations }, part) {
  return `Again by --${part} 1 --only ${part} --seed ${seed}: ${problem}\n  ${operations.join('\n  ')}`;
}

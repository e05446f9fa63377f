import { fuzzChannels } from '../fuzz/run.js';

export const option = 'fuzz';
export const says = 'times 1,000 random operations on channels, compared with a model';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('fuzz', async () => {
    const report = (done) => attempt.progress(`${done} operations`);
    const { failures, counts, ...done } = await fuzzChannels({
      operations: count * 1000,
      seed,
      newPath,
      report,
    });
    if (failures.length > 0) throw new Error(failures.map(describe).join('\n'));
    return { ...done, ...counts };
  });
}

function describe({ seed, problem, operations }) {
  return `Again by --fuzz 1 --only fuzz --seed ${seed}: ${problem}\n  ${operations.join('\n  ')}`;
}

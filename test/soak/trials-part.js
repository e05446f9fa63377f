/** The `run` of a part of random trials, each with a seed of its own, from the part's on; `done` is what they count. */
export function trialsPart(option, done, runTrials) {
  return ({ count, seed, newPath, attempt }) =>
    attempt(option, async () => {
      const report = (times) => attempt.progress(`${times} ${done}`);
      const { failures, counts, ...rest } = await runTrials({ count, seed, newPath, report });
      if (failures.length > 0) throw new Error(failures.map((one) => describe(one, option)).join('\n'));
      return { ...rest, ...counts };
    });
}

function describe({ seed, problem, operations }, option) {
  return `Again by --${option} 1 --only ${option} --seed ${seed}: ${problem}\n  ${operations.join('\n  ')}`;
}

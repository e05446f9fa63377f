import { dirname } from 'node:path';

/** The `run` of a part that damages something, in cases which children run; `done` is what was done in each. */
export function damagePart(label, done, runCases) {
  return ({ count, seed, share, newPath, attempt }) =>
    attempt(label, async () => {
      const { cases, outcomes, failures } = await runCases({
        count,
        seed,
        share,
        directory: dirname(newPath()),
        report: (cases) => attempt.progress(`${cases} ${done}`),
      });
      if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
      return { cases, outcomes };
    });
}

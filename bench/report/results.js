import { loadResults } from '../harness/results.js';
import { measuredOf, verdictOf } from '../harness/table.js';

/**
 * What there is to report of each trial: its rows and distributions, made of the results in `folder`; or why that
 * fails, where they are of another version of the trial. `leaveOut` is called as by `loadResults`.
 */
export function reportable(folder, trials, leaveOut) {
  return loadResults(folder, trials, leaveOut).map(({ trial, result }) => {
    try {
      return {
        trial,
        result,
        rows: trial.rows(result.results),
        distributions: trial.distributions?.(result.results) ?? [],
      };
    } catch (error) {
      return { trial, result, rows: [], distributions: [], unreadable: error.message };
    }
  });
}

/** Every bar of every trial, with whose it is, what was measured, and what came of it. */
export function barsOf(reported) {
  return reported.flatMap(({ trial, rows }) =>
    rows
      .filter(({ bar }) => bar !== undefined)
      .map((row) => ({
        trial,
        group: row.group,
        name: row.name,
        measured: measuredOf(row),
        verdict: verdictOf(row),
      })),
  );
}

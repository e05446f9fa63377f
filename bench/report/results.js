import { loadResults } from '../harness/results.js';

/**
 * What there is to report of each trial: its rows and distributions, made of the results in `folder`; or why that
 * fails, where they are of another version of the trial.
 */
export function reportable(folder, trials) {
  return loadResults(folder, trials).map(({ trial, result }) => {
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

/** Every bar of every trial, with whose it is. */
export function barsOf(reported) {
  return reported.flatMap(({ trial, rows }) =>
    rows
      .filter(({ bar }) => bar !== undefined)
      .map(({ group, name, bar, ratio }) => ({ trial, group, name, bar, ratio })),
  );
}

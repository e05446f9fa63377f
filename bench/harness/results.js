import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const RESULTS = fileURLToPath(new URL('../results/', import.meta.url));

/**
 * Where the results of a run are put. Full runs are kept apart from all others, which would take their place
 * with figures of less weight, or of other places: quick ones, and those with options of the user's own.
 */
export function resultsFolder({ into, set, overriding, node, dir, ownCpus = false }) {
  if (into !== undefined) return into;
  const own = Object.keys(overriding).length > 0 || node.length > 0 || dir !== undefined || ownCpus;
  if (own) return join(RESULTS, 'own');
  return set === 'full' ? RESULTS : join(RESULTS, 'quick');
}

/** Throws where nothing can be saved in `folder`: better before hours of measuring than after. */
export function checkFolder(folder) {
  mkdirSync(folder, { recursive: true });
  rmSync(mkdtempSync(join(folder, 'trial-')), { recursive: true });
}

/** At once or not at all: a run that is cut short leaves no half of a file. */
export function saveResult(folder, result) {
  const path = join(folder, `${result.name}.json`);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(result, null, 1)}\n`);
  renameSync(`${path}.tmp`, path);
  return path;
}

/**
 * The results in `folder` of those trials that have some, in the trials' order. `leaveOut` is called with an error
 * for each file that has none of its trial, and may throw it.
 */
export function loadResults(folder, trials, leaveOut) {
  const there = new Set(attempt(() => readdirSync(folder)) ?? []);
  return trials
    .filter(({ name }) => there.has(`${name}.json`))
    .flatMap((trial) => {
      const path = join(folder, `${trial.name}.json`);
      try {
        return [{ trial, result: resultIn(path, trial) }];
      } catch (error) {
        leaveOut(new Error(`${path} can't be read: ${error.message}`));
        return [];
      }
    });
}

function resultIn(path, { name }) {
  const result = JSON.parse(readFileSync(path, 'utf8'));
  if (result?.name !== name) throw new Error(`no results of ${name}`);
  return result;
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

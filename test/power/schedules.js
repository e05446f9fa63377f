import { rmSync } from 'node:fs';
import { LogTrial } from './log-trial.js';
import { loadLibrary } from './machine.js';
import { Trial } from './trial.js';

const MOST_FAILURES = 5;

export function losePower(options) {
  return lose(Trial, options);
}

export function loseLogPower(options) {
  return lose(LogTrial, options);
}

async function lose(Kind, { losses, seed, newDirectory, libraryUrl, report }) {
  const library = await loadLibrary(libraryUrl);
  const summary = { cases: 0, failures: [] };
  const counts = { losses: 0 };
  // A case is never cut short, so that its seed alone says all that is done in it.
  while (counts.losses < losses && summary.failures.length < MOST_FAILURES) {
    const home = newDirectory();
    const trial = new Kind(library, seed + summary.cases, home, counts);
    const failure = await trial.run();
    if (failure !== undefined) summary.failures.push(failure);
    rmSync(home, { recursive: true, force: true });
    summary.cases++;
    report?.(counts.losses);
  }
  return { ...summary, counts };
}

import { rmSync } from 'node:fs';
import { loadLibrary } from './machine.js';
import { Trial } from './trial.js';

const MOST_FAILURES = 5;

export async function losePower({ losses, seed, newDirectory, libraryUrl, report }) {
  const library = await loadLibrary(libraryUrl);
  const summary = { cases: 0, failures: [] };
  const counts = { losses: 0 };
  // A case is never cut short, so that its seed alone says all that is done in it.
  while (counts.losses < losses && summary.failures.length < MOST_FAILURES) {
    const home = newDirectory();
    const trial = new Trial(library, seed + summary.cases, home, counts);
    const failure = await trial.run();
    if (failure !== undefined) summary.failures.push(failure);
    rmSync(home, { recursive: true, force: true });
    summary.cases++;
    report?.(counts.losses);
  }
  return { ...summary, counts };
}

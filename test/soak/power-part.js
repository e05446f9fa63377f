import { dirname } from 'node:path';
import { stepped } from '../crash/fixtures/stepped.js';
import { trialsPart } from './trials-part.js';

export function powerPart(option, losePower) {
  return trialsPart(option, 'power cuts', ({ count, seed, newPath, report }) =>
    losePower({
      losses: count,
      seed,
      newDirectory: () => dirname(newPath()),
      libraryUrl: stepped(),
      report,
    }),
  );
}

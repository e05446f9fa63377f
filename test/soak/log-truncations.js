import { runChosen } from './in-children.js';

/** The last segment has 64 KiB for frames: it is cut anywhere in that, and right before it. */
const LENGTHS = 65536;

export function runLogTruncations(options) {
  return runChosen('./log-truncations-child.js', LENGTHS, options);
}

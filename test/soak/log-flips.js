import { runChosen } from './in-children.js';

/** The bits of its files: two segments of 32 KiB, log.lock, cursors.mr. */
const BITS = (2 * 32768 + 4096 + 36864) * 8;

export function runLogFlips(options) {
  return runChosen('./log-flips-child.js', BITS, options);
}

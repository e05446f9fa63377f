import { runChosen } from './in-children.js';

/** The file: 16 KiB in front of 64 KiB of frames; cut off behind each 16th byte. */
const STEP = 16;
const LENGTHS = (16384 + 65536) / STEP;

export function runTruncations(options) {
  return runChosen('./truncations-child.js', LENGTHS, options, [STEP]);
}

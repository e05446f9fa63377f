import { runChosen } from './in-children.js';

/** The bits of the file: 16 KiB in front of 64 KiB of frames. */
const BITS = (16384 + 65536) * 8;

export function runFlips(options) {
  return runChosen('./flips-child.js', BITS, options);
}

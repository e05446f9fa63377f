import { runInChildren } from './in-children.js';

/** The bits of the file: 16 KiB in front of 64 KiB of frames. */
export const BITS = (16384 + 65536) * 8;

export function runFlips({ count, ...options }) {
  const flips = count === 0 ? BITS : Math.min(count, BITS);
  return runInChildren('./flips-child.js', { ...options, count: flips }, [flips, BITS]);
}

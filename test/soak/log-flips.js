import { runInChildren } from './in-children.js';

/** The bits of its files: two segments of 32 KiB, log.lock, cursors.mr. */
export const BITS = (2 * 32768 + 4096 + 36864) * 8;

export function runLogFlips({ count, ...options }) {
  const flips = count === 0 ? BITS : Math.min(count, BITS);
  return runInChildren('./log-flips-child.js', { ...options, count: flips }, [flips, BITS]);
}

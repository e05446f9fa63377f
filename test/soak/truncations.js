import { runInChildren } from './in-children.js';

/** The file: 16 KiB in front of 64 KiB of frames; cut off behind each 16th byte. */
const STEP = 16;
export const LENGTHS = (16384 + 65536) / STEP;

export function runTruncations({ count, ...options }) {
  const lengths = count === 0 ? LENGTHS : Math.min(count, LENGTHS);
  return runInChildren('./truncations-child.js', { ...options, count: lengths }, [lengths, LENGTHS, STEP]);
}

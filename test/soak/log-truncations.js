import { runInChildren } from './in-children.js';

/** The last segment has 64 KiB for frames: it is cut anywhere in that, and right before it. */
const MOST = 65536;

export function runLogTruncations({ count, ...options }) {
  const lengths = count === 0 ? MOST : Math.min(count, MOST);
  return runInChildren('./log-truncations-child.js', { ...options, count: lengths }, [lengths, MOST]);
}

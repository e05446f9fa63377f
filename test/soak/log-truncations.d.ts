import type { DamageOptions, DamageSummary } from './in-children.js';

/**
 * Cuts the last segment of a log, half full, to `count` lengths, spread over its last 64 KiB, or to each one where that is 0;
 * reads it, opens it, or repairs it where that is refused, and appends to it.
 */
export function runLogTruncations(options: DamageOptions): Promise<DamageSummary>;

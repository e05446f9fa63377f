import type { DamageOptions, DamageSummary } from './in-children.js';

/**
 * Flips bits of a closed channel of 64 KiB with checksums, one at a time, all over the file, and reads it: `count` of
 * them, spread evenly, or each one where that is 0. Outcomes are told by what of the file the bit belongs to.
 */
export function runFlips(options: DamageOptions): Promise<DamageSummary>;

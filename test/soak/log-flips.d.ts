import type { DamageOptions, DamageSummary } from './in-children.js';

/**
 * Flips bits of a closed log of two segments, one at a time, all over its files: `count` of them, spread evenly, or each one
 * where that is 0; reads it, opens it, or repairs it where that is refused, and appends to it. Outcomes are told by what the
 * bit belongs to.
 */
export function runLogFlips(options: DamageOptions): Promise<DamageSummary>;

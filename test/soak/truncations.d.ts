import type { DamageOptions, DamageSummary } from './in-children.js';

/**
 * Shortens a closed channel of 64 KiB with checksums and opens it in every way: to `count` lengths, spread evenly, or
 * to each multiple of 16 bytes where that is 0.
 */
export function runTruncations(options: DamageOptions): Promise<DamageSummary>;

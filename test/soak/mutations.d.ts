import type { DamageOptions, DamageSummary } from './in-children.js';

/**
 * Damages channels of all kinds in `count` ways and does with each what one does with channels, in a child that may
 * crash or hang without taking this process along. Where checksums tell what is true, it holds what readers hand out against
 * what was written.
 */
export function runMutations(options: DamageOptions): Promise<DamageSummary>;

import { damagePart } from '../damage-part.js';
import { runFlips } from '../flips.js';

export const option = 'flips';
export const says = 'bits flipped, one at a time, in a closed channel with checksums; 0: each one';

export const run = damagePart('flips', 'flipped', runFlips);

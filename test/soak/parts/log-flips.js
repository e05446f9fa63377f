import { damagePart } from '../damage-part.js';
import { runLogFlips } from '../log-flips.js';

export const option = 'log-flips';
export const says = 'bits flipped, one at a time, in the files of a closed log; 0: each one';

export const run = damagePart('log flips', 'flipped', runLogFlips);

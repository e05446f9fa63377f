import { damagePart } from '../damage-part.js';
import { runTruncations } from '../truncations.js';

export const option = 'truncations';
export const says = 'lengths to which a closed channel with checksums is cut; 0: each 16th byte';

export const run = damagePart('truncations', 'cut', runTruncations);

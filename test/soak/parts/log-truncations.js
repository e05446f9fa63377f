import { damagePart } from '../damage-part.js';
import { runLogTruncations } from '../log-truncations.js';

export const option = 'log-truncations';
export const says = 'lengths to which the last segment of a log is cut, in its last 64 KiB; 0: each one';

export const run = damagePart('log truncations', 'cut', runLogTruncations);

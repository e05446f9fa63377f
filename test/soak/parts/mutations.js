import { damagePart } from '../damage-part.js';
import { runMutations } from '../mutations.js';

export const option = 'mutations';
export const says = 'channels damaged';

export const run = damagePart('mutations', 'damaged', runMutations);

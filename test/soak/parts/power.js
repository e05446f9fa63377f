import { losePower } from '../../power/schedules.js';
import { powerPart } from '../power-part.js';

export const option = 'power';
export const says = 'power cuts, and what is left then';

export const run = powerPart(option, losePower);

import { loseLogPower } from '../../power/schedules.js';
import { powerPart } from '../power-part.js';

export const option = 'log-power';
export const says = 'power cuts under logs, and what is left then';

export const run = powerPart(option, loseLogPower);

import type { Verb } from '../command.js';
import { abandon } from './abandon.js';
import { create } from './create.js';
import { dump } from './dump.js';
import { stat } from './stat.js';
import { tail } from './tail.js';
import { verify } from './verify.js';
import { write } from './write.js';

export { advised, withAdvice } from './advice.js';
export { refuseLog } from './log-instead.js';
export { checkNewPlace } from './new-place.js';
export { Overwritten } from './overwritten.js';
export { placeInChannel } from './place.js';
export { type Rates, ratesSince } from './rates.js';
export { forward, Gap } from './walk.js';

export const CHANNEL_VERBS: readonly Verb[] = [create, write, stat, dump, tail, verify, abandon];

import type { Verb } from '../command.js';
import { dump } from './dump.js';
import { stat } from './stat.js';
import { tail } from './tail.js';
import { verify } from './verify.js';

export const CHANNEL_VERBS: readonly Verb[] = [stat, dump, tail, verify];

import type { Verb } from '../command.js';
import { abandon } from './abandon.js';
import { create } from './create.js';
import { dump } from './dump.js';
import { stat } from './stat.js';
import { tail } from './tail.js';
import { verify } from './verify.js';
import { write } from './write.js';

export const CHANNEL_VERBS: readonly Verb[] = [create, write, stat, dump, tail, verify, abandon];

import { CHANNEL_VERBS } from './channel/index.js';
import type { Group, Verb } from './command.js';
import { doctor } from './doctor/index.js';
import { log } from './log/index.js';
import { RECORDING_VERBS } from './recording/index.js';
import { top } from './top/index.js';

/** All that the command can do. */
export const VERBS: readonly (Verb | Group)[] = [...CHANNEL_VERBS, ...RECORDING_VERBS, top, doctor, log];

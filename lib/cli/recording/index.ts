import type { Verb } from '../command.js';
import { record } from './record.js';
import { replay } from './replay.js';

/** Between channels and logs: they stand on the verbs of both. */
export const RECORDING_VERBS: readonly Verb[] = [record, replay];

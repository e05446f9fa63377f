import { type Group, summaries, type Verb } from '../command.js';
import { append } from './append.js';
import { compact } from './compact.js';
import { cursors } from './cursors.js';
import { read } from './read.js';
import { repair } from './repair.js';
import { segments } from './segments.js';
import { stat } from './stat.js';
import { tail } from './tail.js';
import { verify } from './verify.js';

export { openToAppend } from './open.js';
export { placeInLog } from './place.js';
export { gapOf } from './print.js';
export { gapText } from './printer.js';
export { isLogSound, type LogLook, logRatesSince, lookAtLog } from './stat.js';
export { faultOf, told, type Untold } from './told.js';

const VERBS: readonly Verb[] = [append, read, tail, stat, segments, cursors, compact, verify, repair];

export const log: Group = {
  name: 'log',
  summary: 'append to logs, read them, and look after them',
  help: `millrace log VERB DIRECTORY [options]: works with the durable log in a directory

${summaries(VERBS)}

  millrace help log VERB   options and examples

All take --json. Exit codes: 0, or 1 for a fault found, or 2 for wrong use. What reads changes nothing, also beside a live
writer; append is that writer, and there is one at a time. Times are UTC, those that are given unless they say their zone.

Examples
  millrace log append /var/lib/app/events < events.txt
  millrace log read /var/lib/app/events --from 2026-11-21 --limit 20
  millrace log tail /var/lib/app/events
  millrace log stat /var/lib/app/events`,
  verbs: VERBS,
};

import { inspect, type MillraceError } from '../../index.js';
import { Log, type SegmentInfo } from '../../log/index.js';
import type { Verb } from '../command.js';
import { interruption } from '../interruption.js';
import type { Output } from '../output.js';
import { untilNextLook } from '../watching.js';
import { count, exactSize, plain, plural, toJson, visible } from '../words.js';
import { logPath } from './channel-instead.js';
import { areSound, type CursorLag, cursorsOf, cursorTable } from './cursors.js';
import { told, type Untold } from './told.js';

export const stat: Verb = {
  name: 'log stat',
  summary: 'tell how far a log is, who writes it and who reads it from where',
  help: `millrace log stat DIRECTORY [--watch] [--json]

Tells the earliest and the next offset of a log, up to where it is on the disk, what it takes there, whether a writer has it open,
whether the next one has something to recover, and where the named cursors stand. What of these can't be told because something
is damaged is said in its place, with the reason; then the exit code is 1. Nothing in the log changes.

  -w, --watch   again each second, with rates, until Ctrl-C; it is the last look that the exit code is of
  --json        an object a line

Examples
  millrace log stat /var/lib/app/events --watch
  millrace log stat /var/lib/app/events --json | jq '.cursors[] | {name, lag}'`,
  options: { watch: { type: 'boolean', short: 'w' }, json: { type: 'boolean' } },
  async run(values, paths, output) {
    const path = logPath(stat, paths, 'stat');
    const show = values.json === true ? (look: LogLook) => toJson(look) : asText;
    if (values.watch === true) return watch(path, show, output);
    const found = await lookAtLog(path);
    output.line(show(found));
    return isLogSound(found);
  },
};

/** What a log says of itself at one time. */
export interface LogLook {
  path: string;
  earliest: number;
  next?: number;
  durable?: number;
  /** Why nobody can tell where it ends. */
  nextFault?: Untold;
  durableFault?: Untold;
  cursors?: CursorLag[];
  cursorsFault?: Untold;
  segments: number;
  /** What they take of the disk. */
  bytes: number;
  /** Whether somebody has it open to append. */
  writer: boolean;
  /** What the next writer will have to recover from; undefined: nothing. */
  recovery?: Recovery;
  /** Since the look before, per second. */
  rates?: { records: number };
}

export async function lookAtLog(path: string): Promise<LogLook> {
  await using log = await Log.open(path, { readOnly: true });
  // Before the segments are looked at: who writes now has recovered what there was.
  const { earliest, hasWriter } = log;
  // It may rise meanwhile, and is never said to be behind the end.
  const durable = told(() => log.durable);
  const next = told(() => log.next);
  const cursors = told(() => cursorsOf(log));
  const segments = log.segments();
  return {
    path: log.path,
    earliest,
    next: next.value,
    durable: durable.value,
    nextFault: next.fault,
    durableFault: durable.fault,
    cursors: cursors.value,
    cursorsFault: cursors.fault,
    segments: segments.length,
    bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
    writer: hasWriter,
    recovery: hasWriter ? undefined : recoveryOf(segments),
  };
}

export function isLogSound({ nextFault, durableFault, cursorsFault, cursors = [] }: LogLook): boolean {
  const faults = [nextFault, durableFault, cursorsFault];
  return faults.every((fault) => fault === undefined) && areSound(cursors);
}

const RECOVERIES = {
  machine: 'the machine went down while it was written: what had not reached the disk may be gone',
  roll: 'its writer died while it went over to a new segment: nothing is lost',
  header: 'the last segment is not whole: log verify tells what is wrong, log repair keeps what is intact',
};

type Recovery = keyof typeof RECOVERIES;

function recoveryOf(segments: SegmentInfo[]): Recovery | undefined {
  const [last, before] = [segments.at(-1), segments.at(-2)].map(
    (segment) => segment && stateOf(segment.path),
  );
  if (last === 'damaged') return 'header';
  if (last === 'cut off' || before === 'cut off') return 'machine';
  return before === undefined || before === 'sealed' ? undefined : 'roll';
}

function stateOf(path: string): 'sealed' | 'open' | 'cut off' | 'damaged' {
  try {
    const { status, sameBoot } = inspect(path);
    if (status === 'sealed') return 'sealed';
    return sameBoot ? 'open' : 'cut off';
  } catch (error) {
    const { code } = error as MillraceError;
    if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED') throw error;
    return 'damaged';
  }
}

function asText(look: LogLook): string {
  const { path, segments, bytes, writer, recovery, cursors = [], cursorsFault, rates } = look;
  const facts = offsetsOf(look);
  if (rates !== undefined) facts.push(['rate', `${count(rates.records)} records/s`]);
  facts.push(
    ['files', `${plural(segments, 'segment')}, ${exactSize(bytes)}`],
    ['writer', writer ? 'alive' : 'none'],
    ['recovery', recovery === undefined ? 'nothing to be done' : RECOVERIES[recovery]],
    ['cursors', cursorsFault === undefined ? count(cursors.length) : untold(cursorsFault)],
  );
  const width = Math.max(...facts.map(([name]) => name.length));
  const table = cursors.length === 0 ? [] : ['', ...cursorTable(cursors).map((line) => `  ${line}`)];
  return [
    visible(path),
    ...facts.map(([name, fact]) => `  ${name.padEnd(width)}  ${fact}`),
    ...table,
    '',
  ].join('\n');
}

function offsetsOf({ earliest, next, durable, nextFault, durableFault }: LogLook): [string, string][] {
  const behind =
    durable === undefined || next === undefined ? '' : `, ${plain(next - durable, 'record')} behind`;
  return [
    ['earliest', String(earliest)],
    ['next', next === undefined ? untold(nextFault) : String(next)],
    ['durable', durable === undefined ? untold(durableFault) : `${durable}${behind}`],
  ];
}

/** Undefined where damage hides an end. */
export function logRatesSince(before: LogLook, now: LogLook, elapsedMs: number): LogLook['rates'] {
  if (before.next === undefined || now.next === undefined) return undefined;
  return { records: Math.round(((now.next - before.next) * 1000) / elapsedMs) };
}

function untold(fault: Untold | undefined): string {
  return `can't be told: ${visible(fault?.message ?? '')} (${fault?.code})`;
}

async function watch(path: string, show: (look: LogLook) => string, output: Output): Promise<boolean> {
  const stop = interruption();
  let before: { look: LogLook; at: number } | undefined;
  for (;;) {
    const now = await lookAtLog(path);
    const at = performance.now();
    now.rates = before && logRatesSince(before.look, now, at - before.at);
    before = { look: now, at };
    if (output.isTerminal && show === asText) output.clear();
    output.line(show(now));
    await output.flush();
    await untilNextLook(stop);
    if (stop.aborted) return isLogSound(now);
  }
}

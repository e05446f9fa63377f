import { relative } from 'node:path';
import type { ChannelInfo } from '../../index.js';
import type { Untold } from '../log/index.js';
import type { Output } from '../output.js';
import { beginningOf, count, endOf, plural, size, table, visible } from '../words.js';
import { type Found, isSound, type SeenChannel, type SeenLog } from './looker.js';
import { worstCursorLag, worstLag } from './order.js';

/** One look for people: what fits on the terminal, and all of it where there is none. */
export function pictureOf(
  directory: string,
  found: Found[],
  output: Pick<Output, 'width' | 'height'>,
): string[] {
  const channels = found.filter((one) => one.kind === 'channel');
  const logs = found.filter((one) => one.kind === 'log');
  const { width, height } = output;
  const most = width ?? Number.POSITIVE_INFINITY;
  const left = height === undefined ? Number.POSITIVE_INFINITY : height - BESIDES;
  const reasons = reasonsOf(directory, found).slice(0, Math.max(0, Math.floor(left / PART_FOR_REASONS)));
  const room = reasons.length === 0 ? left : left - reasons.length - 1;
  // Of logs there are few, as a rule.
  const forLogs = Math.min(logs.length, Math.max(room - channels.length, Math.floor(room / 3), 1));
  return [
    beginningOf(summary(directory, channels, logs), most),
    ...part(CHANNEL_COLUMNS, directory, channels, room - forLogs, width),
    ...part(LOG_COLUMNS, directory, logs, forLogs, width),
    ...(reasons.length === 0 ? [] : ['', ...reasons.map((reason) => beginningOf(reason, most))]),
    '',
  ];
}

const PART_FOR_REASONS = 4;

/** What is behind each code that stands in the place of a status. */
function reasonsOf(directory: string, found: Found[]): string[] {
  return found.flatMap((one) => {
    const wrong = one.kind === 'channel' ? one.fault : faultOfLog(one);
    if (wrong === undefined) return [];
    const { path } = one;
    const name = nameIn(directory, one);
    const { message } = wrong;
    // A name says as much as a path, and leaves more room.
    return [visible(message.includes(path) ? message.replaceAll(path, name) : `${name}: ${message}`)];
  });
}

/** Lines that are no rows: the summary; of two tables the lines above them, the heads and what is left out; the last two. */
const BESIDES = 9;

function summary(directory: string, channels: SeenChannel[], logs: SeenLog[]): string {
  const written = channels.map(({ rates }) => rates).filter((rates) => rates !== undefined);
  const appended = logs.map(({ look }) => look?.rates).filter((rates) => rates !== undefined);
  const bytes = size(sum(written.map((rates) => rates.bytes)));
  const rates = [
    ...(written.length === 0 ? [] : [`${count(recordsIn(written))} records/s, ${bytes}/s written`]),
    ...(appended.length === 0 ? [] : [`${count(recordsIn(appended))} records/s appended`]),
  ];
  const damaged = [...channels, ...logs].filter((one) => !isSound(one)).length;
  const what = [
    plural(channels.length, 'channel'),
    plural(logs.length, 'log'),
    ...(damaged === 0 ? [] : [`${damaged} damaged`]),
  ].join(', ');
  return [`${visible(directory)}: ${what}`, ...rates].join('; ');
}

function recordsIn(rates: { records: number }[]): number {
  return sum(rates.map(({ records }) => records));
}

function sum(rates: number[]): number {
  return rates.reduce((all, rate) => all + Math.max(0, rate), 0);
}

interface Column<T> {
  title: string;
  cell(found: T): string;
  /** Room that is kept for what comes at later looks, so that columns do not come and go. */
  least?: number;
  /** Where the terminal is too narrow, the highest goes first; what has none stays. */
  spared?: number;
  isText?: boolean;
}

/** '1023.9 KiB' */
const SIZE_WIDTH = 10;

const CHANNEL_COLUMNS: readonly Column<SeenChannel>[] = [
  { title: 'STATUS', cell: statusOf, isText: true },
  { title: 'MODE', cell: of((info) => info.mode), isText: true, spared: 5 },
  { title: 'SIZE', cell: of((info) => size(info.capacity)), spared: 6 },
  { title: 'FILL', cell: of(fillOf), spared: 2 },
  { title: 'RECORDS', cell: of((info) => count(info.records)), spared: 3 },
  { title: 'RECORDS/S', cell: ({ rates }) => (rates === undefined ? '-' : count(rates.records)) },
  {
    title: 'BYTES/S',
    least: SIZE_WIDTH,
    cell: ({ rates }) => (rates === undefined ? '-' : size(Math.max(0, rates.bytes))),
    spared: 1,
  },
  {
    title: 'READERS',
    cell: of((info) => count(info.readers.filter(({ alive }) => alive).length)),
    spared: 4,
  },
  { title: 'LAG', cell: of((info) => lagText(worstLag(info.readers), size)), least: SIZE_WIDTH },
  { title: 'EVICTED', cell: of((info) => count(info.evictions)), spared: 7 },
];

const LOG_COLUMNS: readonly Column<SeenLog>[] = [
  { title: 'STATUS', cell: logStatusOf, isText: true },
  { title: 'SEGMENTS', cell: ({ look }) => (look === undefined ? '-' : count(look.segments)), spared: 3 },
  { title: 'SIZE', cell: ({ look }) => (look === undefined ? '-' : size(look.bytes)), spared: 2 },
  { title: 'EARLIEST', cell: ({ look }) => String(look?.earliest ?? '-'), spared: 4 },
  { title: 'NEXT', cell: ({ look }) => String(look?.next ?? '-'), spared: 1 },
  { title: 'RECORDS/S', cell: ({ look }) => (look?.rates === undefined ? '-' : count(look.rates.records)) },
  {
    title: 'CURSORS',
    cell: ({ look }) => (look?.cursors === undefined ? '-' : count(look.cursors.length)),
    spared: 5,
  },
  { title: 'LAG', cell: (log) => lagText(worstCursorLag(log), count) },
];

function of(cell: (info: ChannelInfo) => string): (found: SeenChannel) => string {
  return ({ info }) => (info === undefined ? '-' : cell(info));
}

function statusOf({ info, fault }: SeenChannel): string {
  if (info === undefined) return fault?.code ?? '-';
  const { status, heartbeatAgeMs, stalledAfterMs } = info;
  return status === 'alive' && (heartbeatAgeMs ?? 0) >= stalledAfterMs ? 'stalled' : status;
}

function logStatusOf(log: SeenLog): string {
  const wrong = faultOfLog(log);
  if (wrong !== undefined) return wrong.code;
  return log.look?.writer === true ? 'alive' : 'idle';
}

function faultOfLog({ look, fault }: SeenLog): Untold | undefined {
  return fault ?? look?.nextFault ?? look?.durableFault ?? look?.cursorsFault;
}

/** Of a linear channel what is written; of a ring what those have still to read who hold its writer back. */
function fillOf({ mode, tail, basePosition, capacity, readers }: ChannelInfo): string {
  const held = readers.filter(({ state }) => state === 'gating');
  const used = mode === 'linear' ? tail - basePosition : (worstLag(held) ?? 0);
  return `${Math.floor((used / capacity) * 100)} %`;
}

function lagText(lag: number | undefined, written: (lag: number) => string): string {
  return lag === undefined ? '-' : written(lag);
}

const GAP = 2;
const LEAST_PATH = 20;

function part<T extends Found>(
  columns: readonly Column<T>[],
  directory: string,
  found: T[],
  most: number,
  width: number | undefined,
): string[] {
  if (found.length === 0) return [];
  const shown = found.slice(0, Math.max(1, most));
  const paths = shown.map((one) => visible(nameIn(directory, one)));
  const [kept, rows, room] = fitting(columns, shown, paths, width);
  const head = ['PATH', ...kept.map(({ title }) => title)];
  const right = kept.filter(({ isText }) => isText !== true).map(({ title }) => title);
  const left = found.length - shown.length;
  return [
    '',
    ...table(
      head,
      // Names differ at their ends.
      rows.map((cells, i) => [endOf(paths[i], room), ...cells]),
      right,
    ),
    ...(left === 0 ? [] : [`… and ${count(left)} more`]),
  ];
}

/** The columns that there is room for beside the paths, their cells, and how long a path may be. */
function fitting<T>(
  columns: readonly Column<T>[],
  shown: T[],
  paths: string[],
  width: number | undefined,
): [readonly Column<T>[], string[][], number] {
  const rows = shown.map((one) => columns.map(({ cell }) => cell(one)));
  if (width === undefined) return [columns, rows, Number.POSITIVE_INFINITY];
  const longest = Math.max(...paths.map(({ length }) => length));
  const widths = columns.map(({ title, least = 0 }, i) =>
    Math.max(title.length, least, ...rows.map((cells) => cells[i].length)),
  );
  const kept = new Set(columns.keys());
  const room = () => width - [...kept].reduce((all, i) => all + widths[i] + GAP, 0);
  const bySparing = [...columns.keys()]
    .filter((i) => columns[i].spared !== undefined)
    .sort((a, b) => (columns[b].spared as number) - (columns[a].spared as number));
  for (const i of bySparing) {
    if (room() >= Math.min(longest, LEAST_PATH)) break;
    kept.delete(i);
  }
  const isKept = (_: unknown, i: number) => kept.has(i);
  return [columns.filter(isKept), rows.map((cells) => cells.filter(isKept)), Math.max(1, room())];
}

function nameIn(directory: string, { path }: Found): string {
  return relative(directory, path) || '.';
}

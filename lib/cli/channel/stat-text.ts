import { dirname } from 'node:path';
import type { ChannelInfo, ReaderInfo } from '../../index.js';
import { age, count, exactSize, plural, size, table, time, toJson, visible } from '../words.js';
import type { Rates } from './rates.js';

/** A channel for people: what it is, how far it is, who reads it. */
export function describe(info: ChannelInfo, rates: Rates | undefined): string[] {
  const base = baseInLog(info);
  const facts: [string, string][] = [
    ...(base === undefined ? [] : [segmentOf(info, base)]),
    ['state', base === undefined ? stateOf(info) : stateInLog(info)],
    ['writer', writerOf(info)],
    ['kind', `${info.mode}, ${info.timestamps ? 'with timestamps and tags' : 'without timestamps'}`],
    ['capacity', exactSize(info.capacity)],
    ['file', exactSize(info.fileBytes)],
    ['record', `${exactSize(info.maxRecord)} at most`],
    ['written', writtenOf(info)],
  ];
  if (rates !== undefined) {
    facts.push(['rate', `${count(rates.records)} records/s, ${size(Math.max(0, rates.bytes))}/s`]);
  }
  facts.push(
    ...durabilityOf(info),
    ['position', positionOf(info)],
    // A log resumes its last segment each time that somebody opens it to append.
    ...(base === undefined ? [resumedOf(info)] : []),
    ['created', `${time(info.created)} (${age(Date.now() - info.created / 1000)} ago)`],
    ['id', `${info.channelId}, incarnation ${info.incarnation}`],
  );
  if (Object.keys(info.metadata).length > 0) {
    facts.push(['metadata', toJson(info.metadata)]);
  }
  facts.push(['held back', `${plural(info.refusals, 'time')}; ${plural(info.evictions, 'reader')} evicted`]);
  facts.push(['readers', `${info.readers.length} in ${plural(info.readerSlots, 'slot')}`]);
  const width = Math.max(...facts.map(([name]) => name.length));
  return [
    visible(info.path),
    ...facts.map(([name, fact]) => `  ${name.padEnd(width)}  ${fact}`),
    ...readerLines(info.readers, rates),
  ];
}

/** The offset that this begins with where it is a segment of a log; else undefined. */
function baseInLog({ metadata }: ChannelInfo): number | undefined {
  const { id, base } = (metadata.log ?? {}) as { id?: unknown; base?: unknown };
  return typeof id === 'string' && typeof base === 'number' ? base : undefined;
}

function segmentOf({ path }: ChannelInfo, base: number): [string, string] {
  const log = visible(dirname(path));
  return [
    'segment',
    `of the log ${log}, from offset ${base} on; millrace log stat ${log} tells of all of it`,
  ];
}

function stateInLog({ status, sameBoot }: ChannelInfo): string {
  if (status === 'alive') return 'open';
  if (status !== 'dead') return status;
  return `open${sameBoot ? '' : ', left by an earlier start of this machine'}: who appends to the log goes on with it`;
}

function resumedOf({ resumes }: ChannelInfo): [string, string] {
  return ['resumed', plural(resumes, 'time')];
}

function stateOf({ status, sameBoot, mode, checksum }: ChannelInfo): string {
  if (status === 'alive') return 'open';
  if (status !== 'dead') return status;
  if (sameBoot) return 'open, its writer is dead: it can be resumed or abandoned';
  const healable = mode === 'linear' && checksum !== 'none';
  return `open, left by an earlier start of this machine: it can be read${healable ? ', resumed' : ''} or abandoned`;
}

function writerOf({ status, writerPid, heartbeatAgeMs, stalledAfterMs }: ChannelInfo): string {
  // Who closes a log leaves its last segment open, without a name.
  if (writerPid === 0) return 'none';
  if (status !== 'alive') return status === 'dead' ? `was pid ${writerPid}` : `gone, was pid ${writerPid}`;
  if (heartbeatAgeMs === undefined) return `alive, pid ${writerPid}`;
  const beat = `last heartbeat ${age(heartbeatAgeMs)} ago`;
  return heartbeatAgeMs < stalledAfterMs
    ? `alive, pid ${writerPid}, ${beat}`
    : `alive but stalled, pid ${writerPid}, ${beat}`;
}

function writtenOf({ records, tail, basePosition, capacity, mode }: ChannelInfo): string {
  const bytes = tail - basePosition;
  const laps =
    mode === 'ring' ? `${(bytes / capacity).toFixed(1)} laps` : `${percent(bytes / capacity)} full`;
  return `${plural(records, 'record')}, ${exactSize(bytes)} of stream, ${laps}`;
}

function durabilityOf({ mode, sync, checksum, durable, tail }: ChannelInfo): [string, string][] {
  const sums: [string, string] = ['checksums', checksum === 'none' ? 'none' : 'CRC32C'];
  if (mode === 'ring') return [sums];
  const { everyMs, everyBytes } = typeof sync === 'object' ? sync : {};
  const every = [everyMs && age(everyMs), everyBytes && exactSize(Number(everyBytes))].filter(Boolean);
  const level =
    { none: 'when flushed', commit: 'at each commit' }[String(sync)] ?? `each ${every.join(' or ')}`;
  return [
    sums,
    ['synced', `${level}; up to ${count(durable)}, ${size(Math.max(0, tail - durable))} behind the tail`],
  ];
}

function positionOf({ tail, finalPosition, basePosition }: ChannelInfo): string {
  const base = basePosition === 0 ? '' : `, began at ${count(basePosition)}`;
  return finalPosition === undefined ? `${count(tail)}${base}` : `${count(finalPosition)}, final${base}`;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}

const RIGHT = ['SLOT', 'PID', 'LAG', 'BYTES', 'RATE', 'POSITION', 'OVERTAKEN', 'LOST'];

function readerLines(readers: ReaderInfo[], rates: Rates | undefined): string[] {
  if (readers.length === 0) return [];
  const head = [
    'SLOT',
    'NAME',
    'PID',
    'STATE',
    'LAG',
    'BYTES',
    'POSITION',
    'HOLDS BACK',
    'OVERTAKEN',
    'LOST',
  ];
  const rows = readers.map((reader) => [
    String(reader.slot),
    visible(reader.name) || '-',
    String(reader.pid),
    reader.alive ? reader.state : `${reader.state}, dead`,
    size(reader.lagBytes),
    count(reader.lagBytes),
    count(reader.position),
    patienceOf(reader),
    count(reader.overtaken),
    size(reader.lostBytes),
  ]);
  if (rates !== undefined) {
    head.splice(6, 0, 'RATE');
    rows.forEach((row, i) => {
      const rate = rates.readers[readers[i].slot];
      row.splice(6, 0, rate === undefined ? '-' : `${size(Math.max(0, rate))}/s`);
    });
  }
  return ['', ...table(head, rows, RIGHT).map((line) => `  ${line}`)];
}

function patienceOf({ state, alive, evictAfterMs }: ReaderInfo): string {
  // Nobody waits for the dead: their slots are free as soon as somebody needs the room, or a slot.
  if (state !== 'gating' || !alive) return 'no';
  return evictAfterMs === undefined ? 'for ever' : `up to ${age(evictAfterMs)}`;
}

import diagnostics from 'node:diagnostics_channel';
import { onTestFinished } from 'vitest';
import { Teller } from '../../lib/channel/index.js';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import { Directory } from '../../lib/log/files/directory.js';
import { Log, type LogOptions, type LogRecord } from '../../lib/log/index.js';
import { settingsOf } from '../../lib/log/options.js';
import { Retention } from '../../lib/log/upkeep/retention.js';
import { newDirectory } from '../helpers/run-directory.js';
import { clock } from './own-clock.js';

export const HOUR_MS = 3_600_000;
export const VALUE = 1000;
/** So many of them are in a segment of 16 KiB. */
export const A_SEGMENT = 15;

export async function open(options: LogOptions = {}, directory = newDirectory()): Promise<Log> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  onTestFinished(() => log.close());
  return log;
}

/** Appends until there are so many segments. */
export function fillTo(log: Log, segments: number, value = VALUE): void {
  while (log.segments().length < segments) log.append(String(log.next).padEnd(value, '.'));
}

/** Appends a segment's worth of records, all of that time; a log that is filled by this has no others. */
export function appendSegment(log: Log, timestampUs: number): void {
  clock.us = timestampUs;
  for (let i = 0; i < A_SEGMENT; i++) log.append(Buffer.alloc(VALUE));
}

/** What is retained of a log by these rules, applied once, from without. */
export async function apply(
  log: Log,
  retention: LogOptions['retention'],
  {
    signal = new AbortController().signal,
    teller = new Teller({ role: 'log', path: log.path }, undefined),
  } = {},
): Promise<void> {
  const cursors = new CursorFile(log.path, { readOnly: true });
  const settings = settingsOf({ retention }).retention;
  const directory = new Directory(log.path);
  try {
    const retained = { directory, cursors, teller, settled: async () => {}, assertNamed: () => {} };
    await new Retention(settings, retained).apply(signal);
  } finally {
    await cursors.close();
  }
}

export const basesOf = (log: Log) => log.segments().map(({ base }) => base);

export async function readAll(log: Log, options: Parameters<Log['read']>[0] = {}): Promise<LogRecord[]> {
  const records = [];
  for await (const record of log.read(options)) records.push(record);
  return records;
}

/** Hears of what the log was made to lose. */
export function overruns(): { cursor?: string; from: number; to: number; path: string; role: string }[] {
  const heard: ReturnType<typeof overruns> = [];
  const hear = (message: unknown) => void heard.push(message as (typeof heard)[number]);
  diagnostics.subscribe('millrace:overrun', hear);
  onTestFinished(() => void diagnostics.unsubscribe('millrace:overrun', hear));
  return heard;
}

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

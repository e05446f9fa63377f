import { expect, onTestFinished } from 'vitest';
import { SegmentReader, Teller } from '../../lib/channel/index.js';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import { Directory, factsOf } from '../../lib/log/files/directory.js';
import { walkFrames } from '../../lib/log/files/segment-walk.js';
import { Log, type LogOptions, type LogRecord, type LogRecordInput } from '../../lib/log/index.js';
import { unpack } from '../../lib/log/records/packing.js';
import { PACKED } from '../../lib/log/records/record.js';
import { decodeRecord, fromPool } from '../../lib/log/records/record-decoder.js';
import { Compaction } from '../../lib/log/upkeep/compaction.js';
import { newDirectory } from '../helpers/run-directory.js';
import { clock } from './own-clock.js';

export const DAY_MS = 86_400_000;
/** A record as it was appended. */
export interface Appended {
  offset: number;
  key: string | undefined;
  value: string;
  timestamp: number;
  isTombstone: boolean;
  expiresAt: number;
}

/** A log, and beside it an array of all that went into it. */
export class Modelled {
  readonly appended: Appended[] = [];
  readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  static async open(options: LogOptions = {}, directory = newDirectory()): Promise<Modelled> {
    const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
    onTestFinished(() => log.close());
    return new Modelled(log);
  }

  add(key: string | undefined, value: string | null, { ttlMs }: { ttlMs?: number } = {}): number {
    const record: LogRecordInput = { value };
    if (key !== undefined) record.key = key;
    if (ttlMs !== undefined) record.ttlMs = ttlMs;
    const offset = this.log.append(record);
    this.appended.push({
      offset,
      key,
      value: value ?? '',
      timestamp: clock.us,
      isTombstone: value === null,
      expiresAt: clock.us + (ttlMs ?? Number.POSITIVE_INFINITY) * 1000,
    });
    return offset;
  }

  /** Goes on in a new segment. */
  roll(): void {
    const before = this.log.segments().length;
    while (this.log.segments().length === before) this.add(undefined, 'fills'.padEnd(2000, '.'));
  }

  /** What is to be there after a compaction that leaves what begins at `end`. */
  left(end: number, tombstonesMs = DAY_MS): Appended[] {
    const last = new Map(this.appended.map(({ key, offset }) => [key, offset]));
    return this.appended.filter((record) => {
      const { offset, key, timestamp, isTombstone, expiresAt } = record;
      if (offset >= end) return true;
      if (key !== undefined && last.get(key) !== offset) return false;
      return expiresAt > clock.us && !(isTombstone && timestamp + tombstonesMs * 1000 <= clock.us);
    });
  }

  /** What somebody who reads all of it knows at last: of each key its value, and what has none. */
  static fold(records: readonly Appended[]): unknown[] {
    const values = new Map<string, Appended>();
    const others: Appended[] = [];
    for (const record of records) {
      if (record.key !== undefined) values.set(record.key, record);
      else if (record.expiresAt > clock.us) others.push(record);
    }
    const valid = [...values.values()].filter((one) => !one.isTombstone && one.expiresAt > clock.us);
    return [...others, ...valid].sort((a, b) => a.offset - b.offset);
  }

  get lastBase(): number {
    return this.log.segments().at(-1)?.base as number;
  }

  /** Closes it and opens it again. */
  async reopen(options: LogOptions = {}): Promise<Modelled> {
    await this.log.close();
    const again = await Modelled.open(options, this.log.path);
    again.appended.push(...this.appended);
    return again;
  }
}

export function seen({ offset, key, value, timestamp, tombstone, expiresAt }: LogRecord): Appended {
  return {
    offset,
    key: key && String(key),
    value: String(value),
    timestamp,
    isTombstone: tombstone === true,
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
  };
}

/** All records that are in the files, also those that no reader is handed any more. */
export async function stored(path: string): Promise<Appended[]> {
  const records: LogRecord[] = [];
  for (const file of new Directory(path).segments()) {
    const segment = await SegmentReader.open(file.path, { readOnly: true });
    await walkFrames(segment, (bytes, start, end, type) => {
      const { tag, timeUs } = segment;
      if (type === PACKED) records.push(...unpack(bytes, start, end, tag, timeUs));
      else records.push(decodeRecord(bytes, start, end, type, tag, timeUs, fromPool));
    });
    segment.close();
  }
  return records.map(seen);
}

export async function readAll(log: Log, options: Parameters<Log['read']>[0] = {}): Promise<Appended[]> {
  const records = [];
  for await (const record of log.read(options)) records.push(seen(record));
  return records;
}

/** The segments are chained without a gap, and each says of itself what it is. */
export function checkChain(log: Log): void {
  const segments = log.segments();
  for (const [i, { base, path }] of segments.slice(0, -1).entries()) {
    const segment = SegmentReader.openNow(path, { readOnly: true });
    expect(factsOf(segment.metadata, path).base).toBe(base);
    segment.seekLatest();
    expect(segment.hasEnded()).toBe(true);
    expect(segment.link()?.record).toBe(segments[i + 1].base);
    segment.close();
  }
}

export function generationsOf(log: Log): number[] {
  return log.segments().map(({ path }) => {
    const segment = SegmentReader.openNow(path, { readOnly: true });
    segment.close();
    return factsOf(segment.metadata, path).generation;
  });
}

export const offsetsOf = (records: readonly Appended[]) => records.map(({ offset }) => offset);

/** Appends at random: few keys that come again and again, or many that hardly ever do; tombstones, ends, and neither. */
export function addAtRandom(
  model: Modelled,
  random: (below: number) => number,
  count: number,
  keys: number,
): void {
  for (let i = 0; i < count; i++) {
    clock.us += random(2_000_000);
    if (random(50) === 0) clock.us += (random(200) - 100) * 60_000_000;
    const key = random(10) === 0 ? undefined : `key-${random(keys)}`;
    const ttlMs = random(8) === 0 ? 1 + random(600_000) : undefined;
    const isTombstone = key !== undefined && random(6) === 0;
    model.add(key, isTombstone ? null : 'v'.repeat(random(600)), { ttlMs });
  }
}

/** Compacts as the timer does. */
export async function compactByTime(log: Log): Promise<void> {
  await compactWith(log, { minDeadRatio: 0.5, tombstonesMs: 0 });
}

export async function compactWith(
  log: Log,
  {
    memory,
    tombstonesMs = DAY_MS,
    minDeadRatio = 0,
    synced = async () => log.next,
    alone = (work) => work(),
  }: {
    memory?: number;
    tombstonesMs?: number;
    minDeadRatio?: number;
    synced?: () => Promise<number>;
    alone?: <T>(work: () => Promise<T>) => Promise<T>;
  },
) {
  const cursors = new CursorFile(log.path, { readOnly: true });
  const teller = new Teller({ role: 'log', path: log.path }, undefined);
  const compacted = {
    directory: new Directory(log.path),
    cursors,
    teller,
    synced,
    alone,
    compression: undefined,
    assertNamed: () => {},
  };
  const settings = { everyMs: undefined, minDeadRatio, tombstonesMs };
  try {
    const compaction = new Compaction(compacted, settings, memory);
    return await compaction.run(minDeadRatio, undefined, new AbortController().signal);
  } finally {
    await cursors.close();
    compacted.directory.mappings.close();
  }
}

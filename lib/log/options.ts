import {
  type Compression,
  type CompressionSettings,
  checkIdle,
  checkLogger,
  compressionOf,
  type Idle,
  type Logger,
  type Sync,
  type WaitOptions,
} from '../channel/index.js';
import { invalidArgument } from '../errors.js';
import {
  checkFileMode,
  checkWait,
  knownOptions,
  oneOf,
  parseSize,
  type Size,
  show,
  wholeNumber,
} from '../options.js';
import { MAX_TTL_MS } from './records/index.js';

export interface Retention {
  /** Bytes of files; the oldest segments go where there are more. */
  bytes?: Size | undefined;
  /** How old records become. */
  ageMs?: number | undefined;
  /** How many segments are kept. */
  segments?: number | undefined;
  /** Whether what a named cursor has not read is kept (true). */
  keepUnread?: boolean | undefined;
  /** How much is kept for cursors at most; default: four times `bytes`. */
  maxUnread?: Size | undefined;
}

export interface Compaction {
  /** Compact the log each so many milliseconds; left out: only where it is asked for. */
  everyMs?: number | undefined;
  /** Then segments stay as they are of which less than this part would go (0.5). */
  minDeadRatio?: number | undefined;
  /** How long after its timestamp a tombstone stays (24 hours). */
  tombstonesMs?: number | undefined;
}

/** `signal` and `timeoutMs` are for a log that several processes append to: opening it to append waits for a turn. */
export interface LogOptions extends WaitOptions {
  /** How large segments grow (32MiB). */
  segment?: Size | undefined;
  /** Begin a new segment when this one is so old. */
  rollAfterMs?: number | undefined;
  /** When what is appended reaches the disk ({ everyMs: 100 }). */
  sync?: 'none' | 'commit' | { everyMs: number } | undefined;
  /** How much may wait for the disk before appending is refused (256MiB). */
  maxUnsyncedBytes?: Size | undefined;
  /** What is removed by itself (nothing). */
  retention?: Retention | undefined;
  /** What is compacted by itself (nothing). */
  compaction?: Compaction | undefined;
  /** How batches are compressed, where that makes them smaller (not at all). `zstd` needs Node.js 22.15. */
  compression?: Compression | undefined;
  /** `exclusive`: one writer; `shared`: several processes append. Decided when the log is made. */
  writers?: 'exclusive' | 'shared' | undefined;
  /** Whether nothing at all may be changed; `'records'`: only named cursors may, also beside a live writer. */
  readOnly?: boolean | 'records' | undefined;
  /** How who waits for a sync does (adaptive). */
  idle?: Idle | undefined;
  /** Permissions of the files that are made, less the process's umask (0o600). */
  fileMode?: number | undefined;
  /** Hears of what the log does by itself. */
  logger?: Logger | undefined;
}

const LOG_OPTIONS = [
  'segment',
  'rollAfterMs',
  'sync',
  'maxUnsyncedBytes',
  'retention',
  'compaction',
  'compression',
  'writers',
  'readOnly',
  'idle',
  'fileMode',
  'logger',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof LogOptions)[];

const KIB = 1024;
const MIB = 1024 * KIB;
const LEAST_SEGMENT = 16 * KIB;
export const LARGEST_SEGMENT = 1024 * MIB;
/**
 * V8 takes a mapped file for memory that it could free, and goes about a full collection as soon as 64 MiB more are mapped
 * than at the last one: not for each segment, with these.
 */
export const DEFAULT_SEGMENT = 32 * MIB;
const SEGMENT_STEP = 4096;
const LONGEST_MS = 2 ** 31 - 1;
const DEFAULT_UNREAD_TIMES_BYTES = 4;
const DAY_MS = 86_400_000;

/** What options come to. */
export interface LogSettings {
  segment: number;
  rollAfterMs: number | undefined;
  sync: Sync;
  maxUnsyncedBytes: number;
  retention: RetentionSettings;
  compaction: CompactionSettings;
  compression: CompressionSettings | undefined;
  writers: 'exclusive' | 'shared' | undefined;
  readOnly: boolean | 'records';
  idle: Idle | undefined;
  fileMode: number | undefined;
  logger: Logger | undefined;
}

export interface RetentionSettings {
  bytes: number;
  ageMs: number;
  segments: number;
  keepUnread: boolean;
  maxUnread: number;
}

export interface CompactionSettings {
  everyMs: number | undefined;
  minDeadRatio: number;
  tombstonesMs: number;
}

export function settingsOf(options: LogOptions): LogSettings {
  knownOptions('Log.open', options, LOG_OPTIONS);
  checkLogger(options.logger);
  checkIdle(options.idle);
  checkWait(options);
  const { rollAfterMs, writers } = options;
  if (writers !== undefined) oneOf('writers', writers, ['exclusive', 'shared'] as const);
  return {
    segment: segmentOf(options.segment ?? DEFAULT_SEGMENT),
    rollAfterMs:
      rollAfterMs === undefined ? undefined : wholeNumber('rollAfterMs', rollAfterMs, 1, LONGEST_MS),
    sync: syncOf(options.sync),
    maxUnsyncedBytes: wholeNumber(
      'maxUnsyncedBytes',
      parseSize('maxUnsyncedBytes', options.maxUnsyncedBytes ?? 256 * MIB),
      1,
      Number.MAX_SAFE_INTEGER,
    ),
    retention: retentionOf(options.retention),
    compaction: compactionOf(options.compaction),
    compression: options.compression === undefined ? undefined : compressionOf(options.compression),
    writers,
    readOnly: oneOf('readOnly', options.readOnly ?? false, [true, false, 'records'] as const),
    idle: options.idle,
    fileMode: options.fileMode === undefined ? undefined : checkFileMode(options.fileMode),
    logger: options.logger,
  };
}

function segmentOf(size: Size): number {
  const bytes = parseSize('segment', size);
  if (bytes < LEAST_SEGMENT || bytes > LARGEST_SEGMENT || bytes % SEGMENT_STEP !== 0) {
    throw invalidArgument(`segment must be a multiple of 4096 from 16KiB to 1GiB, not ${bytes}`, {
      size: bytes,
    });
  }
  return bytes;
}

function syncOf(sync: LogOptions['sync']): Sync {
  if (sync === undefined) return { everyMs: 100 };
  if (sync === 'none' || sync === 'commit') return sync;
  if (typeof sync !== 'object' || sync === null) {
    throw invalidArgument(`sync must be 'none', 'commit' or { everyMs }, not ${show(sync)}`);
  }
  knownOptions('sync', sync, ['everyMs']);
  return { everyMs: wholeNumber('sync.everyMs', sync.everyMs, 1, 3_600_000) };
}

function retentionOf(retention: Retention = {}): RetentionSettings {
  knownOptions('retention', retention, ['bytes', 'ageMs', 'segments', 'keepUnread', 'maxUnread']);
  const sizeOf = (name: 'bytes' | 'maxUnread', otherwise: number) =>
    retention[name] === undefined
      ? otherwise
      : wholeNumber(
          `retention.${name}`,
          parseSize(`retention.${name}`, retention[name]),
          0,
          Number.MAX_SAFE_INTEGER,
        );
  const countOf = (name: 'ageMs' | 'segments', least: number) =>
    retention[name] === undefined
      ? Number.POSITIVE_INFINITY
      : wholeNumber(`retention.${name}`, retention[name], least, Number.MAX_SAFE_INTEGER);
  const bytes = sizeOf('bytes', Number.POSITIVE_INFINITY);
  if (retention.keepUnread === false && retention.maxUnread !== undefined) {
    throw invalidArgument('retention.maxUnread bounds what keepUnread keeps: it needs keepUnread to be true');
  }
  return {
    bytes,
    ageMs: countOf('ageMs', 0),
    segments: countOf('segments', 1),
    keepUnread: oneOf('retention.keepUnread', retention.keepUnread ?? true, [true, false]),
    maxUnread: sizeOf('maxUnread', bytes * DEFAULT_UNREAD_TIMES_BYTES),
  };
}

function compactionOf(compaction: Compaction = {}): CompactionSettings {
  knownOptions('compaction', compaction, ['everyMs', 'minDeadRatio', 'tombstonesMs']);
  const { everyMs, minDeadRatio = 0.5, tombstonesMs = DAY_MS } = compaction;
  if (!(typeof minDeadRatio === 'number' && minDeadRatio >= 0 && minDeadRatio <= 1)) {
    throw invalidArgument(`compaction.minDeadRatio must be a number from 0 to 1, not ${show(minDeadRatio)}`);
  }
  return {
    everyMs: everyMs === undefined ? undefined : wholeNumber('compaction.everyMs', everyMs, 1, LONGEST_MS),
    minDeadRatio,
    tombstonesMs: wholeNumber('compaction.tombstonesMs', tombstonesMs, 0, MAX_TTL_MS),
  };
}

import { invalidArgument } from '../../errors.js';
import { oneOf, parseSize, type Size, show, wholeNumber } from '../../options.js';
import {
  encodeHeader,
  encodeMetadata,
  type Header,
  highOf,
  isMetadata,
  type Mapped,
  type Mode,
  parseSync,
  planFile,
  STATE,
  type Sync,
  storePosition,
  storeSplit,
} from '../file/index.js';
import * as L from '../layout.js';
import { signAsWriter } from '../presence/index.js';
import { environment } from '../runtime/index.js';

export interface ChannelOptions {
  /** `ring` (default) wraps round; `linear` fills once. */
  mode?: Mode | undefined;
  /** Bytes for frames: 64 KiB to 1 GiB, a power of two (ring), or 16 KiB to 1 GiB in steps of 4 KiB (linear). */
  capacity?: Size | undefined;
  /** The largest payload: at most (and by default) an eighth of a ring, a quarter of a linear channel. */
  maxRecord?: Size | undefined;
  /** How many readers may register, 0 to 1024 (64). With 0 nobody can hold the writer back. */
  readers?: number | undefined;
  /** Whether each record carries a timestamp and a tag. */
  timestamps?: boolean | undefined;
  /**
   * Whether frames carry a checksum: `crc32c` costs the writer nothing, since it is filled in behind it. Default: on linear
   * channels that lie on a disk or are synced, and nowhere else.
   */
  checksum?: 'none' | 'crc32c' | undefined;
  /** When what is written reaches the disk; linear channels only (`none`). */
  sync?: Sync | undefined;
  /** How often the writer shows that it lives (250). */
  heartbeatMs?: number | undefined;
  /** After how long without a sign a living writer is called stalled (2000, or four heartbeats where that is more). */
  stalledAfterMs?: number | undefined;
  /** Anything JSON can say, up to 4096 bytes; for whoever opens the channel. */
  metadata?: Record<string, unknown> | undefined;
  /** Permissions of the file (0o600). */
  fileMode?: number | undefined;
  /** Take the place of a dead or ended channel of this name. */
  replace?: boolean | undefined;
}

export const CHANNEL_OPTIONS: readonly (keyof ChannelOptions)[] = [
  'mode',
  'capacity',
  'maxRecord',
  'readers',
  'timestamps',
  'checksum',
  'sync',
  'heartbeatMs',
  'stalledAfterMs',
  'metadata',
  'fileMode',
  'replace',
];

/** Where the stream of a channel begins: 0, unless it continues another. */
export interface Base {
  position: number;
  record: number;
}

export const START_OF_STREAM: Base = { position: 0, record: 0 };

/** What a channel's static part will be, but for `checksums`, which where it lies decides. */
export function designHeader(options: ChannelOptions, base: Base): Header {
  const mode = oneOf('mode', options.mode ?? 'ring', ['ring', 'linear'] as const);
  const capacity = parseSize('capacity', options.capacity ?? '8MiB');
  checkCapacity(mode, capacity);
  const readerSlots = wholeNumber('readers', options.readers ?? 64, 0, L.MAX_READER_SLOTS);
  const timestamps = oneOf('timestamps', options.timestamps ?? false, [true, false]);
  oneOf('replace', options.replace ?? false, [true, false]);
  const plan = planFile(mode, capacity, readerSlots);
  const maxRecord = parseSize('maxRecord', options.maxRecord ?? plan.largest);
  if (maxRecord > plan.largest) {
    throw invalidArgument(
      `maxRecord may be at most ${plan.largest} bytes here, ${mode === 'ring' ? 'an eighth' : 'a quarter'} of ` +
        `the capacity; it is ${maxRecord}`,
      { max: plan.largest, size: maxRecord },
    );
  }
  return {
    ...plan,
    mode,
    capacity,
    readerSlots,
    frameHeader: timestamps ? L.FRAME_HEADER_EXTENDED : L.FRAME_HEADER,
    maxRecord,
    checksums: false,
    sync: parseSync(options.sync, mode),
    basePosition: base.position,
    baseRecord: base.record,
    ...signsOfLife(options),
    channelId: environment.random(16),
    // Never 0: a link that names no successor says 0.
    incarnation: environment.random(4).readInt32LE() || 1,
    createdUs: environment.nowUs(),
    creatorPid: environment.pid,
    creatorStart: environment.startTicks(),
    bootId: environment.bootId(),
    metadata: checkMetadata(options.metadata),
  };
}

export function chooseChecksums(
  checksum: ChannelOptions['checksum'],
  header: Header,
  inRam: boolean,
): boolean {
  const synced = header.sync.kind !== L.SYNC_NONE;
  const useful = header.mode === 'linear' && (synced || !inRam);
  const chosen = oneOf('checksum', checksum ?? (useful ? 'crc32c' : 'none'), ['none', 'crc32c'] as const);
  if (synced && chosen === 'none') {
    throw invalidArgument(
      "sync needs checksum: 'crc32c': without it nobody could tell after a power cut what of a channel is whole",
    );
  }
  return chosen === 'crc32c';
}

const USUAL_BEATS = 4;

/** Less than `heartbeatMs` is for writers that beat themselves, by `heartbeat()`, and oftener than the timer. */
function signsOfLife(options: ChannelOptions): Pick<Header, 'heartbeatMs' | 'stalledAfterMs'> {
  const heartbeatMs = wholeNumber('heartbeatMs', options.heartbeatMs ?? 250, 1, 60_000);
  const usual = Math.max(2000, USUAL_BEATS * heartbeatMs);
  return {
    heartbeatMs,
    stalledAfterMs: wholeNumber('stalledAfterMs', options.stalledAfterMs ?? usual, 1, 3_600_000),
  };
}

function checkCapacity(mode: Mode, capacity: number): void {
  const ring = mode === 'ring';
  const least = ring ? L.MIN_RING_CAPACITY : L.MIN_LINEAR_CAPACITY;
  const even = ring ? Number.isInteger(Math.log2(capacity)) : capacity % 4096 === 0;
  if (capacity < least || capacity > L.MAX_CAPACITY || !even) {
    throw invalidArgument(
      ring
        ? `The capacity of a ring must be a power of two from 64KiB to 1GiB, not ${capacity}`
        : `The capacity of a linear channel must be a multiple of 4096 from 16KiB to 1GiB, not ${capacity}`,
      { capacity },
    );
  }
}

function checkMetadata(metadata: Record<string, unknown> | undefined): Record<string, unknown> {
  if (metadata === undefined) return {};
  if (!isMetadata(metadata)) throw invalidArgument(`metadata must be an object, not ${show(metadata)}`);
  // What is in the file is what it was now, whatever becomes of the caller's object.
  const said = saidInJson(metadata);
  if (!isMetadata(said)) {
    throw invalidArgument(`metadata must be an object in JSON, too, where ${show(said)} comes of it`);
  }
  const size = encodeMetadata(said).length;
  if (size > L.METADATA_BYTES) {
    throw invalidArgument(`metadata may be at most ${L.METADATA_BYTES} bytes of JSON; it is ${size}`, {
      size,
      max: L.METADATA_BYTES,
    });
  }
  return said;
}

function saidInJson(metadata: Record<string, unknown>): unknown {
  try {
    return JSON.parse(JSON.stringify(metadata));
  } catch (cause) {
    throw invalidArgument('metadata must be an object that JSON can say', { cause });
  }
}

/** A channel that nothing was written to yet, with its writer. */
export function writeHeader(channel: Mapped): void {
  const { bytes, words, header } = channel;
  encodeHeader(bytes, header);
  storePosition(words, L.TAIL_OFFSET >> 2, header.basePosition);
  storeSplit(words, L.RECORD_COUNT_OFFSET >> 2, highOf(header.baseRecord), header.baseRecord | 0);
  // A linear channel is granted whole; a ring nothing yet: its first write asks.
  const limit = header.basePosition + (header.mode === 'linear' ? header.capacity : 0);
  storePosition(words, L.LIMIT_OFFSET >> 2, limit);
  signAsWriter(channel);
  Atomics.store(words, STATE, L.STATE_OPEN);
}

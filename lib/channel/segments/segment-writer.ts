import { closedHandle, MillraceError } from '../../errors.js';
import { binding, type FileHandle, isSystemError, type Pages } from '../../native.js';
import {
  type Header,
  isCountable,
  LARGEST_PART,
  type Link,
  type Mapped,
  openMapped,
  pagesFor,
  parseSync,
  planFile,
  type Sync,
  syncFailed,
  viewMapping,
  WRITER_LOCK_BYTE,
  whereLeads,
} from '../file/index.js';
import * as L from '../layout.js';
import { type Beating, beat, heart, isReleased, signAsReleased, signAsWriter } from '../presence/index.js';
import { tagBefore } from '../reading/index.js';
import type { Data, DescribedRecord } from '../records/index.js';
import { recover, type Start, setMissingMarks, storeEnd } from '../recovery/index.js';
import { explain, isRam, syncFile } from '../runtime/index.js';
import type { Idle } from '../waiting/index.js';
import {
  Appender,
  type ChannelOptions,
  designHeader,
  Flusher,
  type Recovery,
  resumeChannel,
  takeName,
  writeHeader,
} from '../writing/index.js';

/** What a linear channel is made with that is one part of a longer stream. */
export type SegmentDesign = Required<Pick<ChannelOptions, 'capacity' | 'sync' | 'metadata'>> & {
  /** The number of its first record. */
  baseRecord: number;
};

/** How a segment is written. */
export interface SegmentSettings {
  /** Others append to it, too, each in its turn. */
  shared?: boolean | undefined;
  /** How who waits for a sync does. */
  idle?: Idle | undefined;
}

export interface ResumedSegment {
  segment: SegmentWriter;
  recovery: Recovery;
  /** Whether its last writer had let go of it. */
  released: boolean;
  /** The largest timestamp of its records, in microseconds. */
  maxTimeUs: number;
}

/** How long the file of a segment is. */
export function segmentBytes(capacity: number): number {
  return planFile('linear', capacity, 0).dataOffset + capacity;
}

/** How its pages are made. */
export function segmentPages(sync: Sync): Pages {
  return pagesFor(parseSync(sync, 'linear'));
}

/** The largest payload that a segment takes. */
export function largestInSegment(capacity: number): number {
  return planFile('linear', capacity, 0).largest;
}

/** The most bytes of frames that a segment takes. */
export function roomInSegment(capacity: number): number {
  return capacity - L.RESERVED_BYTES;
}

/** What a segment has at least that takes so many bytes of frames, one of them with a payload of `largest`. */
export function leastCapacity(frames: number, largest: number): number {
  return Math.max(frames + L.RESERVED_BYTES, largest * LARGEST_PART);
}

/**
 * The writing end of a linear channel that is one part of a longer stream: its records carry timestamps, tags and
 * checksums, nobody registers to read it, and it can be begun by plain calls, in a file that was made ahead.
 */
export class SegmentWriter implements Beating {
  readonly path: string;
  readonly capacity: number;
  readonly inRam: boolean;
  readonly incarnation: number;
  readonly metadata: Record<string, unknown>;
  readonly createdUs: number;
  readonly baseRecord: number;
  /** The mapping, for who fills a claim. */
  readonly bytes: Buffer;
  readonly #channel: Mapped;
  readonly #appender: Appender;
  readonly #flusher: Flusher;
  readonly #beating: WeakRef<Beating>;
  readonly #shared: boolean;
  #maxTimeUs: number;
  #state: 'open' | 'sealed' | 'closed' = 'open';

  private constructor(
    channel: Mapped,
    start: Start,
    before: () => Promise<void>,
    { shared = false, idle }: SegmentSettings,
  ) {
    this.path = channel.path;
    this.capacity = channel.header.capacity;
    this.inRam = channel.inRam;
    this.incarnation = channel.header.incarnation;
    this.metadata = channel.header.metadata;
    this.createdUs = channel.header.createdUs;
    this.baseRecord = channel.header.baseRecord;
    this.bytes = channel.bytes;
    this.#channel = channel;
    this.#maxTimeUs = start.maxTimeUs;
    this.#appender = new Appender(channel, start);
    this.#flusher = new Flusher(channel, this.#appender, { before, shared, idle });
    this.#beating = heart.start(this, channel.header.heartbeatMs);
    this.#shared = shared;
    // Those who append by turns have a lock of their own for that.
    if (shared) binding().unlockByte(channel.file, WRITER_LOCK_BYTE);
  }

  /**
   * Makes a segment of a file that has no name yet; `name` or `takeName` give it one. The file is closed where this fails.
   * `before` resolves once the stream before this segment is on the disk.
   */
  static begin(
    path: string,
    file: FileHandle,
    { baseRecord, ...design }: SegmentDesign,
    before: () => Promise<void>,
    settings: SegmentSettings = {},
  ): SegmentWriter {
    try {
      const header = designHeader(
        { ...design, mode: 'linear', readers: 0, timestamps: true },
        { position: 0, record: baseRecord },
      );
      if (!isCountable(header)) throw uncountable(path, header);
      header.checksums = true;
      const inRam = isRam(binding().statFile(file).fileSystem);
      const channel = viewMapping(path, file, binding().mapFile(file), header, true, inRam);
      writeHeader(channel);
      return new SegmentWriter(
        channel,
        { position: 0, record: baseRecord, maxTimeUs: 0, unmarked: 0 },
        before,
        settings,
      );
    } catch (error) {
      binding().closeFile(file);
      throw explain(error, path, 'create');
    }
  }

  /** Goes on with the last segment of a stream, over its dead writer; it is synced as `sync` says from here on. */
  static async resume(
    path: string,
    sync: Sync,
    before: () => Promise<void>,
    settings: SegmentSettings = {},
  ): Promise<ResumedSegment> {
    const { channel, recovered, recovery, released } = await resumeChannel(path);
    const header = { ...channel.header, sync: parseSync(sync, 'linear') };
    return {
      segment: new SegmentWriter({ ...channel, header }, recovered, before, settings),
      recovery,
      released,
      maxTimeUs: recovered.maxTimeUs,
    };
  }

  /** Appends one record; returns the bytes of the stream it took, or a `Refusal`. */
  append(data: Data, type: number, tag: number, timeUs: number): number {
    return this.#appender.append(data, type, tag, timeUs);
  }

  /** All or none of them; plain bytes are tagged from `tag` on, one by one. */
  appendBatch(
    records: readonly Uint8Array[] | readonly DescribedRecord[],
    timeUs: number,
    tag: number,
  ): number {
    return this.#appender.appendBatch(records, timeUs, tag, 1);
  }

  /** The byte of `bytes` from which on the caller fills in `length` bytes, or a `Refusal`. */
  openClaim(length: number): number {
    return this.#appender.openClaim(length);
  }

  commitClaim(length: number, type: number, tag: number, timeUs: number): number {
    return this.#appender.commitClaim(length, type, tag, timeUs);
  }

  abortClaim(): void {
    this.#appender.abortClaim();
  }

  /** Why nothing more is written, if so. */
  get failure(): MillraceError | undefined {
    return this.#appender.stopped?.();
  }

  heartbeat(): void {
    this.#appender.publish();
    beat(this.#channel);
  }

  get position(): number {
    return this.#appender.position;
  }

  /** The tag of the last record before a position that was `position` once; undefined where there is none. */
  tagBefore(position: number): number | undefined {
    this.#appender.publish();
    return tagBefore(this.#channel, position);
  }

  /** Bytes of frames, headers counted, that fit. */
  get remaining(): number {
    return this.#appender.remaining;
  }

  get durablePosition(): number {
    return this.#flusher.durable;
  }

  /** Resolves once all below `position`, and the file's name, are on the disk. */
  reached(position: number): Promise<number> {
    return this.#flusher.reached(position);
  }

  /**
   * Where several append by turns, at the begin of one: goes on behind what others appended. False where one of them has
   * sealed it: then it is for `settle`. Nothing is lost of one who died in the middle of its turn that it had committed.
   */
  goOn(): boolean {
    const recovered = recover(this.#channel);
    this.#maxTimeUs = recovered.maxTimeUs;
    const unmarked = setMissingMarks(this.#channel, recovered.from, recovered.position);
    this.#appender.goOn({ ...recovered, unmarked });
    if (recovered.ending === undefined) {
      if (isReleased(this.#channel)) signAsWriter(this.#channel);
      return true;
    }
    heart.stop(this.#beating);
    this.#flusher.finish(this.#channel.header.dataOffset + recovered.position);
    this.#appender.stop(() => closedHandle('segment', this.path));
    this.#state = 'sealed';
    return false;
  }

  /** The largest timestamp of the records that were there when this began, or last went on behind others. */
  get maxTimeUs(): number {
    return this.#maxTimeUs;
  }

  /** What was appended in a turn is for the others to see, exactly as far as it goes. */
  publish(): void {
    this.#appender.publish();
  }

  /** Ends it: nothing is missing from it, and the stream goes on there. Nothing is synced by that. */
  seal(link: Link): void {
    if (this.#state !== 'open') throw closedHandle('segment', this.path);
    heart.stop(this.#beating);
    const end = this.#appender.appendEnd('sealed', link);
    this.#flusher.finish(end);
    storeEnd(this.#channel, L.STATE_SEALED, this.#appender.position);
    this.#appender.stop(() => closedHandle('segment', this.path));
    this.#state = 'sealed';
  }

  /** After `seal`: all of it, its end too, is on the disk; nothing in the file says so yet. */
  async sync(): Promise<void> {
    try {
      await syncFile(this.#channel.file);
    } catch (error) {
      throw syncFailed(this.path, error);
    }
  }

  /** Whether its path leads to this very file. */
  get hasName(): boolean {
    return whereLeads(this.#channel) === 'here';
  }

  /** Gives the file its name, which nobody has. */
  name(): void {
    try {
      binding().linkFile(this.#channel.file, this.path);
    } catch (error) {
      throw explain(error, this.path, 'create');
    }
  }

  /** Gives the file the name that another one has; `prepare`: see `takeName`. Who has that open keeps it. */
  takeName(prepare?: (waiting: string) => void): void {
    try {
      takeName(this.#channel.file, this.path, prepare);
    } catch (error) {
      throw explain(error, this.path, 'replace');
    }
  }

  /** Whether something of it is being brought to the disk, or somebody waits for that. */
  get isNeeded(): boolean {
    return this.#flusher.isAwaited || this.#flusher.isSyncing;
  }

  /** After `seal`: brings all of it to the disk where it is to be, gives back the space behind its end, and lets go. */
  async settle(sync: boolean): Promise<void> {
    const { file } = this.#channel;
    this.#state = 'closed';
    try {
      let failure: MillraceError | undefined;
      if (sync || this.isNeeded) await this.#flusher.syncEnd();
      else failure = this.#flusher.letGo();
      await giveBack(file, this.#unused());
      if (failure !== undefined) throw failure;
    } finally {
      binding().closeFile(file);
    }
  }

  /**
   * After `seal`, where it is not needed: lets go of it at once, and syncs nothing. What is returned gives back the
   * space behind its end, and is for when there is time; the file is to have its name then.
   */
  letGo(): () => Promise<void> {
    const { header } = this.#channel;
    const unused = this.#unused();
    this.#state = 'closed';
    const failure = this.#flusher.letGo();
    binding().closeFile(this.#channel.file);
    return async () => {
      await giveBackOf(this.path, header, unused);
      if (failure !== undefined) throw failure;
    };
  }

  /** The bytes of its file behind the end of the stream. */
  #unused(): Stretch {
    const { dataOffset, capacity } = this.#channel.header;
    return { from: dataOffset + this.#appender.position + L.RESERVED_BYTES, to: dataOffset + capacity };
  }

  /** Where several append by turns: nobody goes on with it now whose death would be one of its writer. */
  signAsReleased(): void {
    signAsReleased(this.#channel);
  }

  /**
   * Lets go of it, as it is: another one may go on with it. `released`: and says so. Where several append by turns, others
   * may be at it.
   */
  close(released = !this.#shared): void {
    const state = this.#state;
    this.#state = 'closed';
    if (state === 'closed') return;
    try {
      if (state === 'open') this.#release(released);
    } finally {
      this.#flusher.letGo();
      binding().closeFile(this.#channel.file);
    }
  }

  #release(released: boolean): void {
    heart.stop(this.#beating);
    if (this.#appender.busy) this.#appender.abortClaim();
    this.#appender.publish();
    this.#flusher.finish(this.#channel.header.dataOffset + this.#appender.position);
    if (released) signAsReleased(this.#channel);
    this.#appender.stop(() => closedHandle('segment', this.path));
  }
}

function uncountable(path: string, { baseRecord }: Header): MillraceError {
  return new MillraceError(
    'ERR_CHANNEL_FULL',
    `${path} can't be begun: the numbers of its records might go beyond 2^53 - 1, and there are none behind that`,
    { path, record: baseRecord },
  );
}

interface Stretch {
  from: number;
  to: number;
}

async function giveBackOf(path: string, { channelId, incarnation }: Header, unused: Stretch): Promise<void> {
  try {
    const { file, header } = openMapped(path, 'write');
    try {
      // Another one may have its name by now.
      const isSame = header.incarnation === incarnation && header.channelId.equals(channelId);
      if (isSame) await giveBack(file, unused);
    } finally {
      binding().closeFile(file);
    }
  } catch (error) {
    // Where it can't be opened any more it keeps its space.
    if (!(error instanceof MillraceError)) throw error;
  }
}

async function giveBack(file: FileHandle, { from, to }: Stretch): Promise<void> {
  if (from >= to) return;
  try {
    await binding().punchHole(file, from);
  } catch (error) {
    // Space that can't be given back is kept.
    if (!isSystemError(error)) throw error;
  }
}

import {
  type DescribedRecord,
  environment,
  isByteArray,
  type Limits,
  largestInSegment,
  leastCapacity,
  Refusal,
  roomInSegment,
  SegmentWriter,
  Stopwatch,
  segmentPages,
  throwIfAborted,
  trueLength,
  within,
} from '../../channel/index.js';
import { closedHandle, MillraceError } from '../../errors.js';
import { type Directory, durableEnd, type LockFile, nextAt, type SegmentFacts } from '../files/index.js';
import type { LogSettings } from '../options.js';
import { frameBytes } from '../records/index.js';
import type { NO_STATS } from '../stats.js';
import { NextFiles } from './next-files.js';
import type { Sealed } from './sealed.js';

const FIRST_SEGMENT = 64 * 1024;
const SEGMENT_STEP = 4096;
/** How often within a segment it is looked whether one more file can be begun, where several are wanted. */
const LOOKS_A_SEGMENT = 16;

/** Where a log goes on. */
export interface LogEnd {
  next: number;
  maxTimeUs: number;
  /** The last segment, if it can be gone on with. */
  segment: SegmentWriter | undefined;
}

/** Writes a record's bytes from a place on. */
type Fill = (bytes: Buffer, at: number) => void;

/**
 * The writing end of a log: appends to its last segment, and goes on in a new one where that is full. `budget` are the
 * bytes that may be appended without another thought; all else is looked after when it is used up.
 */
export class LogWriter {
  /** Told of each new segment, before it is begun: there may be no room for it. */
  onRoll: () => void = () => {};
  /** Others append to it, too, each in its turn. */
  readonly #shared: boolean;
  readonly #nextFiles: NextFiles;
  readonly #syncs = new Stopwatch();
  #sealed: Sealed;
  /** Those from before others went on with the log. */
  readonly #sealedBefore = new Set<Sealed>();
  readonly #directory: Directory;
  readonly #lock: LockFile;
  readonly #settings: LogSettings;
  #segment: SegmentWriter | undefined;
  #begunAt = performance.now();
  #next: number;
  #maxTimeUs: number;
  #budget = 0;
  #closed = false;
  /** Appended through this writer. */
  #records = 0;
  #bytes = 0;

  constructor(
    directory: Directory,
    lock: LockFile,
    settings: LogSettings,
    sealed: Sealed,
    end: LogEnd,
    shared = false,
  ) {
    this.#directory = directory;
    this.#lock = lock;
    this.#settings = settings;
    this.#shared = shared;
    this.#nextFiles = new NextFiles(directory, segmentPages(settings.sync));
    this.#sealed = sealed;
    this.#segment = end.segment;
    this.#next = end.next;
    this.#maxTimeUs = end.maxTimeUs;
  }

  /** The offset of the next record. */
  get next(): number {
    return this.#next;
  }

  get stats(): typeof NO_STATS {
    return {
      records: this.#records,
      bytes: this.#bytes,
      unsyncedBytes: this.unsyncedBytes,
      rollStalls: this.#nextFiles.stalls,
      syncs: this.#syncs.times,
    };
  }

  /**
   * In a turn of ours: goes on behind what others appended to the last segment. False where the log's end must be looked
   * for anew: it is sealed, or another one has its name.
   */
  goOn(): boolean {
    const segment = this.#segment;
    if (segment === undefined) return false;
    if (!segment.goOn()) {
      // At once: to find out where the log goes on may fail, and is tried again in the next turn.
      this.#segment = undefined;
      this.#sealed.add(segment);
      return false;
    }
    // An empty one that was too small loses its name to a larger one, and is sealed only after that.
    if (segment.position === 0 && !segment.hasName) return false;
    this.#budget = 0;
    this.#next = nextAt(segment, segment.position);
    this.#maxTimeUs = Math.max(this.#maxTimeUs, segment.maxTimeUs);
    return true;
  }

  /** Whoever waits for what is in a segment that is given up has it on the disk first. */
  async beforeAdopting(): Promise<void> {
    if (this.#segment !== undefined) await this.synced();
  }

  /** In a turn of ours: goes on where others brought the log. */
  adopt(end: LogEnd, sealed: Sealed): void {
    this.#segment?.close();
    this.#keepUntilSettled(this.#sealed);
    this.#nextFiles.drop();
    this.#sealed = sealed;
    this.#segment = end.segment;
    this.#next = end.next;
    this.#maxTimeUs = end.maxTimeUs;
    this.#begunAt = performance.now();
    this.#budget = 0;
  }

  #keepUntilSettled(sealed: Sealed): void {
    this.#sealedBefore.add(sealed);
    void sealed.settled().then(() => this.#sealedBefore.delete(sealed));
  }

  /** At the end of a turn of ours: others go on exactly where we stopped. */
  publish(): void {
    this.#segment?.publish();
  }

  /** Appends one record; returns its offset. */
  append(data: Uint8Array, type: number, timeUs: number): number {
    if (this.#budget <= 0) this.#attend();
    const offset = this.#next;
    const segment = this.#segment;
    let taken = segment === undefined ? Refusal.FULL : segment.append(data, type, offset, timeUs);
    if (taken < 0) {
      const length = trueLength.call(data);
      taken = this.#goOnAfter(taken, frameBytes(length), length).append(data, type, offset, timeUs);
    }
    this.#appended(taken, 1, timeUs);
    return offset;
  }

  /** One record that `fill` writes from this byte on. */
  fill(length: number, type: number, timeUs: number, fill: Fill): number {
    if (this.#budget <= 0) this.#attend();
    const offset = this.#next;
    const segment = this.#segment;
    let taken = segment === undefined ? Refusal.FULL : fillIn(segment, length, type, offset, timeUs, fill);
    if (taken < 0) {
      const next = this.#goOnAfter(taken, frameBytes(length), length);
      taken = fillIn(next, length, type, offset, timeUs, fill);
    }
    this.#appended(taken, 1, timeUs);
    return offset;
  }

  /**
   * All of them or none, with one commit; returns the offset of the first. Described records bring their own tags, from
   * `next` on, and are `records` in number.
   */
  appendBatch(
    items: readonly Uint8Array[] | readonly DescribedRecord[],
    records: number,
    timeUs: number,
    maxTimeUs: number,
  ): number {
    if (this.#budget <= 0) this.#attend();
    const offset = this.#next;
    const segment = this.#segment;
    let taken = segment === undefined ? Refusal.FULL : segment.appendBatch(items, timeUs, offset);
    if (taken < 0) {
      let frames = 0;
      let largest = 0;
      for (const item of items) {
        const length = isByteArray(item) ? trueLength.call(item) : item.length;
        frames += frameBytes(length);
        largest = Math.max(largest, length);
      }
      taken = this.#goOnAfter(taken, frames, largest).appendBatch(items, timeUs, offset);
    }
    this.#appended(taken, records, maxTimeUs);
    return offset;
  }

  #appended(taken: number, records: number, timeUs: number): void {
    this.#budget -= taken;
    this.#bytes += taken;
    this.#records += records;
    this.#next += records;
    if (timeUs > this.#maxTimeUs) this.#maxTimeUs = timeUs;
  }

  /** What this segment refused, so many bytes of frames, goes into the one that is returned: it has room for them. */
  #goOnAfter(refusal: number, frames: number, largest: number): SegmentWriter {
    const { path } = this.#directory;
    if (this.#closed) throw closedHandle('log', path);
    if (refusal === Refusal.ENDED) throw this.#segment?.failure ?? closedHandle('log', path);
    const { segment } = this.#settings;
    this.#checkSize(largest, largestInSegment(segment));
    this.#checkSize(frames, roomInSegment(segment));
    const bytes = this.#segment?.position ?? 0;
    const ms = performance.now() - this.#begunAt;
    const next = this.#roll(leastCapacity(frames, largest));
    this.#nextFiles.wasFull(bytes, ms);
    return next;
  }

  #checkSize(size: number, max: number): void {
    if (size <= max) return;
    const { path } = this.#directory;
    throw new MillraceError(
      'ERR_RECORD_TOO_LARGE',
      `${size} bytes are too much for the log ${path}: with segments of ${this.#settings.segment} bytes it takes at most ${max} at once`,
      { path, size, max },
    );
  }

  /** The budget is used up: is the next segment to be prepared, does too much wait for the disk? */
  #attend(): void {
    if (this.#closed) throw closedHandle('log', this.#directory.path);
    const segment = this.#segment;
    if (segment === undefined) return;
    const failure = segment.failure;
    if (failure !== undefined) throw failure;
    let budget = this.#settings.segment;
    if (this.#settings.sync !== 'none') {
      const unsynced = this.unsyncedBytes;
      budget = this.#settings.maxUnsyncedBytes - unsynced;
      if (budget <= 0) throw this.#backPressure(unsynced);
    }
    const untilHalf = segment.remaining - segment.capacity / 2;
    if (untilHalf > 0 && !this.#nextFiles.areWantedSoon) budget = Math.min(budget, untilHalf);
    else {
      const capacity = this.#nextCapacity(0);
      // While segments grow, the one behind the next is larger than that; and others who append go on in their own.
      const several = !segment.inRam && !this.#shared && capacity === segment.capacity;
      if (this.#nextFiles.prepare(capacity, several)) budget = Math.min(budget, capacity / LOOKS_A_SEGMENT);
    }
    this.#budget = budget;
  }

  /** Bytes that were appended and may not be on the disk. */
  get unsyncedBytes(): number {
    const segment = this.#segment;
    return (
      this.#sealed.unsyncedBytes + (segment === undefined ? 0 : segment.position - segment.durablePosition)
    );
  }

  #backPressure(unsynced: number): MillraceError {
    const { path } = this.#directory;
    const { maxUnsyncedBytes } = this.#settings;
    return new MillraceError(
      'ERR_BACK_PRESSURE',
      `${unsynced} bytes of ${path} wait for the disk, and no more than ${maxUnsyncedBytes} may: wait by ready()`,
      { path, size: unsynced, max: maxUnsyncedBytes },
    );
  }

  /** How large the next segment is, with room for so much. */
  #nextCapacity(least: number): number {
    const { segment } = this.#settings;
    let capacity = this.#segment === undefined ? firstCapacity(this.#settings) : this.#segment.capacity * 2;
    while (capacity < least) capacity *= 2;
    return Math.min(segment, Math.ceil(capacity / SEGMENT_STEP) * SEGMENT_STEP);
  }

  /**
   * Goes on in a new segment. The new one has its name before the old one says where the stream goes on: whoever reads
   * that finds it. Where that fails, nothing has changed.
   */
  #roll(least: number): SegmentWriter {
    // Its directory may be another log's by now.
    this.#lock.assertNamed();
    this.onRoll();
    const old = this.#segment;
    const path = this.#directory.fileOf(this.#next);
    const { handle, capacity } = this.#nextFiles.take(path, this.#nextCapacity(least), old === undefined);
    // step 114
    let before = this.#sealed.upToNow();
    const { sync, idle } = this.#settings;
    const facts: SegmentFacts = {
      id: this.#lock.id,
      base: this.#next,
      maxTimeUs: this.#maxTimeUs,
      generation: 0,
    };
    const design = { capacity, sync, metadata: { log: facts }, baseRecord: this.#next };
    const next = SegmentWriter.begin(path, handle, design, () => before(), { shared: this.#shared, idle });
    try {
      // One that nothing fits into, and in which nothing is, has the same name.
      if (old?.position === 0) next.takeName();
      else next.name();
    } catch (error) {
      next.close();
      throw error;
    }
    // step 110
    if (old !== undefined) {
      old.seal({ position: 0, record: this.#next, incarnation: next.incarnation });
      // step 111
      this.#sealed.add(old);
      before = this.#sealed.upToNow();
    }
    this.#segment = next;
    this.#begunAt = performance.now();
    this.#budget = 0;
    return next;
  }

  /** Lets go of what was made ahead and isn't wanted any more. */
  giveBack(): void {
    this.#nextFiles.giveBack();
  }

  /** Goes on in a new segment where this one is older than it may be. */
  rollByAge(): void {
    const { rollAfterMs } = this.#settings;
    const segment = this.#segment;
    if (rollAfterMs === undefined || segment === undefined || segment.position === 0) return;
    // What failed with this one must not be forgotten with it.
    if (segment.failure !== undefined) return;
    if (this.#ageMs(segment) >= rollAfterMs) this.#roll(0);
  }

  /** As far as the clock tells it, or went back since: an earlier writer may have begun it. But no less than we had it. */
  #ageMs({ createdUs }: SegmentWriter): number {
    return Math.max(performance.now() - this.#begunAt, Math.abs(environment.nowUs() - createdUs) / 1000);
  }

  /** Resolves once all that was appended so far is on the disk; with the offset behind it. */
  async synced(): Promise<number> {
    const next = this.#next;
    const segment = this.#segment;
    const beganAt = performance.now();
    if (segment === undefined) await this.#sealed.upToNow()();
    else await segment.reached(segment.position);
    this.#syncs.since(beganAt);
    return next;
  }

  /** All records below it are on the disk. */
  get durable(): number {
    const segment = this.#segment;
    const durable = segment?.durablePosition ?? 0;
    if (segment === undefined || durable === 0) return durableEnd(this.#directory.segments());
    if (durable === segment.position) return this.#next;
    return nextAt(segment, durable);
  }

  /** Whether appending is refused for what waits for the disk. */
  get isPressed(): boolean {
    return this.#settings.sync !== 'none' && this.unsyncedBytes >= this.#settings.maxUnsyncedBytes;
  }

  /** Resolves once it isn't. */
  async ready(limits: Limits): Promise<void> {
    const { path } = this.#directory;
    const task = { what: `Waiting for room to append to ${path}`, path };
    throwIfAborted(limits.signal, task);
    while (this.isPressed) {
      await within(this.synced(), task, limits);
    }
  }

  /** Resolves once all that was sealed is let go. */
  async settled(): Promise<void> {
    await Promise.all([...this.#sealedBefore, this.#sealed].map((sealed) => sealed.settled()));
  }

  /** Where others append, too: says that whoever had the last turn has let go of the log. */
  signAsReleased(): void {
    this.#segment?.signAsReleased();
  }

  /**
   * Brings what was appended to the disk where that was promised, or somebody waits for it, and lets go of it all; `before` that
   * is called.
   */
  async close(before: () => void = () => {}): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#budget = 0;
    try {
      if (this.#settings.sync !== 'none' || this.#segment?.isNeeded === true) await this.synced();
    } finally {
      this.#nextFiles.drop();
      before();
      this.#segment?.close();
      await this.settled();
    }
  }
}

/** How large a segment is that follows none. */
export function firstCapacity({ segment }: LogSettings): number {
  return Math.min(FIRST_SEGMENT, segment);
}

/** Returns the bytes it took, or a `Refusal`. */
function fillIn(
  segment: SegmentWriter,
  length: number,
  type: number,
  offset: number,
  timeUs: number,
  fill: Fill,
): number {
  const at = segment.openClaim(length);
  if (at < 0) return at;
  try {
    fill(segment.bytes, at);
  } catch (error) {
    segment.abortClaim();
    throw error;
  }
  return segment.commitClaim(length, type, offset, timeUs);
}

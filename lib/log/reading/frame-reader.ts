import { danglingLinkAt, type Idle, type RecordHandler, SegmentReader } from '../../channel/index.js';
import { MillraceError, withFacts } from '../../errors.js';
import {
  type Directory,
  durableEnd,
  endOf,
  factsOf,
  HALT,
  indexOfRecord,
  isBroken,
  knownEndOf,
  lastBefore,
  nextAt,
  refuseOtherLog,
  refuseTakenPlace,
  type SegmentFile,
} from '../files/index.js';
import { firstFrom, seekRecord } from './seek-record.js';

/** Of a log that has no segment yet: who polls it in a busy loop is not to list its directory each time. */
const LOOK_EACH_MS = 10;
const NEVER = () => false;

/** Reads the frames of a log, across its segments. */
export class FrameReader {
  readonly #directory: Directory;
  readonly #idle: Idle | undefined;
  #segment: SegmentReader | undefined;
  /** The offset of the next record, but for the frames of the poll that is running. */
  #next = 0;
  /** When it was looked whether a log that had no segment begins later by now. */
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #handler: RecordHandler = () => {};
  #count = 0;

  constructor(directory: Directory, idle?: Idle) {
    this.#directory = directory;
    this.#idle = idle;
  }

  /** The segment that is read; undefined as long as there is none. */
  get segment(): SegmentReader | undefined {
    return this.#segment;
  }

  get next(): number {
    return this.#next;
  }

  /** Of the frame that is being handled: its tag, which is the offset of its (last) record. */
  get tag(): number {
    return (this.#segment as SegmentReader).tag;
  }

  get timeUs(): number {
    return (this.#segment as SegmentReader).timeUs;
  }

  /** Hands out up to `limit` frames; returns how many. Asks at the end of each segment whether it `isEnough`. */
  poll(handler: RecordHandler, limit: number, isEnough = NEVER): number {
    this.#handler = handler;
    this.#count = 0;
    try {
      while (this.#count < limit && this.#isOpen()) {
        const segment = this.#segment as SegmentReader;
        segment.poll(this.#handle, limit - this.#count);
        if (this.#count >= limit || !isOver(segment) || !this.#goOn(segment) || isEnough()) break;
      }
    } catch (error) {
      if (error !== HALT) throw this.explain(error);
    }
    return this.#count;
  }

  readonly #handle: RecordHandler = (bytes, start, end, type) => {
    this.#handler(bytes, start, end, type);
    this.#count++;
    this.#next = (this.#segment as SegmentReader).tag + 1;
  };

  /** Whether there is a frame to hand out. Asks at the end of each segment whether it `isEnough`: then there may be one behind. */
  hasNext(isEnough = NEVER): boolean {
    try {
      while (this.#isOpen()) {
        const segment = this.#segment as SegmentReader;
        if (segment.hasNext()) return true;
        if (!isOver(segment) || !this.#goOn(segment) || isEnough()) return false;
      }
      return false;
    } catch (error) {
      throw this.explain(error);
    }
  }

  #isOpen(): boolean {
    return this.#segment !== undefined || this.#begin();
  }

  /** A log has no segment before its first record; and when somebody looks again, the first ones may be removed. */
  #begin(): boolean {
    if (this.#tryOpen(this.#next)) return true;
    const now = performance.now();
    if (now - this.#lookedAtMs >= LOOK_EACH_MS) {
      this.#lookedAtMs = now;
      this.#assertNothingBehind(this.#next);
    }
    return false;
  }

  /** Goes over to the segment that follows one that was read to its end; false where it isn't there yet. */
  #goOn(segment: SegmentReader): boolean {
    const base = segment.link()?.record ?? this.#next;
    // What compaction took away between the last record here and the first one there was nobody's.
    if (base > this.#next) this.#next = base;
    if (this.#tryOpen(base)) return true;
    this.#assertNothingBehind(base);
    return false;
  }

  /** Of a segment that isn't there: where others follow it, it is missing, unless it came meanwhile. */
  #assertNothingBehind(base: number): void {
    const first = this.#directory.segments().find((one) => one.base >= base);
    if (first !== undefined && first.base > base) throw this.#missing(base, first.base);
  }

  #tryOpen(base: number): boolean {
    const file = { base, path: this.#directory.fileOf(base) };
    let segment: SegmentReader;
    try {
      segment = this.#openNamed(file);
    } catch (error) {
      if ((error as MillraceError).code === 'ERR_NOT_FOUND') return false;
      throw error;
    }
    this.#take(this.#inPlace(segment, file), true);
    return true;
  }

  #openSegment(file: SegmentFile): SegmentReader {
    return this.#inPlace(this.#openNamed(file), file);
  }

  #openNamed(file: SegmentFile): SegmentReader {
    try {
      return SegmentReader.openNow(file.path, { mappings: this.#directory.mappings, idle: this.#idle });
    } catch (error) {
      const isGone = (error as MillraceError).code === 'ERR_NOT_FOUND';
      throw this.explain((isGone ? danglingLinkAt(file.path) : undefined) ?? error, file.base);
    }
  }

  /** The same one; throws where that belongs elsewhere. */
  #inPlace(segment: SegmentReader, file: SegmentFile): SegmentReader {
    const { metadata } = segment;
    try {
      refuseTakenPlace(this.#directory, metadata);
      this.#directory.refuseStray(file, metadata);
      return segment;
    } catch (error) {
      segment.close();
      throw this.explain(error, file.base);
    }
  }

  /**
   * One of these. Where that belongs elsewhere, or can't be opened, but the segment before it goes on past it, that one: the
   * log is whole without such a file.
   */
  #openAt(segments: readonly SegmentFile[], index: number): SegmentReader {
    const file = segments[index];
    try {
      return this.#openSegment(file);
    } catch (error) {
      const before = isBroken(error) ? this.#openBefore(segments, index) : undefined;
      if (before === undefined) throw error;
      if (knownEndOf(before) > file.base) {
        before.seekOldest();
        return before;
      }
      before.close();
      throw error;
    }
  }

  /** The last one before an index that can be opened. */
  #openBefore(segments: readonly SegmentFile[], index: number): SegmentReader | undefined {
    for (let before = index - 1; before >= 0; before--) {
      try {
        return this.#openSegment(segments[before]);
      } catch (error) {
        if (!isBroken(error)) throw error;
      }
    }
    return undefined;
  }

  #take(segment: SegmentReader, passes = false): void {
    if (passes) this.#segment?.pass();
    else this.#segment?.close();
    this.#segment = segment;
  }

  #missing(from: number, to: number): MillraceError {
    const { path } = this.#directory;
    const [{ base: earliest }] = this.#directory.segments();
    if (earliest > from) return this.#outOfRange(from, earliest, this.#visibleEnd());
    return new MillraceError(
      'ERR_GAP',
      `A segment of ${path} is missing: records ${from} to ${to - 1}. What follows can be read from ${to} on`,
      { path, from, to },
    );
  }

  #outOfRange(offset: number, earliest: number, next: number | undefined): MillraceError {
    const { path } = this.#directory;
    return new MillraceError(
      'ERR_OFFSET_OUT_OF_RANGE',
      offset < earliest
        ? `Record ${offset} of ${path} is gone: the earliest is ${earliest}`
        : `The next record of ${path} is ${next}; there is no record ${offset} yet`,
      { path, offset, earliest, next },
    );
  }

  /** Damage, told by the offsets that it lies between: of the record that was to be read, and the next one that can be. */
  explain(error: unknown, sought?: number): unknown {
    if (!isBroken(error) || 'nextOffset' in error) return error;
    const offset = sought ?? this.#next;
    // A frame that is whole, of which a record can't be decoded.
    if (error.offset !== undefined) return withFacts(error, { offset, nextOffset: this.tag + 1 });
    const segment = this.#segment;
    const { next } = error;
    const behind = segment && next !== undefined ? firstFrom(segment, next)?.first : undefined;
    // What is read to its last record may be damaged behind that.
    const least = sought === undefined && segment ? Math.max(offset, segment.baseRecord + 1) : offset + 1;
    const nextOffset = behind ?? this.#directory.segments().find(({ base }) => base >= least)?.base;
    return withFacts(error, { offset, nextOffset });
  }

  /** The offset of the first record that may be there. */
  static earliest(directory: Directory): number {
    return directory.segments()[0]?.base ?? 0;
  }

  /** The offset of the next record to be appended, as far as is visible. */
  end(): number {
    return this.#retrying((segments) => {
      if (segments.length === 0) return 0;
      const segment = this.#openAt(segments, segments.length - 1);
      try {
        return endOf(segment);
      } catch (error) {
        throw this.#explainEnd(error, segment);
      } finally {
        segment.close();
      }
    });
  }

  /** For who only tells of it: undefined where it is hidden. */
  #visibleEnd(): number | undefined {
    try {
      return this.end();
    } catch (error) {
      if (error instanceof MillraceError) return undefined;
      throw error;
    }
  }

  /** Damage that hides where a segment ends. */
  #explainEnd(error: unknown, segment: SegmentReader): unknown {
    if (!isBroken(error)) return error;
    const last = lastBefore(segment, error.position ?? segment.position);
    return this.explain(error, (last ?? segment.baseRecord - 1) + 1);
  }

  /** All records below it are known to be on the disk. */
  durable(): number {
    return this.#retrying(durableEnd);
  }

  seekEarliest(): void {
    this.#retrying((segments) => this.#start(segments, 0));
  }

  seekLatest(): void {
    this.#retrying((segments) => {
      this.#start(segments, segments.length - 1);
      const segment = this.#segment;
      if (segment === undefined) return;
      try {
        this.#next = endOf(segment);
      } catch (error) {
        throw this.#explainEnd(error, segment);
      }
    });
  }

  /** To the record of this offset, or behind it where it was compacted away. */
  seekOffset(offset: number): void {
    this.#retrying((segments) => {
      const index = indexOfRecord(segments, offset);
      if (index < 0 && (segments.length > 0 || offset > 0)) {
        throw this.#outOfRange(offset, segments[0]?.base ?? 0, this.#visibleEnd());
      }
      const segment = index < 0 ? undefined : this.#openAt(segments, index);
      try {
        if (segment !== undefined && index === segments.length - 1) {
          const next = knownEndOf(segment);
          if (offset > next) throw this.#outOfRange(offset, segments[0].base, next);
        }
        if (segment !== undefined) seekRecord(segment, offset);
      } catch (error) {
        segment?.close();
        throw this.explain(error, offset);
      }
      this.#replace(segment, offset);
    });
  }

  /**
   * For who waits, at an offset: goes over to what has the name of the segment that is read by now, as after a repair. Throws
   * where the log is gone.
   */
  goByName(offset: number): void {
    const segment = this.#segment;
    if (segment === undefined) refuseOtherLog(this.#directory);
    if (segment?.isReplaced() !== true) return;
    refuseOtherLog(this.#directory, factsOf(segment.metadata, segment.path).id);
    // What ended before it was removed or replaced leads on by itself. What it still has may be waited for, too: by its sync.
    if (!segment.isEnded && !isOver(segment)) this.seekOffset(offset);
  }

  /** To the first record whose timestamp is at least this; where there is none, to the end. */
  seekTime(timeUs: number): void {
    this.#retrying((segments) => {
      this.#start(segments, this.#lastBefore(segments, timeUs));
      for (let segment = this.#segment; segment !== undefined; segment = this.#segment) {
        segment.seekTime(timeUs);
        // Frames that nobody has published yet are told of by those before them only.
        this.#next = segment.tagFrom(segment.position) ?? nextAt(segment, segment.position);
        if (segment.hasNext() || !segment.hasEnded() || !this.#goOn(segment)) return;
      }
    });
  }

  /** The index of the last segment before which all records are older than this; of the first one where there is none. */
  #lastBefore(segments: readonly SegmentFile[], timeUs: number): number {
    let low = 0;
    let high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      const before = this.#directory.maxTimeBefore(segments[middle]);
      if (before !== undefined && before < timeUs) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** To the beginning of one of these, if there is any. */
  #start(segments: readonly SegmentFile[], index: number): void {
    const segment = segments.length === 0 ? undefined : this.#openAt(segments, index);
    this.#replace(segment, segment?.baseRecord ?? 0);
  }

  #replace(segment: SegmentReader | undefined, next: number): void {
    if (segment !== undefined) this.#take(segment);
    this.#next = next;
  }

  /** A segment may be removed between the look at the directory and its opening. */
  #retrying<T>(look: (segments: SegmentFile[]) => T): T {
    for (;;) {
      const segments = this.#directory.segments();
      try {
        return look(segments);
      } catch (error) {
        const gone = (error as MillraceError).code === 'ERR_NOT_FOUND';
        if (!gone || this.#directory.segments()[0]?.base === segments[0]?.base) throw error;
      }
    }
  }

  close(): void {
    this.#segment?.close();
    this.#segment = undefined;
  }
}

/**
 * Whether it was read to its end, and nothing will be added. One in which nothing is may have given way to a larger one of
 * the same name, by a writer who died before it could say so.
 */
function isOver(segment: SegmentReader): boolean {
  if (segment.hasEnded()) return true;
  // Asked again and again by who waits: the cheapest first.
  return segment.position === 0 && segment.tailPosition === 0 && !segment.hasNext() && segment.isReplaced();
}

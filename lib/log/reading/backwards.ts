import { environment, type ReaderRecord, type RecordHandler, SegmentReader } from '../../channel/index.js';
import { MillraceError, withFacts } from '../../errors.js';
import { type Directory, isBroken, lastBefore, type SegmentFile } from '../files/index.js';
import { decodeRecord, fromPool, type LogRecord, PACKED, unpack } from '../records/index.js';

/** Where to begin: before this offset; or at the end, where that is hidden by damage. */
export type Behind = number | MillraceError;

/**
 * The records before an offset, last one first, back to the earliest. Ends by an error where some can't be read: `offset`
 * is the last one of them then, and `nextOffset` the one to go on at.
 */
export function backwards(directory: Directory, behind: Behind): Generator<LogRecord, void, undefined> {
  return new BackwardWalk(directory, behind).records();
}

class BackwardWalk {
  readonly #directory: Directory;
  /** What is at or behind it was handed out, or not asked for. */
  #before: number;
  /** Met, but not told yet: nobody knows before the next whole segment whether it was part of the log. */
  #fault: MillraceError | undefined;

  constructor(directory: Directory, behind: Behind) {
    this.#directory = directory;
    this.#before = typeof behind === 'number' ? behind : Number.POSITIVE_INFINITY;
    this.#fault = typeof behind === 'number' ? undefined : behind;
  }

  *records(): Generator<LogRecord, void, undefined> {
    const files = this.#directory.segments().filter(({ base }) => base < this.#before);
    for (const file of files.reverse()) {
      const segment = this.#open(file);
      if (segment === undefined) {
        if (this.#isRemoved(file)) break;
        continue;
      }
      try {
        this.#meet(segment);
        yield* this.#recordsOf(segment);
        this.#before = file.base;
      } finally {
        segment.close();
      }
    }
    if (this.#fault !== undefined) throw this.#told(this.#fault, undefined);
  }

  /** Undefined where it is gone or broken. */
  #open(file: SegmentFile): SegmentReader | undefined {
    let segment: SegmentReader | undefined;
    try {
      segment = SegmentReader.openNow(file.path, { readOnly: true });
      this.#directory.refuseStray(file, segment.metadata);
      return segment;
    } catch (error) {
      segment?.close();
      if (isBroken(error)) this.#fault ??= error;
      else if ((error as MillraceError).code !== 'ERR_NOT_FOUND') throw error;
      return undefined;
    }
  }

  /** Retention takes the oldest ones, with all before them. */
  #isRemoved(file: SegmentFile): boolean {
    return this.#directory.segments()[0]?.base > file.base;
  }

  /** What this segment says of where the log goes on has to be where we came from. */
  #meet(segment: SegmentReader): void {
    const end = linkOf(segment);
    const fault = this.#fault;
    this.#fault = undefined;
    // What was broken between two that follow each other was none of this log.
    if (end === this.#before) return;
    if (fault !== undefined)
      throw this.#told(fault, end === undefined ? lastBefore(segment, segment.position) : end - 1);
    if (end === undefined || end > this.#before) return;
    const { path } = this.#directory;
    throw new MillraceError(
      'ERR_GAP',
      `A segment of ${path} is missing: records ${end} to ${this.#before - 1}. What precedes can be read from ${end - 1} back`,
      { path, from: end, to: this.#before },
    );
  }

  *#recordsOf(segment: SegmentReader): Generator<LogRecord, void, undefined> {
    let position = segment.position;
    try {
      const frame = straddling(segment, this.#before);
      position = segment.position;
      if (frame !== undefined) yield* this.#recordsIn(frame);
      for (const frame of segment.backwards()) {
        position = frame.position;
        yield* this.#recordsIn(frame);
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
      throw this.#told(error, this.#nextBefore(segment, error.position ?? position));
    }
  }

  /** Those that have not expired. */
  *#recordsIn(frame: ReaderRecord): Generator<LogRecord, void, undefined> {
    const { data, type, tag, timestamp } = frame as Required<ReaderRecord>;
    const records =
      type === PACKED
        ? unpack(data, 0, data.length, tag, timestamp).reverse()
        : [decodeRecord(data, 0, data.length, type, tag, timestamp, fromPool)];
    const now = environment.nowUs();
    for (const record of records) {
      const { offset, expiresAt } = record;
      if (offset >= this.#before) continue;
      this.#before = offset;
      if ((expiresAt ?? now + 1) > now) yield record;
    }
  }

  /** Where to go on before a position; in the segments before this one where there is nothing left in it. */
  #nextBefore(segment: SegmentReader, position: number): number | undefined {
    const { baseRecord } = segment;
    const isFirst = this.#directory.segments()[0]?.base >= baseRecord;
    return lastBefore(segment, position) ?? (isFirst ? undefined : baseRecord - 1);
  }

  #told(error: MillraceError, nextOffset: number | undefined): MillraceError {
    const isKnown = this.#before !== Number.POSITIVE_INFINITY;
    return withFacts(error, { offset: isKnown ? this.#before - 1 : undefined, nextOffset });
  }
}

/** With which record the log goes on behind a segment; undefined where that does not say so. */
function linkOf(segment: SegmentReader): number | undefined {
  try {
    segment.seekLatest();
    return segment.hasEnded() ? segment.link()?.record : undefined;
  } catch (error) {
    // Who reads there hears of it.
    if (isBroken(error)) return undefined;
    throw error;
  }
}

/** The compressed batch with records on both sides of an offset, if there is one; stands before its frame then. */
function straddling(segment: SegmentReader, offset: number): ReaderRecord | undefined {
  let frame: ReaderRecord | undefined;
  const take: RecordHandler = (bytes, start, end, type) => {
    if (type !== PACKED) return;
    const { tag, timeUs: timestamp, position } = segment;
    const data = Buffer.from(bytes.subarray(start, end));
    frame = { data, value: data, type, position, record: 0, timestamp, tag };
  };
  segment.seekTag(offset);
  try {
    segment.poll(take, 1);
  } catch (error) {
    // What is broken there is nothing before the offset where that which is before it is whole.
    if (!isBroken(error) || lastBefore(segment, segment.position) !== offset - 1) throw error;
  }
  segment.seekTag(offset);
  return frame;
}

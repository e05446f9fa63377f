import { isTurnOver, type ReaderRecord, type RecordHandler, SegmentReader } from '../../channel/index.js';
import { MillraceError, withFacts } from '../../errors.js';
import {
  type Directory,
  isBroken,
  lastBefore,
  refuseTakenPlace,
  type SegmentFile,
  wholeBefore,
} from '../files/index.js';
import { decodeRecord, fromPool, hasExpired, type LogRecord, PACKED, unpack } from '../records/index.js';
import { seekRecord } from './seek-record.js';

/** Where to begin: before this offset; or at the end, where that is hidden by damage. */
export type Behind = number | MillraceError;

/**
 * The records before an offset, last one first, back to the earliest. Ends by an error where some can't be read: `offset`
 * is the last one of them then, and `nextOffset` the one to go on at. Undefined: where what is passed over takes long, the event
 * loop is to have a turn before it goes on.
 */
export function backwards(
  directory: Directory,
  behind: Behind,
): Generator<LogRecord | undefined, void, undefined> {
  return new BackwardWalk(directory, behind).records();
}

class BackwardWalk {
  readonly #directory: Directory;
  /** What is at or behind it was handed out, or not asked for. */
  #before: number;
  /** Whether the last record of the segment that was come to is handed out. */
  #hasPassed = false;
  /** Met, but not told yet: nobody knows before the next whole segment whether it was part of the log. */
  #fault: MillraceError | undefined;

  constructor(directory: Directory, behind: Behind) {
    this.#directory = directory;
    this.#before = typeof behind === 'number' ? behind : Number.POSITIVE_INFINITY;
    this.#fault = typeof behind === 'number' ? undefined : behind;
  }

  *records(): Generator<LogRecord | undefined, void, undefined> {
    const files = this.#directory.segments().filter(({ base }) => base < this.#before);
    for (const file of files.reverse()) {
      const segment = this.#open(file);
      if (segment === undefined) {
        if (this.#isRemoved(file)) break;
        continue;
      }
      try {
        this.#meet(segment);
        this.#hasPassed = false;
        yield* this.#recordsOf(segment);
        this.#before = file.base;
        // All of them may be empty.
        if (!this.#hasPassed && isTurnOver()) yield undefined;
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
      refuseTakenPlace(this.#directory, segment.metadata);
      this.#directory.refuseStray(file, segment.metadata);
      return segment;
    } catch (error) {
      segment?.close();
      const isGone = segment === undefined && (error as MillraceError).code === 'ERR_NOT_FOUND';
      if (isBroken(error)) this.#fault ??= error;
      else if (!isGone) throw error;
      return undefined;
    }
  }

  /** Retention takes the oldest ones, with all before them. */
  #isRemoved(file: SegmentFile): boolean {
    return this.#directory.segments()[0]?.base > file.base;
  }

  /** Where the log goes on behind this segment has to be where we came from. */
  #meet(segment: SegmentReader): void {
    const end = endsAt(segment);
    const fault = this.#fault;
    this.#fault = undefined;
    const next = end.link ?? (lastBefore(segment, end.position) ?? segment.baseRecord - 1) + 1;
    // What was broken between two that follow each other was none of this log.
    if (next >= this.#before) return;
    if (fault !== undefined) throw this.#told(fault, next > 0 ? next - 1 : undefined);
    if (end.link === undefined) return;
    const { path } = this.#directory;
    throw new MillraceError(
      'ERR_GAP',
      `A segment of ${path} is missing: records ${next} to ${this.#before - 1}. What precedes can be read from ${next - 1} back`,
      { path, from: next, to: this.#before },
    );
  }

  *#recordsOf(segment: SegmentReader): Generator<LogRecord | undefined, void, undefined> {
    let position = Number.NaN;
    try {
      const frame = straddling(segment, this.#before);
      position = segment.position;
      if (frame !== undefined) yield* this.#passing(recordsIn(frame));
      for (const frame of segment.backwards()) {
        position = frame.position;
        if (frame.type === PACKED) {
          yield* this.#passing(recordsIn(frame));
        } else {
          const record = recordIn(frame);
          if (this.#passes(record)) yield record;
          else if (isTurnOver()) yield undefined;
        }
      }
    } catch (error) {
      if (!isBroken(error)) throw error;
      const last = lastBefore(segment, error.position ?? position);
      throw this.#told(error, last ?? this.#lastBefore(segment));
    }
  }

  *#passing(records: readonly LogRecord[]): Generator<LogRecord | undefined, void, undefined> {
    for (const record of records) {
      if (this.#passes(record)) yield record;
      else if (isTurnOver()) yield undefined;
    }
  }

  /** The last record of the segments before one. */
  #lastBefore({ baseRecord }: SegmentReader): number | undefined {
    return this.#directory.segments()[0]?.base < baseRecord ? baseRecord - 1 : undefined;
  }

  /** Goes to it; false where it is not asked for, or has expired. */
  #passes({ offset, expiresAt }: LogRecord): boolean {
    if (offset >= this.#before) return false;
    this.#before = offset;
    this.#hasPassed = !hasExpired(expiresAt);
    return this.#hasPassed;
  }

  /** Who goes on at `nextOffset` gets further, whatever damage says of that. */
  #told(error: MillraceError, next: number | undefined): MillraceError {
    const offset = this.#before - 1;
    const nextOffset = next === undefined || offset === 0 ? undefined : Math.min(next, offset - 1);
    return withFacts(error, { offset: Number.isFinite(offset) ? offset : undefined, nextOffset });
  }
}

function recordIn(frame: ReaderRecord): LogRecord {
  const { data, type, tag, timestamp } = frame as Required<ReaderRecord>;
  return decodeRecord(data, 0, data.length, type, tag, timestamp, fromPool);
}

/** Of a compressed batch, the last one first. */
function recordsIn(frame: ReaderRecord): LogRecord[] {
  const { data, tag, timestamp } = frame as Required<ReaderRecord>;
  return unpack(data, 0, data.length, tag, timestamp).reverse();
}

/** Where it ends, as far as that can be told, and with which record the log goes on behind it, if it says so. */
function endsAt(segment: SegmentReader): { position: number; link?: number } {
  try {
    segment.seekLatest();
    const { position } = segment;
    return { position, link: segment.hasEnded() ? segment.link()?.record : undefined };
  } catch (error) {
    // Who reads there hears of it.
    if (isBroken(error)) return { position: error.position ?? segment.position };
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
  let position: number;
  try {
    seekRecord(segment, offset);
    ({ position } = segment);
    segment.poll(take, 1);
  } catch (error) {
    if (!isBroken(error)) throw error;
    const { last, end } = wholeBefore(segment, error.position ?? segment.position);
    if (last !== offset - 1) throw error;
    position = end;
  }
  segment.goTo({ position, record: 0 });
  // Where what is before it is whole, what begins there is nothing before the offset.
  return frame !== undefined && lastBefore(segment, position) === offset - 1 ? undefined : frame;
}

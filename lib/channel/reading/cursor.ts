import { markAsUntransferable } from 'node:worker_threads';
import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import {
  HIGH_UNIT,
  highOf,
  join,
  loadAcquire,
  loadPosition,
  type Mapped,
  readFrozen,
  releaseSplit,
  stampOf,
} from '../file/index.js';
import * as L from '../layout.js';
import { endedAs } from '../presence/index.js';
import { type Checker, nextIntact } from '../recovery/index.js';
import { fencesItself, ROOM, wakeSleepers } from '../waiting/index.js';
import type { Backoff } from './backoff.js';
import type { Guard } from './guard.js';

/**
 * Called for each record. `bytes[start, end)` is the payload, lent for the call only; `bytes` itself may be the
 * channel's memory, and writing to that ends the process.
 */
export type RecordHandler = (bytes: Buffer, start: number, end: number, type: number) => void;

/** Where the time of a reader's next record is noted, in microseconds. */
export interface Head {
  headUs: number;
}

/** No poll hands out more than this: a limit that is a small integer costs nothing to compare with. */
export const NO_LIMIT = 0x7fffffff;
const ROOM_WANTED = L.ROOM_WANTED_OFFSET >> 2;
const TAIL_LOW = (L.TAIL_OFFSET >> 2) + 1;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
/** What a look for more records came to. */
const NOTHING_YET = 0;
const FOUND = 1;
const MOVED = 2;
/** A region is at most so long: a reader publishes its position once a region at least. */
const LONGEST_REGION = 65536;
/** Of so many looks that find nothing, a power of two less one, all but one are plain loads. */
const PLAIN_LOOKS = 63;
/** Below this a loop over words is quicker than a call into the addon. */
const SMALL_COPY = 256;

/**
 * The reading end of the stream of frames. All of the hot path is here; like the writer's, it works with 32-bit
 * integers only.
 *
 * It walks a *region*: a stretch of whole, committed frames in `words`/`bytes`, from `at` to `end`. For a reader that
 * can be neither overtaken nor evicted that is a stretch of the mapping itself. For everyone else it is a copy,
 * guarded: checked after it was made and before anyone acts on it.
 */
export class Cursor {
  /** Set once the walk met END or LINK. */
  ended: 'closed' | 'sealed' | undefined;
  /** Records handed out and consumed. */
  handed = 0;
  readonly #channel: Mapped;
  readonly #shared: Int32Array;
  readonly #frameHeader: number;
  readonly #capacity: number;
  readonly #dataStart: number;
  readonly #guard: Guard | undefined;
  readonly #backoff: Backoff | undefined;
  readonly #checker: Checker | undefined;
  readonly #chunk: number;
  readonly #fencesItself = fencesItself();

  // The region. `at` + `shift` is the offset in the data.
  #words: Int32Array;
  #bytes: Buffer;
  #at = 0;
  #end = 0;
  #shift = 0;
  #stamp = 0;
  #tail = 0;
  #scratchWords = new Int32Array(0);
  #scratchBytes = Buffer.alloc(0);

  /** Index of the shared position of this reader's slot, if it has one. */
  #slotPosition: number | undefined;
  #publishedStamp = 0;
  #high = 0;
  /** Number of the record that the running poll began at, and how many it has passed since. */
  #records = 0;
  #passed = 0;
  #stopping = false;
  #emptyLooks = 0;
  /** Where the running poll began. */
  #begun = 0;
  #copying: boolean;

  constructor(
    channel: Mapped,
    guard: Guard | undefined,
    backoff: Backoff | undefined,
    checker: Checker | undefined,
  ) {
    const { header } = channel;
    this.#channel = channel;
    this.#shared = this.#words = channel.words;
    this.#bytes = channel.bytes;
    this.#frameHeader = header.frameHeader;
    // `| 0` here and below: a whole number that was reckoned in floating point would make its field a double for ever.
    this.#capacity = header.capacity | 0;
    this.#dataStart = header.dataOffset | 0;
    this.#guard = guard;
    this.#copying = guard !== undefined;
    this.#backoff = backoff;
    this.#checker = checker;
    this.#chunk = Math.min(LONGEST_REGION, Math.max(4096, header.capacity >> 4));
  }

  /** Stands at a place known to be the start of a frame, or the end of the stream. */
  moveTo(position: number, record: number): void {
    const offset = (position - this.#channel.header.basePosition) % this.#capacity;
    this.#emptyRegion(offset | 0);
    // Within a poll: what it has passed so far counts on, wherever it goes on.
    const passed = (this.#stamp - this.#begun) | 0;
    this.#stamp = this.#publishedStamp = stampOf(position);
    this.#begun = (this.#stamp - passed) | 0;
    this.#high = highOf(position / 16);
    this.#tail = this.#stamp;
    this.handed += this.#passed;
    this.#records = record;
    this.#passed = 0;
    this.ended = undefined;
  }

  /** Whether to lend copies where the mapping itself could be lent. A guarded reader always lends copies. */
  copy(on: boolean): void {
    const copying = on || this.#guard !== undefined;
    if (copying === this.#copying) return;
    this.#copying = copying;
    this.#emptyRegion(this.#at + this.#shift);
  }

  /** From here on the position is published in this slot (its first word), once a batch and before idling. */
  publishIn(slotPosition: number | undefined): void {
    this.#slotPosition = slotPosition;
  }

  get position(): number {
    const high = this.#stamp >>> 0 < this.#publishedStamp >>> 0 ? this.#high + 1 : this.#high;
    return join(high, this.#stamp) * 16;
  }

  /** Number of the record being handled, or of the next one. */
  get record(): number {
    return this.#records + this.#passed;
  }

  /** Timestamp of the record being handled; 0 where records have none. */
  get timeUs(): number {
    return this.#frameHeader === L.FRAME_HEADER_EXTENDED ? readFrozen(this.#words, (this.#at >> 2) + 4) : 0;
  }

  /**
   * The same, into `head`, reckoned right here: what a call returns is an object of its own wherever V8 doesn't inline that
   * call, and now and then it has no room left for even the smallest one.
   */
  noteTime(head: Head): void {
    if (this.#frameHeader === L.FRAME_HEADER_EXTENDED) {
      const word = (this.#at >> 2) + 4;
      head.headUs = (this.#words[word + 1] >>> 0) * HIGH_UNIT + (this.#words[word] >>> 0);
    } else {
      head.headUs = 0;
    }
  }

  get tag(): number {
    return this.#frameHeader === L.FRAME_HEADER_EXTENDED ? readFrozen(this.#words, (this.#at >> 2) + 6) : 0;
  }

  /**
   * Hands out up to `limit` records; returns how many. A handler that throws has not consumed its record; those
   * before it are consumed.
   */
  poll(handler: RecordHandler, limit: number): number {
    this.#backoff?.beforeLook();
    this.#begun = this.#stamp;
    let count = 0;
    try {
      while (count < limit) {
        if (this.#at >= this.#end && !this.#refill(0)) break;
        const at = this.#at;
        const word = at >> 2;
        const length = this.#words[word];
        const kind = this.#words[word + 1];
        const need = (length + 15) & -16;
        if (!this.#isRecord(length, kind)) {
          if (this.#passUnusual(length, kind & 0xff, need)) continue;
          break;
        }
        handler(this.#bytes, at + this.#frameHeader, at + length, kind >>> 16);
        count++;
        this.#passed++;
        this.#at = at + need;
        this.#stamp = (this.#stamp + (need >> 4)) | 0;
      }
    } finally {
      this.#records += this.#passed;
      this.handed += this.#passed;
      this.#passed = 0;
      this.publish();
    }
    if (count < limit) this.#backoff?.afterEmptyLook(count);
    return count;
  }

  /** Whether a record is there to be read. */
  hasNext(): boolean {
    this.#backoff?.beforeLook();
    this.#begun = this.#stamp;
    let found = false;
    try {
      found = this.#goToRecord();
    } finally {
      this.publish();
    }
    if (!found) this.#backoff?.afterEmptyLook(0);
    return found;
  }

  #goToRecord(): boolean {
    while (this.#at < this.#end || this.#refill(0)) {
      const word = this.#at >> 2;
      const length = this.#words[word];
      const kind = this.#words[word + 1];
      if (this.#isRecord(length, kind)) return true;
      if (!this.#passUnusual(length, kind & 0xff, (length + 15) & -16)) return false;
    }
    return false;
  }

  /** Whether a whole data frame is here, of that length and kind. */
  #isRecord(length: number, kind: number): boolean {
    return (
      (kind & 0xff) === L.KIND_DATA &&
      length >= this.#frameHeader &&
      length <= this.#end - this.#at &&
      this.#words[(this.#at >> 2) + 2] === this.#stamp
    );
  }

  /** Makes the poll that is running end after the record that is being handled. */
  stop(): void {
    this.#stopping = true;
    this.#end = -1;
  }

  /** Tells the writer how far this reader is done. Release: all its loads of those records are over. */
  publish(): void {
    if (this.#stamp === this.#publishedStamp) return;
    if (this.#stamp >>> 0 < this.#publishedStamp >>> 0) this.#high++;
    this.publishAgain();
  }

  publishAgain(): void {
    this.#publishedStamp = this.#stamp;
    if (this.#slotPosition === undefined) return;
    // step 23
    releaseSplit(this.#shared, this.#slotPosition, this.#high, this.#stamp);
    if (this.#shared[ROOM_WANTED] !== 0 || this.#fencesItself) wakeSleepers(this.#channel, ROOM);
  }

  /** Anything but a whole data frame: passes over it and says true, or says false where the stream ends or waits. */
  #passUnusual(length: number, kind: number, need: number): boolean {
    const least = kind === L.KIND_PAD ? L.FRAME_HEADER : this.#frameHeader;
    const stamped = this.#words[(this.#at >> 2) + 2] === this.#stamp;
    const lapLeft = this.#capacity - (this.#at + this.#shift);
    const misplaced = kind === L.KIND_PAD && this.#channel.header.mode === 'linear';
    if (length < least || length > lapLeft || !stamped || misplaced) return this.#endHere();
    // Of a PAD nobody looks at more than its header, however long it is.
    if (kind !== L.KIND_PAD && need > this.#end - this.#at) return this.#refill(need);
    switch (kind) {
      case L.KIND_PAD:
      case L.KIND_CHECKPOINT:
        this.#at += need;
        this.#stamp = (this.#stamp + (need >> 4)) | 0;
        return true;
      case L.KIND_END:
        this.ended = 'closed';
        return false;
      case L.KIND_LINK:
        this.ended = 'sealed';
        return false;
      default:
        return this.#endHere();
    }
  }

  /**
   * Finds the next region, of at least `need` bytes where a frame was cut by the end of the last one.
   * False: nothing is there yet.
   */
  #refill(need: number): boolean {
    let found = this.#look(need);
    while (found === MOVED) found = this.#look(0);
    return found === FOUND;
  }

  #look(need: number): number {
    if (this.#stopping || this.ended !== undefined) return NOTHING_YET;
    // All that was there when this poll began has been handed out: a writer that is as quick must not hold it for ever.
    if ((this.#stamp - this.#begun) << 4 >= this.#capacity) return NOTHING_YET;
    let offset = (this.#at + this.#shift) | 0;
    if (offset === this.#capacity) {
      if (this.#channel.header.mode === 'linear') return NOTHING_YET;
      offset = 0;
    }
    const unpublished = (this.#stamp - this.#publishedStamp) | 0;
    if (unpublished << 4 >= this.#chunk) this.publish();
    const checker = this.#checker;
    if (checker?.cutOff === true) {
      // Before the tail is loaded: who sees that it was healed sees the tail that goes with it, and no older one.
      checker.look();
      this.#tail = this.#stamp;
      if (offset >= checker.end) return this.#nothingYet(offset);
    }
    let known = (this.#tail - this.#stamp) | 0;
    if (known <= 0 || known << 4 < need) {
      this.#tail = loadAcquire(this.#shared, TAIL_LOW);
      known = (this.#tail - this.#stamp) | 0;
    }
    const lapLeft = this.#capacity - offset;
    let span: number;
    if (known > 0) {
      // Below the tail everything is committed: plain loads will do. Further behind than the capacity is only
      // who was overtaken; the guard will say so.
      const committed = known > this.#capacity >> 4 ? lapLeft : Math.min(known << 4, lapLeft);
      if (need > committed) return this.#doubt(offset);
      span = Math.min(committed, Math.max(need, this.#chunk));
    } else {
      // Whoever sees the length sees the frame.
      const length = this.#lookAtLength((this.#dataStart + offset) >> 2);
      if (length === 0) return this.#nothingYet(offset);
      if (length < L.FRAME_HEADER || length > lapLeft) return this.#doubt(offset);
      const isPad = (this.#shared[((this.#dataStart + offset) >> 2) + 1] & 0xff) === L.KIND_PAD;
      span = isPad ? L.FRAME_HEADER : (length + 15) & -16;
    }
    if (checker !== undefined) {
      checker.look();
      if (offset >= checker.end) return this.#nothingYet(offset);
      span = Math.min(span, checker.end - offset);
      // An end within a frame: what says that, or the frame, is damaged.
      if (need > span) return this.#doubt(offset);
    }
    if (this.#copying) return this.#copyRegion(offset, span);
    this.#at = (this.#dataStart + offset) | 0;
    this.#end = (this.#at + span) | 0;
    return this.#checker === undefined ? FOUND : this.#checkRegion(offset);
  }

  #lookAtLength(word: number): number {
    const length = loadAcquire(this.#shared, word);
    if (length !== 0) return length;
    // Kept small: a count without end would leave the small integers after a minute of looking.
    this.#emptyLooks = (this.#emptyLooks + 1) & PLAIN_LOOKS;
    if (this.#emptyLooks !== 0) return 0;
    return Atomics.load(this.#shared, word);
  }

  /** "Nothing yet" needs the check too: a 0 may be the next lap's, and the reader overtaken. */
  #nothingYet(offset: number): number {
    this.#emptyRegion(offset);
    if (this.#checker?.cutOff === true && this.#checker.lacks(this.position)) throw this.#corrupt();
    return this.#guard?.lost(this) === true ? MOVED : NOTHING_YET;
  }

  /** A length that can't be: the bytes of another lap under a reader that was overtaken, or damage. */
  #doubt(offset: number): number {
    this.#emptyRegion(offset);
    if (this.#guard?.lost(this) === true) return MOVED;
    this.#endHere();
    return NOTHING_YET;
  }

  #copyRegion(offset: number, span: number): number {
    // What the scratch held is gone from here on, also where the guard throws.
    this.#emptyRegion(offset);
    if (this.#scratchBytes.length < span) this.#growScratch(span);
    const from = this.#dataStart + offset;
    if (span <= SMALL_COPY) {
      const shared = this.#shared;
      const scratch = this.#scratchWords;
      for (let word = 0, source = from >> 2; word < span >> 2; word++) scratch[word] = shared[source + word];
    } else {
      binding().copyBytes(this.#scratchBytes, 0, this.#channel.bytes, from, from + span);
    }
    // Checked after the copy and before anyone acts on it. One check covers all of it: overwriting begins at the
    // oldest byte.
    if (this.#guard?.lost(this) === true) return MOVED;
    this.#words = this.#scratchWords;
    this.#bytes = this.#scratchBytes;
    this.#at = 0;
    this.#end = span;
    this.#shift = offset;
    return this.#checker === undefined ? FOUND : this.#checkRegion(offset);
  }

  /** Leaves of the region what is right. One that begins with a frame that goes on behind it is left as it is. */
  #checkRegion(offset: number): number {
    const at = this.#at;
    const right = (this.#checker as Checker).check(this.#bytes, at, this.#end, this.#stamp, offset);
    if (right === at) {
      const need = (this.#words[at >> 2] + 15) & -16;
      const isPad = (this.#words[(at >> 2) + 1] & 0xff) === L.KIND_PAD;
      if (need > this.#end - at && !isPad) return FOUND;
      this.#emptyRegion(offset);
      this.#endHere();
      return NOTHING_YET;
    }
    this.#end = right;
    return FOUND;
  }

  #growScratch(span: number): void {
    const size = Math.max(span, this.#chunk);
    const buffer = new ArrayBuffer(size);
    // Whoever sent away what it was lent would take the records along that are still to be handed out.
    markAsUntransferable(buffer);
    this.#scratchWords = new Int32Array(buffer);
    this.#scratchBytes = Buffer.from(buffer);
  }

  #emptyRegion(offset: number): void {
    this.#words = this.#shared;
    this.#bytes = this.#channel.bytes;
    this.#at = this.#end = this.#dataStart + offset;
    this.#shift = -this.#dataStart | 0;
  }

  /** What is here makes no sense: damage, unless its channel was abandoned right here because of that. Says false. */
  #endHere(): false {
    const isEnd =
      endedAs(this.#channel) === 'abandoned' && loadPosition(this.#shared, FINAL_POSITION) === this.position;
    if (isEnd) return false;
    throw this.#corrupt();
  }

  #corrupt(): MillraceError {
    const { path } = this.#channel;
    const position = this.position;
    const next = nextIntact(this.#channel, position);
    return new MillraceError(
      'ERR_CORRUPT',
      `${path} is damaged at position ${position}` +
        (next === undefined ? '' : `; what follows can be read from position ${next.position} on`),
      { path, position, next: next?.position, record: next?.record },
    );
  }
}

import {
  Copier,
  isTurnOver,
  type Limits,
  limitsFromNow,
  type RecordHandler,
  type SegmentReader,
  timeInUs,
  type WaitOptions,
  waitOptions,
  waitUntil,
} from '../../channel/index.js';
import { closedHandle, invalidArgument, MillraceError } from '../../errors.js';
import { knownOptions, show, wholeNumber } from '../../options.js';
import { type Directory, HALT, isSyncedLater } from '../files/index.js';
import { decodeRecord, hasExpired, type LogRecord, PACKED, RecordParts, unpack } from '../records/index.js';
import { FrameReader } from './frame-reader.js';
import type { LogWhere, TailSettings } from './tail-options.js';
import { Unpacked } from './unpacked.js';

/** Called for each record. `bytes[start, end)` is its value, lent for the call only. */
export type ValueHandler = (bytes: Buffer, start: number, end: number) => void;

const NO_LIMIT = 0x7fffffff;
/** While nothing comes. */
const LOOK_AT_NAME_EACH_MS = 1000;
const MOVED = Symbol('moved');
const NOTHING = Buffer.alloc(0);

/** Reads a log by plain calls, as quickly as a reader does a channel; any number of them, each at its own pace. */
export class Tail {
  readonly #directory: Directory;
  readonly #settings: TailSettings;
  #frames: FrameReader;
  readonly #onClose: (tail: Tail) => void;
  readonly #copier = new Copier();
  readonly #parts = new RecordParts();
  readonly #unpacked = new Unpacked();
  /** What lies before it in a compressed batch is not wanted. */
  #from = 0;
  /** Where it was sought to, as long as nothing was read there. */
  #sought: number | undefined;
  /** Of the poll that is running. */
  #handler: ValueHandler = () => {};
  /** By the handler. */
  #thrown: { error: unknown } | undefined;
  #count = 0;
  #takesPacked = false;
  #metPacked = false;
  #halted = false;
  /** Whether what is read is read in turns; and whether the last one ended before all was looked at. */
  #inTurns = false;
  #isPaused = false;
  readonly #pauses = () => {
    this.#isPaused = this.#inTurns && isTurnOver();
    return this.#isPaused;
  };
  /** Whether something was passed over in the poll that is running: it has expired. */
  #passedOver = false;
  /** All of it is on the disk, though it does not say so itself. */
  #durableSegment: SegmentReader | undefined;
  /** Whoever waits again and again, each time for a short time only, is to be told, too. */
  #lookedAtNameMs = performance.now();
  #busy = false;
  #closed = false;
  #closing = false;
  /** The frame that is being handled. */
  #bytes: Buffer = NOTHING;
  #start = 0;
  #end = 0;
  #type = 0;
  #kept: LogRecord[] = [];
  readonly #keep: ValueHandler = () => {
    this.#kept.push(this.record());
  };

  constructor(directory: Directory, settings: TailSettings, onClose: (tail: Tail) => void) {
    this.#directory = directory;
    this.#settings = settings;
    this.#frames = new FrameReader(directory, settings.idle);
    this.#onClose = onClose;
  }

  /**
   * Hands out the records that are there, up to `limit`; returns how many. **The bytes are lent for the call only, and
   * writing to them ends the process**: they are the log's own memory.
   */
  poll(handler: ValueHandler, limit: number = NO_LIMIT): number {
    if (typeof handler !== 'function')
      throw invalidArgument(`A handler must be a function, not ${show(handler)}`);
    const most = limit === NO_LIMIT || limit === Number.POSITIVE_INFINITY ? NO_LIMIT : checkLimit(limit);
    this.#assertFree();
    this.#busy = true;
    this.#handler = handler;
    this.#count = 0;
    this.#isPaused = this.#passedOver = false;
    try {
      while (this.#count < most && !this.#closing) {
        const unpacked = this.#unpacked.current;
        if (unpacked !== undefined) this.#handOutUnpacked(unpacked);
        else if (!this.#pollFrames(most)) break;
        if (this.#isPaused || (this.#passedOver && this.#pauses())) break;
      }
      return this.#count;
    } finally {
      this.#busy = false;
      this.#bytes = NOTHING;
      if (this.#closing) this.close();
    }
  }

  /** False: nothing more is there now. */
  #pollFrames(most: number): boolean {
    let wanted = 0;
    this.#halted = this.#metPacked = false;
    const frames = this.#inRange(() => {
      wanted = most - this.#count;
      return this.#frames.poll(this.#handle, wanted, this.#pauses);
    });
    const thrown = this.#thrown;
    if (thrown !== undefined) {
      this.#thrown = undefined;
      throw thrown.error;
    }
    if (this.#metPacked) {
      this.#takesPacked = true;
      try {
        this.#frames.poll(this.#handle, 1);
        this.#sought = undefined;
      } finally {
        this.#takesPacked = false;
      }
      return true;
    }
    return frames > 0 && !this.#halted && (frames === wanted || this.#settings.durableOnly);
  }

  /** What was removed while it was to be read is passed over, where that was wished. */
  #inRange<T>(read: () => T): T {
    for (;;) {
      const { segment, next } = this.#frames;
      try {
        return read();
      } catch (error) {
        this.#leap(error);
      } finally {
        // Something was read there, also where an error came behind that; or nothing is left of the segment in which it lay.
        if (this.#frames.segment !== segment || this.#frames.next !== next) this.#sought = undefined;
      }
    }
  }

  #leap(error: unknown): void {
    const { outOfRange } = this.#settings;
    const isGone = error instanceof MillraceError && error.code === 'ERR_OFFSET_OUT_OF_RANGE';
    if (!isGone || outOfRange === 'throw') throw error;
    this.#goTo((frames) => (outOfRange === 'earliest' ? frames.seekEarliest() : frames.seekLatest()));
  }

  /** Seeks with frames of their own: where that fails, this stands where it stood. */
  #goTo(seek: (frames: FrameReader) => void): void {
    const frames = new FrameReader(this.#directory, this.#settings.idle);
    try {
      seek(frames);
    } catch (error) {
      frames.close();
      throw error;
    }
    const before = this.#frames;
    this.#frames = frames;
    this.#unpacked.clear();
    this.#from = 0;
    this.#sought = undefined;
    before.close();
  }

  #seekOffset(offset: number): void {
    try {
      this.#goTo((frames) => frames.seekOffset(offset));
      this.#from = this.#sought = offset;
    } catch (error) {
      this.#leap(error);
    }
  }

  #seekTime(timeUs: number): void {
    let first: number | undefined;
    this.#goTo((frames) => {
      frames.seekTime(timeUs);
      // In a compressed batch, that of its records that is meant.
      const look: RecordHandler = (bytes, start, end, type) => {
        if (type === PACKED) {
          const records = unpack(bytes, start, end, frames.tag, frames.timeUs);
          first = records.find(({ timestamp }) => timestamp >= timeUs)?.offset;
        }
        throw HALT;
      };
      frames.poll(look, 1);
    });
    if (first !== undefined) this.#from = this.#sought = first;
  }

  readonly #handle: RecordHandler = (bytes, start, end, type) => {
    if (this.#closing || (this.#settings.durableOnly && this.#isBeyondDurable())) {
      this.#halted = true;
      throw HALT;
    }
    this.#bytes = bytes;
    this.#start = start;
    this.#end = end;
    this.#type = type;
    if (type === 0) this.#handOut(bytes, start, end);
    else this.#handleDescribed(bytes, start, end, type);
  };

  /** What a handler throws says nothing of this log: it goes out as it is, past who explains what is wrong here. */
  #handOut(bytes: Buffer, start: number, end: number): void {
    try {
      this.#handler(bytes, start, end);
    } catch (error) {
      this.#thrown = { error };
      throw HALT;
    }
    this.#count++;
  }

  #handleDescribed(bytes: Buffer, start: number, end: number, type: number): void {
    const frames = this.#frames;
    if (type === PACKED) {
      if (!this.#takesPacked) {
        this.#metPacked = true;
        throw HALT;
      }
      const records = unpack(bytes, start, end, frames.tag, frames.timeUs);
      this.#unpacked.take(records.filter(({ offset }) => offset >= this.#from));
      return;
    }
    const parts = this.#parts;
    parts.find(bytes, start, end, type, frames.tag, frames.timeUs);
    if (hasExpired(parts.expiresAtUs)) {
      this.#passedOver = true;
      return;
    }
    parts.findValue(bytes, end, type, frames.tag);
    this.#handOut(bytes, parts.rest, end);
  }

  /** It may have been unpacked long ago. */
  #handOutUnpacked({ value, expiresAt }: LogRecord): void {
    if (hasExpired(expiresAt)) this.#passedOver = true;
    else {
      this.#handler(value, 0, value.length);
      this.#count++;
    }
    this.#unpacked.pass();
  }

  #isBeyondDurable(): boolean {
    const { segment } = this.#frames;
    if (segment === undefined || segment.position < segment.durablePosition) return false;
    if (segment === this.#durableSegment) return false;
    if (!segment.isEnded || !isSyncedLater(this.#directory.segments(), segment.baseRecord)) return true;
    this.#durableSegment = segment;
    return false;
  }

  /** Inside a handler: its record, copied out. */
  record(): LogRecord {
    const unpacked = this.#unpacked.current;
    if (unpacked !== undefined) return unpacked;
    if (this.#bytes === NOTHING) throw invalidArgument('record() is for inside a handler');
    const { tag, timeUs } = this.#frames;
    try {
      return decodeRecord(this.#bytes, this.#start, this.#end, this.#type, tag, timeUs, this.#copier);
    } catch (error) {
      throw this.#frames.explain(error);
    }
  }

  /** Inside a handler: the offset of its record. Else: of the next one. */
  get offset(): number {
    const unpacked = this.#unpacked.current;
    if (unpacked !== undefined) return unpacked.offset;
    if (this.#bytes !== NOTHING) return this.#frames.tag;
    return this.#sought ?? this.#frames.next;
  }

  /** Inside a handler: when its record was appended, in microseconds since 1970. */
  get timestamp(): number {
    const unpacked = this.#unpacked.current;
    if (unpacked !== undefined) return unpacked.timestamp;
    if (this.#bytes === NOTHING) throw invalidArgument('timestamp is for inside a handler');
    return this.#frames.timeUs;
  }

  /** The next record, copied out, or undefined if there is none yet. */
  read(): LogRecord | undefined {
    return this.readBatch(1)[0];
  }

  /** Up to `max` records that are there now, copied out. */
  readBatch(max: number): LogRecord[] {
    wholeNumber('max', max, 1, Number.MAX_SAFE_INTEGER);
    this.#kept = [];
    try {
      this.poll(this.#keep, Math.min(max, NO_LIMIT));
    } catch (error) {
      // What was read before stays read; the next call meets the same again.
      if (this.#kept.length === 0) throw error;
    }
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }

  /**
   * @internal The same; ends, perhaps with nothing, also where nothing is handed out and the event loop is to have its turn.
   * `isPaused` says so.
   */
  readInTurn(max: number): LogRecord[] {
    this.#inTurns = true;
    try {
      return this.readBatch(max);
    } finally {
      this.#inTurns = false;
    }
  }

  /** @internal */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Goes to another place. Where that fails, it stands where it stood. */
  seek(where: LogWhere): void {
    this.#assertFree();
    if (where === 'earliest') this.#goTo((frames) => frames.seekEarliest());
    else if (where === 'latest') this.#goTo((frames) => frames.seekLatest());
    else if (typeof where === 'number') {
      this.#seekOffset(wholeNumber('An offset', where, 0, Number.MAX_SAFE_INTEGER));
    } else if (typeof where === 'object' && where !== null && 'time' in where) {
      knownOptions('A place', where, ['time']);
      this.#seekTime(timeInUs('time', where.time));
    } else {
      throw invalidArgument(
        `A place in a log is 'earliest', 'latest', an offset or { time }, not ${show(where)}`,
      );
    }
  }

  /** Whether there is a record to read now. */
  hasNext(): boolean {
    return this.#hasNext();
  }

  #hasNext(isEnough?: () => boolean): boolean {
    this.#assertFree();
    if (this.#unpacked.current !== undefined) return true;
    if (!this.#inRange(() => this.#frames.hasNext(isEnough))) return false;
    return !this.#settings.durableOnly || !this.#isBeyondDurable();
  }

  /** Waits until there is something to read: true; or until this is closed: false. */
  async ready(options: WaitOptions = {}): Promise<boolean> {
    waitOptions('ready', options);
    return this.wait(limitsFromNow(options), () => false);
  }

  /** @internal The same; ends by false, too, where `isOver` says so when it looks. */
  wait(limits: Limits, isOver: () => boolean): Promise<boolean> {
    const { path } = this.#directory;
    const task = { what: `Waiting for records of ${path}`, path };
    const { segment } = this.#frames;
    const look = (now: number) => {
      if (this.#closed || isOver()) return false;
      if (this.#hasNext(isTurnOver)) return true;
      if (now - this.#lookedAtNameMs >= LOOK_AT_NAME_EACH_MS) {
        this.#lookedAtNameMs = now;
        this.#inRange(() => this.#frames.goByName(this.offset));
      }
      return this.#frames.segment === segment ? undefined : MOVED;
    };
    // Nobody rings when the disk has something, nor for a first segment.
    const canSleep = segment !== undefined && !this.#settings.durableOnly;
    const found = canSleep ? segment.wait(look, task, limits) : waitUntil(look, task, limits);
    return found.then((what) => (what === MOVED ? this.wait(limits, isOver) : what));
  }

  /** @internal Has those who wait look whether that is over. */
  rouse(): void {
    this.#frames.segment?.rouse();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Inside a handler: when that returns. */
  close(): void {
    if (this.#closed) return;
    if (this.#busy) {
      this.#closing = true;
      return;
    }
    this.#closed = true;
    this.#frames.close();
    this.#onClose(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #assertFree(): void {
    if (this.#closed) throw closedHandle('tail', this.#directory.path);
    if (!this.#busy) return;
    throw new MillraceError(
      'ERR_BUSY',
      `A handler of this tail of ${this.#directory.path} is running: let it return first`,
      {
        path: this.#directory.path,
      },
    );
  }
}

function checkLimit(limit: number): number {
  return Math.min(NO_LIMIT, wholeNumber('limit', limit, 0, Number.MAX_SAFE_INTEGER));
}

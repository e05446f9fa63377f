import { invalidArgument, MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { checkSignal, knownOptions, show } from '../../options.js';
import { loadPosition, type Mapped, type Mark, Marks, openMapped, STATE, wordAt } from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot, type Standing, writerStatus } from '../presence/index.js';
import { Cursor, OvertakenGuard, Places, pollUntil } from '../reading/index.js';
import {
  Checker,
  damaged,
  isCutOff,
  kindAt,
  plausibleLength,
  recoverable,
  truncated,
} from '../recovery/index.js';
import { absolutePath, isTurnOver, SLICE_BYTES, turn } from '../runtime/index.js';
import { throwIfAborted } from '../waiting/index.js';

const ENDS = { closed: 'END', sealed: 'LINK' };
const TAIL = L.TAIL_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
/** A look at the clock takes as long as one at a small record. */
const RECORDS_A_LOOK = 63;

export interface VerifyOptions {
  /** Ends it with ERR_ABORTED. */
  signal?: AbortSignal | undefined;
  /** Called now and then with the bytes of the stream that are done, and all there are. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Something in a channel that is not as its writer left it. */
export interface Fault {
  code: 'ERR_FORMAT' | 'ERR_TRUNCATED' | 'ERR_CORRUPT';
  message: string;
  /** Where; undefined where it is the header's. */
  position?: number;
  /** Where what can be read goes on; undefined where nothing behind it can be found. */
  next?: number;
}

export interface Verification {
  path: string;
  /** Nothing was found. */
  sound: boolean;
  faults: Fault[];
  /** Undefined where the header can't be believed. */
  status: Standing | undefined;
  /** Records that are whole. */
  records: number;
  /** How many of them have a checksum, which held. */
  checked: number;
  /** The position from which on the stream was looked through. */
  from: number;
  /** The position up to which it was. */
  end: number;
  /** How many marks there are. */
  marks: number;
  /** The position up to which it is on its disk. */
  durable: number;
  /**
   * Of a channel whose machine went down while it was written: where what is whole ends. What had not been synced may be
   * missing behind it, which is no fault; `Writer.resume` goes on here.
   */
  cutOffAt: number | undefined;
}

/** Called for each record that is whole, lent for the call only. */
export type SeeRecord = (
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  tag: number,
  timeUs: number,
  position: number,
) => void;

/**
 * Looks through all of a channel: header, marks, each record and its checksum, the end. Finds every fault, not only the
 * first. Changes nothing, and may be used on a channel that is being written: as far as that has come.
 */
export async function verify(path: string, options: VerifyOptions = {}): Promise<Verification> {
  checkVerifyOptions(options);
  return verifyRecords(absolutePath(path), options, () => {});
}

export function checkVerifyOptions(options: VerifyOptions): void {
  knownOptions('verify', options, ['signal', 'onProgress']);
  checkSignal(options.signal);
  if (options.onProgress !== undefined && typeof options.onProgress !== 'function') {
    throw invalidArgument(`onProgress must be a function, not ${show(options.onProgress)}`);
  }
}

/** The same for who looks at the records, too; which may take long at those of some types. */
export async function verifyRecords(
  path: string,
  options: VerifyOptions,
  see: SeeRecord,
  takesLong: (type: number) => boolean = () => false,
): Promise<Verification> {
  let channel: Mapped;
  try {
    channel = openMapped(path, 'read');
  } catch (error) {
    const fault = asFault(error);
    return { ...nothingOf(path), faults: [fault] };
  }
  let isTelling = false;
  const onProgress = (done: number, total: number) => {
    isTelling = true;
    options.onProgress?.(done, total);
    isTelling = false;
  };
  try {
    const checker = channel.header.checksums ? await Checker.of(channel) : undefined;
    return await new Verifier(channel, checker, see, takesLong).run({ signal: options.signal, onProgress });
  } catch (error) {
    // What `onProgress` throws is no fault of this file, were it one that it read there itself.
    if (isTelling) throw error;
    // The words of the header that change are covered by no checksum, and may say what can't be.
    return { ...nothingOf(path), faults: [asFault(error)] };
  } finally {
    binding().closeFile(channel.file);
  }
}

function nothingOf(path: string): Verification {
  return {
    path,
    sound: false,
    faults: [],
    status: undefined,
    records: 0,
    checked: 0,
    from: 0,
    end: 0,
    marks: 0,
    durable: 0,
    cutOffAt: undefined,
  };
}

/** What says that the file is not sound; anything else is thrown. */
function asFault(error: unknown): Fault {
  if (!(error instanceof MillraceError)) throw error;
  const { code, message, position, next } = error;
  if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED' && code !== 'ERR_CORRUPT') throw error;
  return { code, message, position, next };
}

class Verifier {
  readonly #channel: Mapped;
  readonly #cursor: Cursor;
  readonly #places: Places;
  readonly #marks: Marks;
  readonly #overtaken: OvertakenGuard | undefined;
  readonly #report: Verification;
  /** Marks that are to be compared with the record they name, by their place. */
  readonly #marked: Mark[];
  /** Records before the first damage are counted right, and times are known, from the base on only. */
  #counted: boolean;
  #timed: boolean;
  #behindLast: number;
  #maxTimeUs = 0;
  #lost = 0;
  readonly #see: SeeRecord;
  readonly #takesLong: (type: number) => boolean;

  constructor(
    channel: Mapped,
    checker: Checker | undefined,
    see: SeeRecord,
    takesLong: (type: number) => boolean,
  ) {
    this.#see = see;
    this.#takesLong = takesLong;
    const { header, words } = channel;
    this.#channel = channel;
    this.#places = new Places(channel, checker);
    const guard =
      header.mode === 'ring'
        ? new OvertakenGuard(channel, undefined, 'skip', () => this.#places.oldest())
        : undefined;
    this.#overtaken = guard;
    this.#cursor = new Cursor(channel, guard, undefined, checker);
    const oldest = this.#places.oldest();
    this.#cursor.moveTo(oldest.position, oldest.record);
    this.#marks = new Marks(words, header);
    this.#counted = true;
    this.#timed = oldest.position === header.basePosition;
    this.#behindLast = oldest.position;
    this.#report = {
      ...nothingOf(channel.path),
      sound: true,
      status: writerStatus(channel),
      from: oldest.position,
      durable: Math.max(header.basePosition, loadPosition(words, DURABLE)),
    };
    this.#marked = this.#readMarks();
  }

  async run({ signal, onProgress }: VerifyOptions): Promise<Verification> {
    const { words } = this.#channel;
    const report = this.#report;
    const cursor = this.#cursor;
    const until = this.#until;
    const total = Math.max(loadPosition(words, TAIL), report.durable) - report.from;
    for (let going = true; going; ) {
      throwIfAborted(signal, { what: `Verifying ${report.path}`, path: report.path });
      going = this.#slice(Math.min(until, cursor.position + SLICE_BYTES)) && cursor.position < until;
      onProgress?.(Math.min(cursor.position - report.from, total), total);
      await turn();
    }
    report.end = cursor.position;
    if (report.status !== 'alive') this.#checkEnd();
    report.faults.sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
    report.sound = report.faults.length === 0;
    return report;
  }

  /** A ring that is being written has no end. What a dead writer's has behind its tail, somebody may go on with meanwhile. */
  get #until(): number {
    if (this.#overtaken === undefined) return Number.POSITIVE_INFINITY;
    const { words, header } = this.#channel;
    return loadPosition(words, TAIL) + (this.#report.status === 'alive' ? 0 : header.capacity);
  }

  /** Reads on to `until`, or as long as a turn may take; false where there is nothing more. */
  #slice(until: number): boolean {
    const cursor = this.#cursor;
    let records = 0;
    let tookLong = false;
    let isOver = false;
    try {
      pollUntil(
        cursor,
        () => {
          const looks = tookLong || (records & RECORDS_A_LOOK) === RECORDS_A_LOOK;
          isOver = cursor.position >= until || (looks && isTurnOver());
          return isOver;
        },
        (bytes, start, end, type) => {
          records++;
          tookLong = this.#takesLong(type);
          this.#count(bytes, start, end, type);
        },
      );
      return isOver || cursor.position >= until;
    } catch (error) {
      const fault = asFault(error);
      if (this.#isTornEnd(fault)) return false;
      this.#report.faults.push(fault);
      // Of the frame that is damaged it is still known which record it was.
      this.#compareUpTo(cursor.position);
      this.#counted = this.#timed = false;
      if (fault.next === undefined) return false;
      while (this.#marked.length > 0 && this.#marked[this.#marked.length - 1].position < fault.next) {
        this.#marked.pop();
      }
      cursor.moveTo(fault.next, (error as MillraceError).record as number);
      this.#behindLast = fault.next;
      return true;
    }
  }

  /** Behind damage, the end of what a machine that went down left of what was not synced: no fault of its own. */
  #isTornEnd({ position }: Fault): boolean {
    const { faults, durable } = this.#report;
    return faults.length > 0 && position !== undefined && position >= durable && isCutOff(this.#channel);
  }

  #count(bytes: Buffer, start: number, end: number, type: number): void {
    const { header } = this.#channel;
    const { position, tag, timeUs } = this.#cursor;
    this.#see(bytes, start, end, type, tag, timeUs, position);
    const frame = start - header.frameHeader;
    this.#report.records++;
    if (bytes.readInt32LE(frame + L.FRAME_CRC_OFFSET) !== 0) this.#report.checked++;
    this.#compareUpTo(position);
    this.#maxTimeUs = Math.max(this.#maxTimeUs, timeUs);
    this.#behindLast = position + ((end - frame + 15) & -16);
  }

  #compareUpTo(position: number): void {
    const lost = this.#overtaken?.lostRecords ?? 0;
    const skipped = lost !== this.#lost;
    this.#lost = lost;
    while (this.#marked.length > 0 && this.#marked[this.#marked.length - 1].position <= position) {
      const mark = this.#marked.pop() as Mark;
      // What a live writer overwrote meanwhile can't be compared any more.
      if (!skipped) this.#compare(mark);
    }
    if (skipped) this.#timed = false;
  }

  /** A mark names the frame at its place, and so the next record: the one that is being looked at. */
  #compare(mark: Mark): void {
    // Behind damage, and on a ring behind what was overwritten, what a mark says is all that is known.
    const right =
      mark.position >= this.#behindLast &&
      (!this.#counted || mark.record === this.#cursor.record) &&
      (!this.#timed || mark.maxTimeUs === this.#maxTimeUs);
    if (right) return;
    this.#report.faults.push(
      this.#markFault(mark.position, 'names another record than the one that is there'),
    );
  }

  /** All marks that can be read, the last one first; what can't be read is a fault. */
  #readMarks(): Mark[] {
    const { header } = this.#channel;
    const cutOff = isCutOff(this.#channel);
    const marks: Mark[] = [];
    for (let slot = 0; slot < header.markCount; slot++) {
      const mark = this.#marks.readSlot(slot);
      if (mark !== undefined) {
        this.#report.marks++;
        // Nobody uses what lies elsewhere: marks of the lap before, or of frames that did not reach the disk.
        const used = mark.position >= this.#report.from && (!cutOff || mark.position < this.#report.durable);
        if (used) marks.push(mark);
      } else if (this.#marks.isBroken(slot)) {
        this.#report.faults.push(
          this.#markFault(
            header.basePosition + slot * header.markStride,
            `of stride ${slot} fails its checksum`,
          ),
        );
      }
    }
    // A stride in which no frame starts repeats the next one's mark.
    return marks.sort((a, b) => b.position - a.position);
  }

  #markFault(position: number, what: string): Fault {
    const { path } = this.#channel;
    return { code: 'ERR_CORRUPT', message: `A mark of ${path} ${what}`, position };
  }

  #checkEnd(): void {
    const { words, header, path } = this.#channel;
    const report = this.#report;
    const { end, faults } = report;
    const brokeOff = faults.some(({ position, next }) => position === end && next === undefined);
    const cutOff = isCutOff(this.#channel);
    const state = words[STATE];
    // That it was there at all may not have reached the disk.
    const leastState = cutOff ? L.STATE_CREATING : L.STATE_OPEN;
    if (state < leastState || state > L.STATE_ABANDONED) this.#wrong(`has no state ${state}`);
    if (cutOff) {
      if (faults.length === 0) report.cutOffAt = end;
      return;
    }
    if (header.mode === 'linear' && report.durable > Math.max(end, loadPosition(words, TAIL))) {
      this.#wrong(`was synced up to ${report.durable}, where nothing is`);
    }
    if (report.status === 'dead' && faults.length === 0 && this.#refusesSuccessors()) {
      this.#wrong('can not be gone on with: its header is damaged');
    }
    if (report.status === 'dead' || brokeOff) return;
    const final = loadPosition(words, FINAL_POSITION);
    if (end < final) faults.push(asFault(truncated(path, end, final)));
    if (end > final) this.#wrong(`was ended at position ${final}, and goes on behind it`);
    if (end !== final) return;
    const tail = loadPosition(words, TAIL);
    if (tail > final) this.#wrong(`was ended at position ${final}, and its tail is at ${tail}`);
    if (report.status === 'abandoned') {
      this.#checkAbandoned();
      return;
    }
    const ended = this.#cursor.ended;
    // Of a channel that was full to its last byte the frame that ends it may have had no room.
    const hadRoom = header.basePosition + header.capacity - end >= header.frameHeader;
    if (ended !== undefined ? ended !== report.status : header.mode === 'linear' && hadRoom) {
      this.#wrong(`is ${report.status}, and ends with ${ended === undefined ? 'nothing' : ENDS[ended]}`);
    }
  }

  #checkAbandoned(): void {
    const { words, header } = this.#channel;
    const { end, faults } = this.#report;
    if (header.mode === 'linear' && end === header.basePosition + header.capacity) return;
    if (words[wordAt(this.#channel, end)] === 0) return;
    if (plausibleLength(this.#channel, end) === 0) {
      faults.push(asFault(damaged(this.#channel, end, ', where it was abandoned')));
      return;
    }
    // Who finds the END of a writer that died finishes what that was about, and abandons nothing.
    const kind = kindAt(this.#channel, end);
    if (kind === L.KIND_END) this.#wrong('is abandoned, and ends with END');
    if (kind === L.KIND_LINK) this.#wrong('is abandoned, and ends with LINK');
  }

  #refusesSuccessors(): boolean {
    const { words } = this.#channel;
    const moving = () => [TAIL, LIMIT, DURABLE].map((word) => loadPosition(words, word)).join();
    while (isOfThisBoot(this.#channel)) {
      const before = moving();
      if (recoverable(this.#channel) !== undefined) return false;
      // Where several write by turns none of them has a lock on it: one may have moved the words between two looks.
      if (moving() === before) return true;
    }
    return false;
  }

  #wrong(what: string): void {
    const { path } = this.#channel;
    this.#report.faults.push({
      code: 'ERR_CORRUPT',
      message: `${path} ${what}`,
      position: this.#report.end,
      next: undefined,
    });
  }
}

import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { loadPosition, type Mapped, STATE, stampOf } from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot } from '../presence/index.js';
import { type InSlices, inTurns } from '../runtime/index.js';
import { examine, isCutOff } from './cut-off.js';
import { plausibleLength } from './damage.js';

const DURABLE = L.DURABLE_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;

/** Checks the frames of a stretch for whoever is about to hand them out. */
export class Checker {
  /** Whether the channel was cut off by the end of its machine, as of the last look. */
  cutOff: boolean;
  /** Bytes of the data behind which nothing is looked at, as of the last look. */
  end: number;
  readonly #channel: Mapped;
  readonly #incarnation: number;
  readonly #linear: boolean;
  /** Of a channel that was cut off: how many bytes of its data are whole. */
  readonly #whole: number;
  /** And where something is missing that was synced, if it is. */
  readonly #damagedAt: number;
  /** Bytes of the data below which every frame has its checksum, as of the last look. */
  #filled = 0;

  private constructor(channel: Mapped, whole: number, damagedAt = Number.NaN) {
    const { header } = channel;
    this.#channel = channel;
    this.#incarnation = header.incarnation;
    this.#linear = header.mode === 'linear';
    this.#whole = whole;
    this.#damagedAt = damagedAt;
    this.cutOff = isCutOff(channel);
    this.end = header.capacity;
  }

  /**
   * Of a channel that was cut off all is looked through first: where it ends, only the whole tells. What was cut off and
   * is damaged is read as far as it can be.
   */
  static *looking(channel: Mapped): InSlices<Checker> {
    const { header } = channel;
    if (!isCutOff(channel)) return new Checker(channel, header.capacity);
    try {
      const { end } = yield* examine(channel);
      return new Checker(channel, end - header.dataOffset);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'ERR_CORRUPT') throw error;
      return new Checker(channel, header.capacity, error.position);
    }
  }

  static of(channel: Mapped): Promise<Checker> {
    return inTurns(Checker.looking(channel));
  }

  /** Call before checksums are looked at: what has one from here on is known. */
  look(): void {
    if (!this.#linear) return;
    const { words, header } = this.#channel;
    const { basePosition, capacity } = header;
    const abandoned = Atomics.load(words, STATE) === L.STATE_ABANDONED;
    // Once healed, it is never cut off again as long as this process lives.
    if (this.cutOff) this.cutOff = isCutOff(this.#channel);
    if (this.cutOff) this.end = this.#whole;
    // There is no END where somebody else ended it, and what lies behind may be anything.
    else this.end = abandoned ? loadPosition(words, FINAL_POSITION) - basePosition : capacity;
    this.#filled = filledBytes(this.#channel, this.cutOff);
  }

  /** Of a channel that was cut off, where nothing is found: whether something was there once that was synced. */
  lacks(position: number): boolean {
    const { words } = this.#channel;
    return position === this.#damagedAt || position < loadPosition(words, DURABLE);
  }

  /**
   * Where the frames in bytes[start, end) end that are whole and right; `offset` is where `start` lies in the channel's
   * data.
   */
  check(bytes: Uint8Array, start: number, end: number, stamp: number, offset: number): number {
    const strictEnd = this.#filled - offset + start;
    return binding().checkFrames(bytes, start, end, stamp, this.#incarnation, strictEnd);
  }
}

/**
 * Bytes of the data below which every frame has its checksum. A writer fills in all of them before it says that it ended,
 * or how far it synced; so who saw that sees them. A ring promises none: a 0 there says that nobody got to it yet.
 */
function filledBytes(channel: Mapped, cutOff: boolean): number {
  const { words, header } = channel;
  if (!header.checksums || header.mode !== 'linear') return 0;
  const state = Atomics.load(words, STATE);
  const complete = state === L.STATE_CLOSED || state === L.STATE_SEALED || cutOff;
  // Whoever abandons fills them in as well, but the machine may go down before they are on the disk.
  const all = complete || (state === L.STATE_ABANDONED && !isOfThisBoot(channel));
  return all ? header.capacity : loadPosition(words, DURABLE) - header.basePosition;
}

/** Whether the checksum of a plausible frame holds, if it has one yet. */
export function isTrueFrame(channel: Mapped, position: number): boolean {
  const { bytes, header } = channel;
  const { dataOffset, incarnation } = header;
  const strictEnd = dataOffset + filledBytes(channel, isCutOff(channel));
  const start = dataOffset + ((position - header.basePosition) % header.capacity);
  const end = start + ((plausibleLength(channel, position) + 15) & -16);
  return binding().checkFrames(bytes, start, end, stampOf(position), incarnation, strictEnd) === end;
}

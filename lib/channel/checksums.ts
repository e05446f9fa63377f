import { binding } from '../native.js';
import { atOnce, isCutOff, syncedBehind } from './healing.js';
import * as L from './layout.js';
import { type Mapped, STATE } from './mapped.js';
import { loadPosition } from './words.js';

const DURABLE = L.DURABLE_OFFSET >> 2;

/** Checks the frames of a stretch for whoever is about to hand them out. */
export class Checker {
  readonly #channel: Mapped;
  readonly #incarnation: number;
  readonly #linear: boolean;
  /** Bytes from the base on below which every frame has its checksum. */
  #filled = 0;
  #cutOff: boolean;
  /** Where a torn end was found: that it is no damage need be found out once. */
  #tornAt = Number.NaN;

  constructor(channel: Mapped) {
    this.#channel = channel;
    this.#incarnation = channel.header.incarnation;
    this.#linear = channel.header.mode === 'linear';
    this.#cutOff = isCutOff(channel);
  }

  /**
   * Call before frames are looked at or copied: what has its checksum from here on is known. A writer fills in all of
   * them before it says that it ended, or how far it synced; so who saw that sees them. A ring promises none: a 0 there
   * says that nobody got to it yet.
   */
  look(): void {
    if (!this.#linear) return;
    // Once healed, it is never cut off again as long as this process lives.
    if (this.#cutOff) this.#cutOff = isCutOff(this.#channel);
    const state = Atomics.load(this.#channel.words, STATE);
    const ended = state === L.STATE_CLOSED || state === L.STATE_SEALED;
    // Of what was cut off, whoever heals it takes nothing without a checksum.
    this.#filled = ended || this.#cutOff ? this.#channel.header.capacity : this.#synced();
  }

  /**
   * Whether what can't be read at `position`, since the last `look`, is no damage but what the end of the machine left of
   * what was not synced. Whoever heals the channel goes on there.
   */
  isTorn(position: number): boolean {
    if (!this.#cutOff) return false;
    if (position === this.#tornAt) return true;
    const { basePosition, dataOffset } = this.#channel.header;
    const offset = position - basePosition;
    if (offset < this.#synced() || atOnce(syncedBehind(this.#channel, dataOffset + offset)) !== undefined)
      return false;
    this.#tornAt = position;
    return true;
  }

  /** Bytes from the base on that a sync brought to the disk. */
  #synced(): number {
    return loadPosition(this.#channel.words, DURABLE) - this.#channel.header.basePosition;
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

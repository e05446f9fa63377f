import { MillraceError } from '../../errors.js';
import { fence, loadPosition, type Mapped, type Place } from '../file/index.js';
import * as L from '../layout.js';
import { isEvicted, noteLoss } from '../presence/index.js';
import type { Teller } from '../runtime/index.js';
import type { Cursor } from './cursor.js';

const LIMIT = L.LIMIT_OFFSET >> 2;

/** Says whether what was just copied may have been overwritten meanwhile. */
export interface Guard {
  /**
   * Call after the copy. False: every byte read from the cursor's position on was what the writer had committed.
   * True: the cursor was moved on to a place that still stands. Throws what the reader must know.
   */
  lost(cursor: Cursor): boolean;
}

/** For readers that hold nobody back: overtaken once limit is further on than the capacity. */
export class OvertakenGuard implements Guard {
  /** Records lost so far. */
  lostRecords = 0;
  readonly #channel: Mapped;
  readonly #oldest: () => Place;
  readonly #onLost: 'throw' | 'skip';
  /** The slot this reader is seen in, if any. */
  readonly #slot: number | undefined;
  readonly #teller: Teller | undefined;

  constructor(
    channel: Mapped,
    slot: number | undefined,
    onLost: 'throw' | 'skip',
    oldest: () => Place,
    teller?: Teller,
  ) {
    this.#channel = channel;
    this.#slot = slot;
    this.#onLost = onLost;
    this.#oldest = oldest;
    this.#teller = teller;
  }

  lost(cursor: Cursor): boolean {
    fence();
    const { words, header, path } = this.#channel;
    const from = cursor.position;
    // Compared whole, not by low words: a reader that was stopped for long could be 64 GiB behind to the byte.
    if (loadPosition(words, LIMIT) - from <= header.capacity) return false;
    const fromRecord = cursor.record;
    const to = this.#oldest();
    cursor.moveTo(to.position, to.record);
    const lost = Math.max(0, to.record - fromRecord);
    this.lostRecords += lost;
    if (this.#slot !== undefined) noteLoss(this.#channel, this.#slot, to.position - from);
    const facts = { path, lost, from, to: to.position };
    const message = `The writer of ${path} overtook this reader: ${lost} records are lost; it goes on at the oldest there is`;
    this.#teller?.tellSoon('overtaken', message, facts);
    if (this.#onLost === 'skip') return true;
    throw new MillraceError('ERR_OVERTAKEN', message, facts);
  }
}

/** For readers that hold the writer back, but not for ever: evicted once their slot says so. */
export class EvictedGuard implements Guard {
  readonly #channel: Mapped;
  readonly #slot: number;
  readonly #oldest: () => Place;
  readonly #teller: Teller;
  /** Each read throws until it joins again, but it is told of once. */
  #toldAt: number | undefined;

  constructor(channel: Mapped, slot: number, oldest: () => Place, teller: Teller) {
    this.#channel = channel;
    this.#slot = slot;
    this.#oldest = oldest;
    this.#teller = teller;
  }

  lost(cursor: Cursor): boolean {
    fence();
    if (!isEvicted(this.#channel, this.#slot)) return false;
    const { path } = this.#channel;
    const from = cursor.position;
    const facts = { path, from, to: this.#oldest().position };
    const message =
      `This reader of ${path} stood still for too long while it held the writer back, and was evicted. ` +
      "Go on with seek('oldest'), or read sooner, or open with gate: true";
    if (this.#toldAt !== from) this.#teller.tellSoon('evicted', message, facts);
    this.#toldAt = from;
    throw new MillraceError('ERR_EVICTED', message, facts);
  }
}

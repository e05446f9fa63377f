import { binding } from '../../native.js';
import { highOf, type Mapped, Marker, releaseSplit } from '../file/index.js';
import * as L from '../layout.js';
import type { Start } from '../recovery/index.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
/** The tail is published at least each so many bytes: a reader that catches up need not look at each frame below it. */
const PUBLISH_EVERY = 4096;
/** Behind every byte of a mapping. */
const NEVER = 0x7fffffff;

/**
 * Tells the others how far the stream has come: tail, record count and marks. All of them name committed frames only:
 * it is called after a commit, never inside a batch. Like the appender it works with 32-bit integers.
 */
export class Publisher {
  /** As of the last publication: byte of the mapping, stamp and high part of position / 16. The appender runs ahead. */
  at: number;
  stamp = 0;
  high = 0;
  /** Begins as a number so that V8 keeps it unboxed: a field that was ever undefined takes an allocation per store. */
  records = 0;
  /**
   * The largest timestamp that its writer gave a record, in its one element: there a number past 2^31 is no allocation.
   * Raised before the record is published.
   */
  readonly latestUs = new Float64Array(1);
  readonly #channel: Mapped;
  readonly #words: Int32Array;
  #marker: Marker;
  readonly #sumsHere: boolean;
  #notifyAt = NEVER;
  #notified: () => void = () => {};

  constructor(channel: Mapped, start: Start, at: number, laps: number) {
    const { header } = channel;
    this.#channel = channel;
    this.#words = channel.words;
    // What a ring overwrites can't wait for a flusher.
    this.#sumsHere = header.checksums && header.mode === 'ring';
    this.at = at;
    this.#marker = this.#standAt(start, laps);
  }

  #standAt(start: Start, laps: number): Marker {
    const { header } = this.#channel;
    const units = start.position / 16;
    this.stamp = units | 0;
    this.high = highOf(units);
    this.records = start.record;
    const firstStrideOfLap = laps * header.markCount;
    const unmarkedAt = header.dataOffset + (start.unmarked - firstStrideOfLap) * header.markStride;
    return new Marker(this.#channel, unmarkedAt, start.maxTimeUs);
  }

  /** Goes on behind what somebody else published; on a linear channel. */
  goOn(start: Start, at: number): void {
    this.at = at;
    this.#marker = this.#standAt(start, 0);
  }

  /** The byte of the mapping at which the frame goes that a mark or the tail is waiting for. */
  get due(): number {
    return Math.min(this.#marker.nextAt, this.at + PUBLISH_EVERY);
  }

  /** From this byte of the mapping on each publication calls `notified`, which asks for the next place. For a linear channel. */
  notify(at: number, notified: () => void): void {
    this.#notifyAt = Math.min(at, NEVER);
    this.#notified = notified;
  }

  /** Stores nothing where there is nothing new: of those who append by turns, one at a time knows where the end is. */
  publish(at: number, stamp: number, unpublished: number): void {
    if (at === this.at && unpublished === 0) return;
    const words = this.#words;
    if (at > this.#marker.nextAt) this.#marker.walk(this.at, at, this.high, this.stamp, this.records);
    this.#marker.pass(this.latestUs[0]);
    this.sumUpTo(at);
    if (stamp >>> 0 < this.stamp >>> 0) this.high++;
    this.at = at;
    this.stamp = stamp;
    this.records += unpublished;
    // step 3
    releaseSplit(words, RECORD_COUNT, (this.records / 4294967296) | 0, this.records | 0);
    // step 61
    releaseSplit(words, TAIL, this.high, stamp);
    // step 4
    if (at >= this.#notifyAt) this.#notified();
  }

  /** On a ring: fills in the checksums of what was committed since the last publication. */
  sumUpTo(at: number): void {
    const { file, header } = this.#channel;
    if (this.#sumsHere && at > this.at)
      binding().sumFrames(file, this.at, at, this.stamp, header.incarnation);
  }

  /** Goes over from the end of a ring's data to its start. */
  wrap(start: number): void {
    this.at = this.#marker.nextAt = start;
  }
}

import { binding } from '../../native.js';
import * as L from '../layout.js';
import type { Header } from './header.js';
import { highOf, join } from './words.js';

/** Where a frame starts. */
export interface Place {
  position: number;
  /** The number of the first record at or behind the position. */
  record: number;
}

/** The first frame that starts in a stride: a channel is its own index. */
export interface Mark extends Place {
  /** The largest timestamp of all records before it, 0 where there are none. */
  maxTimeUs: number;
}

const SEQUENCE = L.MARK_SEQUENCE_OFFSET >> 2;
const POSITION = L.MARK_POSITION_OFFSET >> 2;
const RECORD = L.MARK_RECORD_OFFSET >> 2;
const TIME = L.MARK_TIME_OFFSET >> 2;
const CRC = L.MARK_CRC_OFFSET >> 2;
const SUMMED_WORDS = CRC - POSITION;

/**
 * The marks of a channel. A mark is a sequence lock: its sequence is odd while the rest changes, and all its
 * stores and loads are atomic, so that nobody joins the position of one lap with the record number of another.
 * A ring uses a slot again each lap. A mark whose checksum fails is as if it weren't there. A mark may only be
 * used where it lies below the tail: everything below the tail is committed.
 */
export class Marks {
  readonly stride: number;
  readonly #words: Int32Array;
  readonly #first: number;
  readonly #header: Header;
  readonly #scratch = new Int32Array(SUMMED_WORDS + 1);
  readonly #scratchBytes = new Uint8Array(this.#scratch.buffer);

  constructor(words: Int32Array, header: Header) {
    this.#words = words;
    this.#header = header;
    this.#first = header.marksOffset >> 2;
    this.stride = header.markStride;
  }

  /**
   * The number of the stride that a position lies in, counted from the channel's base; the last stride of a lap
   * may be shorter than the others.
   */
  strideOf(position: number): number {
    const { basePosition, capacity, markCount } = this.#header;
    const from = position - basePosition;
    const lap = Math.floor(from / capacity);
    return lap * markCount + Math.floor((from - lap * capacity) / this.stride);
  }

  /** Takes all of them away, so that none stands for a frame that is no more. */
  clear(): void {
    const { markCount } = this.#header;
    for (let at = this.#first; at < this.#first + markCount * (L.MARK_BYTES >> 2); at += L.MARK_BYTES >> 2) {
      Atomics.store(this.#words, at + SEQUENCE, 0);
    }
  }

  write(slot: number, position: number, record: number, maxTimeUs: number): void {
    const words = this.#words;
    const at = this.#first + slot * (L.MARK_BYTES >> 2);
    const units = position / 16;
    const before = words[at + SEQUENCE];
    Atomics.store(words, at + SEQUENCE, before | 1);
    // step 64
    Atomics.store(words, at + POSITION, units | 0);
    Atomics.store(words, at + POSITION + 1, highOf(units));
    Atomics.store(words, at + RECORD, record | 0);
    Atomics.store(words, at + RECORD + 1, highOf(record));
    Atomics.store(words, at + TIME, maxTimeUs | 0);
    Atomics.store(words, at + TIME + 1, highOf(maxTimeUs));
    // step 65
    for (let word = 0; word < SUMMED_WORDS; word++) this.#scratch[word] = words[at + POSITION + word];
    Atomics.store(words, at + CRC, this.#sum());
    // step 66
    Atomics.store(words, at + SEQUENCE, ((before | 1) + 1) | 0);
  }

  /** The mark of a stride, if it is whole and is that stride's; a mark of another lap is not. */
  read(stride: number): Mark | undefined {
    if (stride < 0) return undefined;
    const mark = this.readSlot(stride % this.#header.markCount);
    if (mark === undefined) return undefined;
    // A stride in which no frame starts repeats the mark of the next frame, so it may lie further on.
    const behind = this.strideOf(mark.position) - stride;
    return behind >= 0 && behind < this.#header.markCount ? mark : undefined;
  }

  readSlot(slot: number): Mark | undefined {
    const words = this.#words;
    const at = this.#first + slot * (L.MARK_BYTES >> 2);
    const sequence = Atomics.load(words, at + SEQUENCE);
    if ((sequence & 1) === 1 || sequence === 0) return undefined;
    for (let word = 0; word < SUMMED_WORDS; word++) {
      this.#scratch[word] = Atomics.load(words, at + POSITION + word);
    }
    const crc = Atomics.load(words, at + CRC);
    if (Atomics.load(words, at + SEQUENCE) !== sequence || crc !== this.#sum()) return undefined;
    const scratch = this.#scratch;
    return {
      position: join(scratch[1], scratch[0]) * 16,
      record: join(scratch[RECORD - POSITION + 1], scratch[RECORD - POSITION]),
      maxTimeUs: join(scratch[TIME - POSITION + 1], scratch[TIME - POSITION]),
    };
  }

  /** Whether a mark stands here that was written to its end, and is not as it was written. */
  isBroken(slot: number): boolean {
    const sequence = Atomics.load(this.#words, this.#first + slot * (L.MARK_BYTES >> 2) + SEQUENCE);
    return sequence !== 0 && (sequence & 1) === 0 && this.readSlot(slot) === undefined;
  }

  #sum(): number {
    this.#scratch[SUMMED_WORDS] = this.#header.incarnation;
    return binding().crc32c(this.#scratchBytes, 0, this.#scratchBytes.length, 0);
  }

  // There are only so many slots, and a stride's number comes from words that may be damaged: every search looks at
  // each slot once at most.

  /** The mark with the greatest position at or below `position`, not below `least`. */
  newestAtOrBelow(position: number, least: number): Mark | undefined {
    const highest = this.strideOf(position);
    const strides = Math.min(this.#header.markCount, highest - Math.max(0, this.strideOf(least)));
    for (let back = 0; back <= strides; back++) {
      const mark = this.read(highest - back);
      if (mark !== undefined && mark.position <= position && mark.position >= least) return mark;
    }
    return undefined;
  }

  /** The mark with the least position at or above `position`, below `end`. */
  oldestAtOrAbove(position: number, end: number): Mark | undefined {
    const lowest = Math.max(0, this.strideOf(position));
    const strides = Math.min(this.#header.markCount, this.strideOf(end) - lowest);
    for (let on = 0; on <= strides; on++) {
      const mark = this.read(lowest + on);
      if (mark !== undefined && mark.position >= position && mark.position < end) return mark;
    }
    return undefined;
  }

  /**
   * The last mark in [least, end) for which `before` holds, where `before` holds up to some mark and for none
   * behind it. Binary search; a mark that can't be read sends the search downwards, which only lengthens the
   * scan that follows.
   */
  lastWhere(least: number, end: number, before: (mark: Mark) => boolean): Mark | undefined {
    const lowest = Math.max(0, this.strideOf(least));
    let low = 0;
    let high = Math.min(this.#header.markCount, this.strideOf(end) - lowest);
    let found: Mark | undefined;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const nearest = this.#nearestReadable(lowest, middle, low, least, end);
      if (nearest === undefined) {
        // Nothing readable in [low, middle] lies within bounds: what is left is above.
        low = middle + 1;
      } else if (before(nearest.mark)) {
        found = nearest.mark;
        low = middle + 1;
      } else {
        high = nearest.on - 1;
      }
    }
    return found;
  }

  #nearestReadable(lowest: number, from: number, low: number, least: number, end: number) {
    for (let on = from; on >= low; on--) {
      const mark = this.read(lowest + on);
      if (mark !== undefined && mark.position >= least && mark.position < end) return { on, mark };
    }
    return undefined;
  }
}

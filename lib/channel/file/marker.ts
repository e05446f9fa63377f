import * as L from '../layout.js';
import type { Mapped } from './mapped.js';
import { Marks } from './marks.js';
import { join, readFrozen } from './words.js';

/** Sets a writer's marks: walks over frames that were just committed and marks the first one in each stride. */
export class Marker {
  /** The first byte of the mapping whose frame needs a mark, in this lap. */
  nextAt: number;
  readonly #words: Int32Array;
  readonly #marks: Marks;
  readonly #dataStart: number;
  readonly #dataEnd: number;
  readonly #timed: boolean;
  /** The largest timestamp of all records so far. */
  #maxTimeUs: number;

  constructor(channel: Mapped, nextAt: number, maxTimeUs: number) {
    const { header } = channel;
    this.#words = channel.words;
    this.#marks = new Marks(channel.words, header);
    this.#dataStart = header.dataOffset;
    this.#dataEnd = header.dataOffset + header.capacity;
    this.#timed = header.frameHeader === L.FRAME_HEADER_EXTENDED;
    this.nextAt = nextAt;
    this.#maxTimeUs = maxTimeUs;
  }

  /** Frames that need no mark need no walk: it is enough to know that none of them is of a later time than this. */
  pass(maxTimeUs: number): void {
    if (maxTimeUs > this.#maxTimeUs) this.#maxTimeUs = maxTimeUs;
  }

  /** The first slot of this lap that has no mark of it yet. */
  get nextSlot(): number {
    return Math.ceil((this.nextAt - this.#dataStart) / this.#marks.stride);
  }

  /** Walks [from, end) of the mapping; the first frame's position / 16 is given in two halves. Returns how many records. */
  walk(from: number, end: number, highAtFrom: number, stampAtFrom: number, recordAtFrom: number): number {
    const words = this.#words;
    // Small, unlike the number itself: counting on a number past 2^31 would be an allocation each time.
    let records = 0;
    let stamp = stampAtFrom;
    let high = highAtFrom;
    for (let at = from; at < end; ) {
      while (at >= this.nextAt) this.#mark(join(high, stamp) * 16, recordAtFrom + records);
      const word = at >> 2;
      const need = (words[word] + 15) & -16;
      // Not as this writer stored it: somebody else wrote to the file. Marks can be done without.
      if (need <= 0) return records;
      if ((words[word + 1] & 0xff) === L.KIND_DATA) {
        records++;
        if (this.#timed) this.#maxTimeUs = Math.max(this.#maxTimeUs, readFrozen(words, word + 4));
      }
      at += need;
      const before = stamp;
      stamp = (stamp + (need >> 4)) | 0;
      if (before < 0 && stamp >= 0) high++;
    }
    return records;
  }

  #mark(position: number, record: number): void {
    const stride = this.#marks.stride;
    const slot = Math.floor((this.nextAt - this.#dataStart) / stride);
    this.#marks.write(slot, position, record, this.#maxTimeUs);
    this.nextAt = Math.min(this.#dataStart + (slot + 1) * stride, this.#dataEnd);
  }
}

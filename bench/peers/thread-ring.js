/**
 * What a careful user builds by hand between two threads: a single-producer, single-consumer ring in a
 * SharedArrayBuffer that frames as Millrace does: length, type, payload, and the next frame at a multiple of 16
 * bytes. Two published counters of words, each on lines of its own; each end keeps a copy of the other's and looks
 * again only when the copy says full or empty. SKIP says that the rest of the ring is unused.
 */
const HEAD = 0; // words written so far (mod 2^32); the producer's
const TAIL = 32; // words read so far; the consumer's
const CONTROL_WORDS = 64;
const RING_WORDS = (8 << 20) / 4;
const MASK = RING_WORDS - 1;
const HEADER_WORDS = 2;
const ALIGNMENT_WORDS = 4;
const SKIP = -1;
/** Up to this many words a loop beats TypedArray.prototype.set while the other end reads. */
const LOOPED_WORDS = 16;

export const RING_BYTES = (CONTROL_WORDS + RING_WORDS) * 4;

function aligned(words) {
  return (words + ALIGNMENT_WORDS - 1) & -ALIGNMENT_WORDS;
}

class End {
  constructor(memory) {
    this.control = new Int32Array(memory, 0, CONTROL_WORDS);
    this.ring = new Int32Array(memory, CONTROL_WORDS * 4, RING_WORDS);
  }
}

export class Producer extends End {
  #head = 0;
  #seenTail = 0;

  /** Writes the words of `source` as one record; false where there is no room. */
  write(source, type) {
    const needed = aligned(HEADER_WORDS + source.length);
    let head = this.#head;
    const left = RING_WORDS - (head & MASK);
    const skipped = needed > left ? left : 0;
    if (((head + skipped + needed - this.#seenTail) | 0) > RING_WORDS) {
      this.#seenTail = Atomics.load(this.control, TAIL);
      if (((head + skipped + needed - this.#seenTail) | 0) > RING_WORDS) return false;
    }
    const ring = this.ring;
    if (skipped > 0) {
      ring[head & MASK] = SKIP;
      head = (head + skipped) | 0;
    }
    const at = head & MASK;
    ring[at] = source.length << 2;
    ring[at + 1] = type;
    if (source.length <= LOOPED_WORDS) {
      for (let i = 0; i < source.length; i++) ring[at + HEADER_WORDS + i] = source[i];
    } else {
      ring.set(source, at + HEADER_WORDS);
    }
    this.#head = (head + needed) | 0;
    Atomics.store(this.control, HEAD, this.#head);
    return true;
  }
}

export class Consumer extends End {
  #tail = 0;
  #seenHead = 0;

  /** Hands every record there is, `most` at the utmost, to handle(ring, firstWord, words, type); returns how many. */
  take(handle, most) {
    if (this.#tail === this.#seenHead) {
      this.#seenHead = Atomics.load(this.control, HEAD);
      if (this.#tail === this.#seenHead) return 0;
    }
    const ring = this.ring;
    let tail = this.#tail;
    let records = 0;
    while (records < most && tail !== this.#seenHead) {
      const at = tail & MASK;
      const length = ring[at];
      if (length === SKIP) {
        tail = (tail + RING_WORDS - at) | 0;
        continue;
      }
      const words = length >> 2;
      handle(ring, at + HEADER_WORDS, words, ring[at + 1]);
      tail = (tail + aligned(HEADER_WORDS + words)) | 0;
      records++;
    }
    this.#tail = tail;
    Atomics.store(this.control, TAIL, tail);
    return records;
  }
}

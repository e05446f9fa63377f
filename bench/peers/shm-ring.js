import { createRequire } from 'node:module';

/**
 * What a careful user builds by hand today: a single-producer, single-consumer ring over a segment of `shm-typed-array`.
 * Two published counters of words, each on lines of its own; each end keeps a copy of the other's and looks again
 * only when the copy says full or empty. A record is one word with its length in bytes, then its bytes, in whole words;
 * SKIP says that the rest of the ring is unused. Nothing else: no late readers, no recovery, no checks.
 */
const HEAD = 0; // words written so far (mod 2^32); the producer's
const TAIL = 32; // words read so far; the consumer's
const CONTROL_WORDS = 64;
const RING_WORDS = (8 << 20) / 4;
const MASK = RING_WORDS - 1;
const SKIP = -1;
/** Up to this many words a loop beats TypedArray.prototype.set while the other end reads. */
const LOOPED_WORDS = 16;

const shm = createRequire(import.meta.url)('shm-typed-array');

/** The System V segment of that key; whichever process comes first makes it, the last one to exit removes it. */
export function attach(key) {
  const words = shm.get(key, 'Int32Array') ?? shm.create(CONTROL_WORDS + RING_WORDS, 'Int32Array', key);
  if (words === null) throw new Error(`no shared memory segment ${key}`);
  return words;
}

export class Producer {
  #control;
  #ring;
  #head;
  #seenTail;

  constructor(words) {
    this.#control = words.subarray(0, CONTROL_WORDS);
    this.#ring = words.subarray(CONTROL_WORDS);
    this.#head = Atomics.load(this.#control, HEAD);
    this.#seenTail = Atomics.load(this.#control, TAIL);
  }

  /** Puts `bytes` bytes, the words of `source`, in as one record; the reader sees it after `publish`. False: no room. */
  put(source, bytes) {
    const needed = source.length + 1;
    let head = this.#head;
    const left = RING_WORDS - (head & MASK);
    const skipped = needed > left ? left : 0;
    if (((head + skipped + needed - this.#seenTail) | 0) > RING_WORDS) {
      this.#seenTail = Atomics.load(this.#control, TAIL);
      if (((head + skipped + needed - this.#seenTail) | 0) > RING_WORDS) return false;
    }
    const ring = this.#ring;
    if (skipped > 0) {
      ring[head & MASK] = SKIP;
      head = (head + skipped) | 0;
    }
    const at = head & MASK;
    ring[at] = bytes;
    if (source.length <= LOOPED_WORDS) {
      for (let i = 0; i < source.length; i++) ring[at + 1 + i] = source[i];
    } else {
      ring.set(source, at + 1);
    }
    this.#head = (head + needed) | 0;
    return true;
  }

  publish() {
    Atomics.store(this.#control, HEAD, this.#head);
  }
}

export class Consumer {
  #control;
  #ring;
  #tail;
  #seenHead;

  constructor(words) {
    this.#control = words.subarray(0, CONTROL_WORDS);
    this.#ring = words.subarray(CONTROL_WORDS);
    this.#tail = Atomics.load(this.#control, TAIL);
    this.#seenHead = this.#tail;
  }

  /** Hands every record there is, `most` at the utmost, to handle(ring, firstWord, bytes); returns how many. */
  take(handle, most) {
    if (this.#tail === this.#seenHead) {
      this.#seenHead = Atomics.load(this.#control, HEAD);
      if (this.#tail === this.#seenHead) return 0;
    }
    const ring = this.#ring;
    let tail = this.#tail;
    let records = 0;
    while (records < most && tail !== this.#seenHead) {
      const at = tail & MASK;
      const length = ring[at];
      if (length === SKIP) {
        tail = (tail + RING_WORDS - at) | 0;
        continue;
      }
      handle(ring, at + 1, length);
      tail = (tail + 1 + ((length + 3) >> 2)) | 0;
      records++;
    }
    this.#tail = tail;
    Atomics.store(this.#control, TAIL, tail);
    return records;
  }
}

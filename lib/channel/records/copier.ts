import { markAsUntransferable } from 'node:worker_threads';

/** Small copies are cut from slabs: who keeps one keeps its slab, so that is no larger. */
const SLAB_BYTES = 16384;
const LARGEST_IN_SLAB = 1024;

type MakeView = new (memory: ArrayBufferLike, at: number, length: number) => Buffer;
/** What Node itself makes buffers with; `Buffer.from` does that too, by a long way round. */
const View = (Buffer as unknown as Record<symbol, MakeView>)[Symbol.species];

/** Makes copies, to keep, of bytes that are lent. */
export class Copier {
  #slab = new ArrayBuffer(0);
  #slabWords = new Int32Array(0);
  #used = 0;
  /** What was copied from last, and the same as words. */
  #source: Buffer = Buffer.alloc(0);
  #words: Int32Array = new Int32Array(0);

  copy(bytes: Buffer, start: number, end: number): Buffer {
    const length = end - start;
    if (length > LARGEST_IN_SLAB) {
      const own = Buffer.allocUnsafeSlow(length);
      bytes.copy(own, 0, start, end);
      return own;
    }
    if (length === 0) return Buffer.alloc(0);
    if (bytes !== this.#source) this.#lookAt(bytes);
    // Whole multiples of 8 bytes: whoever looks at what it holds as numbers can.
    const room = ((length + 7) >> 3) << 1;
    if (this.#used + room > this.#slabWords.length) this.#takeSlab();
    const at = this.#used;
    this.#used = at + room;
    const until = (end + 3) >> 2;
    if ((start & 3) === 0 && until <= this.#words.length) this.#copyWords(start >> 2, until, at);
    else new View(this.#slab, at << 2, length).set(bytes.subarray(start, end));
    return new View(this.#slab, at << 2, length);
  }

  #copyWords(from: number, until: number, to: number): void {
    const source = this.#words;
    const target = this.#slabWords;
    for (; from < until; from++, to++) target[to] = source[from];
  }

  #lookAt(bytes: Buffer): void {
    this.#source = bytes;
    const aligned = (bytes.byteOffset & 3) === 0;
    this.#words = aligned
      ? new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2)
      : new Int32Array(0);
  }

  #takeSlab(): void {
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES).buffer;
    // Whoever sent one copy away would take the others along.
    markAsUntransferable(this.#slab);
    this.#slabWords = new Int32Array(this.#slab);
    this.#used = 0;
  }
}

/** A part of what was copied; `subarray` makes the same more slowly. */
export function partOf(copy: Buffer, from: number, to: number): Buffer {
  return new View(copy.buffer, copy.byteOffset + from, to - from);
}

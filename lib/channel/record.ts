import { markAsUntransferable } from 'node:worker_threads';
import type { Codec } from './codecs.js';
import type { Cursor } from './cursor.js';
import * as L from './layout.js';

/** A record copied out of its channel. */
export interface ReaderRecord<Out = Buffer> {
  /** The payload; a copy, to keep. */
  data: Buffer;
  /** What the reader's codec made of it; without a codec, `data` itself. */
  value: Out;
  type: number;
  position: number;
  /** Its number in the stream, from 0 on. */
  record: number;
  /** Microseconds since 1970; only where the channel has timestamps. */
  timestamp?: number;
  tag?: number;
}

/** Small records are cut from slabs: who keeps one keeps its slab, so that is no larger. */
const SLAB_BYTES = 16384;
const LARGEST_IN_SLAB = 1024;

type MakeView = new (memory: ArrayBuffer, at: number, length: number) => Buffer;
/** What Node itself makes buffers with; `Buffer.from` does that too, by a long way round. */
const View = (Buffer as unknown as Record<symbol, MakeView>)[Symbol.species];

/** Makes records of what a cursor stands at. */
export class RecordMaker<Out> {
  readonly #cursor: Cursor;
  readonly #timed: boolean;
  readonly #codec: Codec<never, Out> | undefined;
  #slab = new ArrayBuffer(0);
  #slabWords = new Int32Array(0);
  #used = 0;

  constructor(cursor: Cursor, frameHeader: number, codec: Codec<never, Out> | undefined) {
    this.#cursor = cursor;
    this.#timed = frameHeader === L.FRAME_HEADER_EXTENDED;
    this.#codec = codec;
  }

  make(bytes: Buffer, start: number, end: number, type: number): ReaderRecord<Out> {
    const data = this.#copy(bytes, start, end);
    const value = (this.#codec === undefined ? data : this.#codec.decode(data)) as Out;
    const { position, record } = this.#cursor;
    if (!this.#timed) return { data, value, type, position, record };
    const { timeUs, tag } = this.#cursor;
    return { data, value, type, position, record, timestamp: timeUs, tag };
  }

  #copy(bytes: Buffer, start: number, end: number): Buffer {
    const length = end - start;
    if (length > LARGEST_IN_SLAB) {
      const own = Buffer.allocUnsafeSlow(length);
      bytes.copy(own, 0, start, end);
      return own;
    }
    if (length === 0) return Buffer.alloc(0);
    // Whole multiples of 8 bytes: whoever looks at what it holds as numbers can.
    const words = ((length + 7) >> 3) << 1;
    if (this.#used + words > this.#slabWords.length) this.#takeSlab();
    const at = this.#used;
    this.#used = at + words;
    this.#cursor.copyOut(this.#slabWords, at, start, end);
    return new View(this.#slab, at << 2, length);
  }

  #takeSlab(): void {
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES).buffer;
    // Whoever sent one record away would take the others along.
    markAsUntransferable(this.#slab);
    this.#slabWords = new Int32Array(this.#slab);
    this.#used = 0;
  }
}

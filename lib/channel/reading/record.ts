import * as L from '../layout.js';
import { Copier, type Decoder } from '../records/index.js';
import type { Cursor } from './cursor.js';

/** A record copied out of its channel. */
export interface ReaderRecord<Out = Buffer> {
  /** The payload; a copy, to keep. */
  data: Buffer;
  /** What the reader's codec made of it; without a codec, `data` itself. */
  value: Out;
  /** 0 to 65535, as it was given. */
  type: number;
  /** Where it is in the stream. */
  position: number;
  /** Its number in the stream, from 0 on. */
  record: number;
  /** Microseconds since 1970; only where the channel has timestamps. */
  timestamp?: number;
  /** As it was given; only where the channel has timestamps. */
  tag?: number;
}

/** Makes records of what a cursor stands at. */
export class RecordMaker<Out> {
  readonly #cursor: Cursor;
  readonly #timed: boolean;
  readonly #codec: Decoder<Out> | undefined;
  readonly #copier = new Copier();

  constructor(cursor: Cursor, frameHeader: number, codec: Decoder<Out> | undefined) {
    this.#cursor = cursor;
    this.#timed = frameHeader === L.FRAME_HEADER_EXTENDED;
    this.#codec = codec;
  }

  make(bytes: Buffer, start: number, end: number, type: number): ReaderRecord<Out> {
    const data = this.#copier.copy(bytes, start, end);
    const value = (this.#codec === undefined ? data : this.#codec.decode(data)) as Out;
    const { position, record } = this.#cursor;
    if (!this.#timed) return { data, value, type, position, record };
    const { timeUs, tag } = this.#cursor;
    return { data, value, type, position, record, timestamp: timeUs, tag };
  }
}

import { MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';
import {
  decodeStatic,
  type Header,
  incarnationOf,
  LARGEST_PART,
  loadPosition,
  MAX_FILE_BYTES,
  planFile,
  readFrozen,
  readLink,
  STATE,
  stampOf,
  statOf,
} from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot } from '../presence/index.js';
import { explain, type InSlices, inTurns, SLICE_BYTES } from '../runtime/index.js';
import { throwIfAborted } from '../waiting/index.js';
import { type SeeRecord, verifyRecords } from './verify.js';

const HEADER = L.FRAME_HEADER_EXTENDED;
const TAIL = L.TAIL_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
/** How far a frame is looked for that says what a damaged header would have said, and how much is summed for that. */
const TRIED_BYTES = 2 ** 16;
const TRIED_SUMS = 2 ** 28;
const NOT_WHOLE = 0;
const ZEROS = Buffer.alloc(2 ** 16);

/** Where the frames lie, and what their checksums begin with. */
interface Geometry {
  dataOffset: number;
  /** Of the file, as far as frames may lie there. */
  end: number;
  /** How long the part for frames was made, or at most. */
  capacity: number;
  incarnation: number;
}

interface Walked {
  end: number;
  /** Whether the end that was stored behind them is whole; and where that says that it goes on, if nothing lies between. */
  isEnd: boolean;
  goesOnAt?: number;
  provesSync: boolean;
}

/** What is known of the end of what was handed out. */
export interface Salvaged {
  /** Behind the last frame that is whole, and behind the last that may have been there. */
  end: number;
  mostEnd: number;
  /** Whether what is missing of the file is room in which nothing had been written yet. */
  lacksRoomOnly: boolean;
  /** The record with which the stream goes on behind its end, where that was stored whole right behind the last of them. */
  goesOnAt: number | undefined;
  /** Whether one of them tells of a sync: then its header was on the disk. */
  provesSync: boolean;
}

/**
 * What is whole in a segment that is damaged: each frame by itself, wherever it lies, by its stamp and checksum. Needs no
 * word of the header but the incarnation; and that can be told by two frames.
 */
export class Salvage {
  readonly path: string;
  /** What the header says; undefined where it is damaged. */
  readonly header: Header | undefined;
  /** Whether it says that it was written since this start of the machine. */
  readonly isOfThisBoot: boolean;
  readonly #file: FileHandle;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #geometry: Geometry;
  /** Below it every frame has a checksum. */
  readonly #summed: number;
  /** Positions of frames without a checksum that are whole nevertheless; undefined where nobody can tell. */
  #believed: Set<number> | undefined;
  #hasLooked = false;

  private constructor(
    path: string,
    file: FileHandle,
    bytes: Buffer,
    header: Header | undefined,
    geometry: Geometry,
  ) {
    this.path = path;
    this.header = header;
    this.isOfThisBoot = isOfThisBoot({ bytes });
    this.#file = file;
    this.#bytes = bytes;
    this.#words = wordsOf(bytes);
    this.#geometry = geometry;
    this.#summed = this.#summedUpTo();
  }

  /** Undefined where nothing is there that could be read. The file is not to be changed meanwhile. */
  static open(path: string): Salvage | undefined {
    if (statOf(path) === undefined) return undefined;
    let file: FileHandle | undefined;
    try {
      file = binding().openFile(path, false);
      const stat = binding().statFile(file);
      const isMappable = stat.regular && stat.bytes > L.DATA_ALIGN && stat.bytes <= MAX_FILE_BYTES;
      const bytes = isMappable ? Buffer.from(binding().mapFile(file)) : undefined;
      const header = bytes && staticOf(bytes, path);
      const geometry = bytes && (header === undefined ? guess(bytes) : geometryOf(bytes, header));
      if (bytes !== undefined && geometry !== undefined)
        return new Salvage(path, file, bytes, header, geometry);
      binding().closeFile(file);
      return undefined;
    } catch (error) {
      if (file !== undefined) binding().closeFile(file);
      throw explain(error, path, 'open');
    }
  }

  /** What had no checksum yet when the machine went down may be torn. */
  #summedUpTo(): number {
    const { dataOffset, end } = this.#geometry;
    if (this.#isEnded || !this.isOfThisBoot) return end;
    return dataOffset + loadPosition(this.#words, DURABLE);
  }

  get #isEnded(): boolean {
    const state = this.#words[STATE];
    return state === L.STATE_CLOSED || state === L.STATE_SEALED;
  }

  /** Bytes of frames that are there, or could be. */
  get length(): number {
    return this.#geometry.end - this.#geometry.dataOffset;
  }

  /** Hands out all records that are whole, the same each time, up to the end that was stored behind them if that is whole. */
  async each(see: SeeRecord, signal?: AbortSignal): Promise<Salvaged> {
    if (!this.#hasLooked) this.#believed = await this.#believe(signal);
    this.#hasLooked = true;
    const { end, isEnd, goesOnAt, provesSync } = await inTurns(this.#walk(see, signal));
    const mostEnd = isEnd ? end : await inTurns(this.#mostEnd(end));
    const isOpen = this.#words[STATE] === L.STATE_OPEN;
    const lacksRoomOnly = this.#isShort && isOpen && end === mostEnd;
    return { end, mostEnd, lacksRoomOnly, goesOnAt, provesSync };
  }

  /** Where the header is whole, those that reading takes for whole: it follows them from one to the next. */
  async #believe(signal?: AbortSignal): Promise<Set<number> | undefined> {
    if (this.header === undefined || this.#isShort) return undefined;
    const believed = new Set<number>();
    const { status } = await verifyRecords(
      this.path,
      { signal },
      (bytes, start, _end, _type, _tag, _time, at) => {
        if (bytes.readInt32LE(start - HEADER + L.FRAME_CRC_OFFSET) === 0) believed.add(at);
      },
    );
    return status === undefined ? undefined : believed;
  }

  *#walk(see: SeeRecord, signal?: AbortSignal): InSlices<Walked> {
    const { dataOffset, end } = this.#geometry;
    const words = this.#words;
    let behind = dataOffset;
    let provesSync = false;
    let slice = SLICE_BYTES;
    // Behind damage a frame without a checksum is nobody's: it may be what was never committed.
    let isSure = true;
    for (let at = dataOffset; at + HEADER <= end; ) {
      const size = sizeAt(words, at, this.#geometry);
      slice -= size + L.FRAME_ALIGN;
      if (slice <= 0) {
        slice = SLICE_BYTES;
        yield;
        throwIfAborted(signal, { what: `Repairing ${this.path}`, path: this.path });
      }
      const kind = words[(at >> 2) + 1] & 0xff;
      const found: boolean =
        size !== NOT_WHOLE && this.#isWholeAt(at, size, isSure) && this.#isNoFalseEnd(at + size, kind);
      isSure = found;
      if (!found) {
        at += L.FRAME_ALIGN;
        continue;
      }
      if (kind === L.KIND_LINK || kind === L.KIND_END) {
        const goesOnAt = at === behind ? this.#linkedFrom(at) : undefined;
        return { end: behind - dataOffset, isEnd: true, goesOnAt, provesSync };
      }
      if (kind === L.KIND_DATA) {
        const word = at >> 2;
        const type = words[word + 1] >>> 16;
        const [tag, timeUs] = [readFrozen(words, word + 6), readFrozen(words, word + 4)];
        see(this.#bytes, at + HEADER, at + words[word], type, tag, timeUs, at - dataOffset);
      }
      provesSync ||= kind === L.KIND_CHECKPOINT && words[(at >> 2) + 3] !== 0;
      at += size;
      behind = at;
    }
    return { end: behind - dataOffset, isEnd: false, provesSync };
  }

  /** What a LINK says, where that is sure. */
  #linkedFrom(at: number): number | undefined {
    const word = at >> 2;
    const isSure = this.#words[word + (L.FRAME_CRC_OFFSET >> 2)] !== 0;
    const isLink = (this.#words[word + 1] & 0xff) === L.KIND_LINK;
    return isLink && isSure ? readLink(this.#words, (at + HEADER) >> 2).record : undefined;
  }

  #isWholeAt(at: number, size: number, isSure: boolean): boolean {
    return isWhole(this.#bytes, at, size, this.#geometry, this.#needsSum(at, isSure));
  }

  #needsSum(at: number, isSure: boolean): boolean {
    if (at < this.#summed) return true;
    const isRecord = (this.#words[(at >> 2) + 1] & 0xff) === L.KIND_DATA;
    const believed = isRecord ? this.#believed : undefined;
    return believed === undefined ? !isSure : !believed.has(at - this.#geometry.dataOffset);
  }

  /** Behind one that ends the stream nothing is. */
  #isNoFalseEnd(behind: number, kind: number): boolean {
    if (kind !== L.KIND_LINK && kind !== L.KIND_END) return true;
    return behind >= this.#geometry.end || this.#words[behind >> 2] === 0;
  }

  /**
   * Its writer says now and then how far it is; and it leaves 0 behind what it has written. Of a file that was cut short in
   * the midst of frames, or right behind one, nobody knows how many are gone.
   */
  *#mostEnd(end: number): InSlices<number> {
    const { dataOffset, end: fileEnd, capacity } = this.#geometry;
    let written = fileEnd;
    for (let isZero = true; isZero && written > dataOffset + end; ) {
      const from = Math.max(dataOffset + end, written - ZEROS.length);
      isZero = this.#bytes.compare(ZEROS, 0, written - from, from, written) === 0;
      if (isZero) written = from;
      yield;
    }
    if (written === fileEnd && this.#isShort) return capacity;
    const said = [loadPosition(this.#words, TAIL), loadPosition(this.#words, DURABLE)];
    if (this.#isEnded) said.push(loadPosition(this.#words, FINAL_POSITION));
    return Math.max(end, written - dataOffset, ...said.filter((position) => position <= capacity));
  }

  get #isShort(): boolean {
    return this.length < this.#geometry.capacity;
  }

  close(): void {
    binding().closeFile(this.#file);
  }
}

/** How long the frame here says it is, by words that may be those of one. */
function sizeAt(words: Int32Array, at: number, { dataOffset, end, capacity }: Geometry): number {
  if (at + HEADER > end) return NOT_WHOLE;
  const word = at >> 2;
  const length = words[word];
  const kind = words[word + 1] & 0xff;
  const isPossible = length >= HEADER && length <= end - at && length <= capacity / LARGEST_PART + HEADER;
  const isKnown = kind >= L.KIND_DATA && kind <= L.KIND_CHECKPOINT && kind !== L.KIND_PAD;
  const size = (length + 15) & -16;
  return isPossible && isKnown && size <= end - at && words[word + 2] === stampOf(at - dataOffset)
    ? size
    : NOT_WHOLE;
}

function isWhole(
  bytes: Buffer,
  at: number,
  size: number,
  { dataOffset, end, incarnation }: Geometry,
  needsSum: boolean,
): boolean {
  const strictEnd = needsSum ? end : at;
  return (
    binding().checkFrames(bytes, at, at + size, stampOf(at - dataOffset), incarnation, strictEnd) ===
    at + size
  );
}

/** The static part, where that is whole; how long the file is does not matter. */
function staticOf(bytes: Buffer, path: string): Header | undefined {
  try {
    return decodeStatic(bytes, path);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

/** Undefined where it is of another channel than those are that a log is made of. */
function geometryOf(bytes: Buffer, header: Header): Geometry | undefined {
  const { mode, frameHeader, basePosition, checksums, dataOffset, capacity, incarnation } = header;
  if (mode !== 'linear' || frameHeader !== HEADER || basePosition !== 0 || !checksums) return undefined;
  const end = Math.min(endOf(bytes), dataOffset + capacity);
  return end <= dataOffset ? undefined : { dataOffset, end, capacity, incarnation };
}

/** What a damaged header must have said for what lies behind it to be frames. */
function guess(bytes: Buffer): Geometry | undefined {
  const words = wordsOf(bytes);
  const said = words[L.INCARNATION_OFFSET >> 2];
  const near = [said, ...Array.from({ length: 32 }, (_, bit) => said ^ (1 << bit))];
  let tried = 0;
  for (const { dataOffset, capacity } of plans(bytes)) {
    const end = Math.min(endOf(bytes), dataOffset + capacity);
    const until = Math.min(end, dataOffset + TRIED_BYTES) - HEADER;
    for (let at = dataOffset; at <= until && tried < TRIED_SUMS; at += L.FRAME_ALIGN) {
      const size = sizeAt(words, at, { dataOffset, end, capacity, incarnation: said });
      if (size === NOT_WHOLE) continue;
      tried += size * near.length;
      const isIt = (incarnation: number, place: number) => {
        const geometry = { dataOffset, end, capacity, incarnation };
        const next = sizeAt(words, place, geometry);
        return next !== NOT_WHOLE && isWhole(bytes, place, next, geometry, true);
      };
      let found = near.find((incarnation) => isIt(incarnation, at));
      if (found === undefined) {
        const told = incarnationOf(bytes, at, words[at >> 2]);
        if (isIt(told, at + size)) found = told;
      }
      if (found !== undefined) return { dataOffset, end, capacity, incarnation: found };
    }
  }
  return undefined;
}

/** How a file of this length may be laid out; one that was cut short as its header says, if it can be. */
function plans(bytes: Buffer): { dataOffset: number; capacity: number }[] {
  const capacities: number[] = [];
  for (let dataOffset = L.DATA_ALIGN; dataOffset <= MOST_DATA_OFFSET; dataOffset += L.DATA_ALIGN) {
    const capacity = bytes.length - dataOffset;
    if (isCapacity(capacity) && planFile('linear', capacity, 0).dataOffset === dataOffset)
      capacities.push(capacity);
  }
  const said = wordsOf(bytes)[L.CAPACITY_OFFSET >> 2];
  if (isCapacity(said)) capacities.push(said);
  return capacities.map((capacity) => ({ capacity, dataOffset: planFile('linear', capacity, 0).dataOffset }));
}

const MOST_DATA_OFFSET = planFile('linear', L.MAX_CAPACITY, 0).dataOffset;

function isCapacity(capacity: number): boolean {
  return capacity >= L.MIN_LINEAR_CAPACITY && capacity <= L.MAX_CAPACITY && capacity % 4096 === 0;
}

function endOf({ length }: Buffer): number {
  return length - (length % L.FRAME_ALIGN);
}

function wordsOf(bytes: Buffer): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.length / 4));
}

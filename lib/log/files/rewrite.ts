import { dirname } from 'node:path';
import {
  type CompressionSettings,
  explain,
  type Link,
  largestInSegment,
  leastCapacity,
  numberOf,
  SegmentReader,
  type SegmentSettings,
  SegmentWriter,
  type Sync,
  segmentBytes,
  statOf,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { binding, type FileHandle, PAGES } from '../../native.js';
import { LARGEST_SEGMENT } from '../options.js';
import {
  type EncodedRecord,
  frameBytes,
  PACKED,
  packAll,
  packedHead,
  type UnpackHandler,
  unpackEach,
} from '../records/index.js';
import { factsOf, type SegmentFacts, syncNames } from './directory.js';
import { keepOwner } from './ownership.js';
import { walkFrames } from './segment-walk.js';

/** Whether a record is kept: its payload is `bytes[start, end)`, lent for the call only. */
export type Keep = (...record: Parameters<UnpackHandler>) => boolean;

export interface RewriteOptions {
  /** Asked once for each record, in their order; left out: all are kept, and compressed batches not looked into. */
  keep?: Keep;
  /** Where the log goes on behind it; left out: where it did so far. */
  link?: Link;
  /** Position of the old one behind which nothing is kept; left out: it is kept to its end, and has to have one. */
  until?: number;
  /** Whether all before it is known to be on the disk; left out: where the old one says so. */
  isBeforeDurable?: boolean;
  /** Which part of its bytes is to go at least; where that would be less, it is left as it is. */
  leastWon?: number;
  /** How compressed batches are packed again of which something goes; left out: in the way that they were. */
  compression?: CompressionSettings;
  /** Asked when the new one is there, in the same turn in which it takes the old one's place; false: that is left as it is. */
  mayReplace?: () => boolean;
  signal?: AbortSignal;
}

export interface Rewritten {
  /** Records, or where none was asked for, frames, that were kept and that were not. */
  kept: number;
  dropped: number;
  /** How long the new file is. */
  bytes: number;
}

/** Called for each frame that is to be written. */
type Emit = (data: Uint8Array, type: number, tag: number, timeUs: number) => void;

const LEAST_CAPACITY = 16 * 1024;
/** The new one is made large enough: what was one batch, and is small for that, stays one. */
const LARGEST_BATCH = largestInSegment(LARGEST_SEGMENT);
const CAPACITY_STEP = 4096;
const PERMISSIONS = 0o600;

/**
 * Makes a new file for a sealed segment, of the records that are kept, and puts it in the place of the old one in one
 * step, once it is on the disk whole. Whoever has the old one open goes on reading that. Whoever dies on the way leaves
 * the old one as it was, or the new one; and perhaps a file with another name, which the next who opens the log sets aside.
 */
export async function rewriteSegment(
  path: string,
  options?: RewriteOptions & { leastWon?: undefined; mayReplace?: undefined },
): Promise<Rewritten>;
export async function rewriteSegment(path: string, options: RewriteOptions): Promise<Rewritten | undefined>;
export async function rewriteSegment(
  path: string,
  options: RewriteOptions = {},
): Promise<Rewritten | undefined> {
  const old = await SegmentReader.open(path, { readOnly: true });
  try {
    return await new Rewrite(new SealedSource(old, options), options).run();
  } finally {
    old.close();
  }
}

/** The same with what is left of a damaged one, whatever has to be done to read that. */
export async function replaceSegment(source: FrameSource, options: RewriteOptions): Promise<Rewritten> {
  return (await new Rewrite(source, options).run()) as Rewritten;
}

/** Where the frames of the old one come from. */
export interface FrameSource {
  readonly path: string;
  readonly facts: SegmentFacts;
  readonly capacity: number;
  /** How long they are, the headers with them, once they were handed out. */
  readonly bytes: number;
  /** Whether it says that something of it is on the disk, and so all before it. */
  readonly isSynced: boolean;
  readonly link: Link | undefined;
  /** Hands out all of them, the same each time. */
  each(handler: (...frame: Parameters<UnpackHandler>) => void): Promise<void>;
}

class SealedSource implements FrameSource {
  readonly path: string;
  readonly facts: SegmentFacts;
  readonly #old: SegmentReader;
  readonly #options: RewriteOptions;

  constructor(old: SegmentReader, options: RewriteOptions) {
    this.path = old.path;
    this.facts = factsOf(old.metadata, old.path);
    this.#old = old;
    this.#options = options;
  }

  get capacity(): number {
    return this.#old.capacity;
  }

  get bytes(): number {
    return this.#old.position;
  }

  get isSynced(): boolean {
    return this.#old.durablePosition > 0;
  }

  get link(): Link | undefined {
    return this.#old.link();
  }

  async each(handler: (...frame: Parameters<UnpackHandler>) => void): Promise<void> {
    const old = this.#old;
    old.seekOldest();
    await walkFrames(
      old,
      (bytes, start, end, type) => handler(bytes, start, end, type, old.tag, old.timeUs),
      this.#options,
    );
    if (this.#options.until === undefined && !old.hasEnded()) throw unended(old.path);
  }
}

/**
 * Puts an empty segment in the place of one, to be gone on with: in one step, once it is on the disk. Where it takes the
 * place of one of another name, that is `instead`. `shared`: others append to it, too.
 */
export async function beginAnew(
  path: string,
  facts: SegmentFacts,
  { capacity, sync, ...settings }: { capacity: number; sync: Sync } & SegmentSettings,
  instead = path,
): Promise<SegmentWriter> {
  const file = await makeFile(path, segmentBytes(capacity));
  const design = { capacity, sync, metadata: { log: facts }, baseRecord: facts.base };
  const writer = SegmentWriter.begin(path, file, design, () => Promise.resolve(), settings);
  try {
    await writer.sync();
    // step 128
    takeNameAndOwner(writer, instead);
    // step 129
    await syncNames(dirname(path));
    return writer;
  } catch (error) {
    writer.close();
    throw error;
  }
}

class Rewrite {
  readonly #old: FrameSource;
  readonly #options: RewriteOptions;
  readonly #answers = new Answers();

  constructor(old: FrameSource, options: RewriteOptions) {
    this.#old = old;
    this.#options = options;
  }

  async run(): Promise<Rewritten | undefined> {
    const { path, facts } = this.#old;
    const capacity = await this.#measure();
    if (capacity === undefined) return undefined;
    const writer = SegmentWriter.begin(
      path,
      await makeFile(path, segmentBytes(capacity)),
      {
        capacity,
        // Synced once, as a whole.
        sync: 'none',
        metadata: { log: { ...facts, generation: facts.generation + 1 } },
        baseRecord: facts.base,
      },
      () => Promise.resolve(),
    );
    try {
      await this.#fill(writer);
      writer.seal(this.#link());
      // step 120
      await writer.sync();
      // step 121
      if (this.#options.mayReplace?.() === false) return undefined;
      takeNameAndOwner(writer, path);
      // step 122
      await syncNames(dirname(path));
      // step 123
      // It then says that all before it is on the disk, too.
      await writer.settle(this.#options.isBeforeDurable ?? this.#old.isSynced);
    } finally {
      writer.close();
    }
    const { kept, dropped } = this.#answers;
    return { kept, dropped, bytes: segmentBytes(capacity) };
  }

  /** How large the new segment has to be; undefined where too little would be won, or none is so large. */
  async #measure(): Promise<number | undefined> {
    const { keep, leastWon = 0 } = this.#options;
    const answers = this.#answers;
    let bytes = 0;
    let largest = 0;
    const ask: Keep = (...record) => answers.add(keep === undefined || keep(...record));
    await this.#eachFrame(ask, ({ length }) => {
      bytes += frameBytes(length);
      largest = Math.max(largest, length);
    });
    // A batch that is packed anew may come to more than it was before. What is to go goes all the same.
    if (leastWon > 0 && bytes > this.#old.bytes * (1 - leastWon)) return undefined;
    const least = Math.max(leastCapacity(bytes, largest), LEAST_CAPACITY);
    const capacity = Math.ceil(least / CAPACITY_STEP) * CAPACITY_STEP;
    return capacity > LARGEST_SEGMENT ? undefined : capacity;
  }

  async #fill(writer: SegmentWriter): Promise<void> {
    this.#answers.rewind();
    await this.#eachFrame(
      () => this.#answers.next(),
      (data, type, tag, timeUs) => {
        if (writer.append(data, type, tag, timeUs) < 0) throw writer.failure ?? grown(this.#old.path);
      },
    );
  }

  async #eachFrame(ask: Keep, emit: Emit): Promise<void> {
    const looksInside = this.#options.keep !== undefined;
    await this.#old.each((bytes, start, end, type, tag, timeUs) => {
      if (type === PACKED && looksInside) this.#repack(bytes, start, end, tag, timeUs, ask, emit);
      else if (ask(bytes, start, end, type, tag, timeUs)) emit(bytes.subarray(start, end), type, tag, timeUs);
    });
  }

  /** A batch of which all is kept stays as it is. */
  #repack(
    bytes: Buffer,
    start: number,
    end: number,
    tag: number,
    timeUs: number,
    ask: Keep,
    emit: Emit,
  ): void {
    const kept: EncodedRecord[] = [];
    let count = 0;
    unpackEach(bytes, start, end, tag, timeUs, (batch, from, to, type, offset, recordUs) => {
      count++;
      if (!ask(batch, from, to, type, offset, recordUs)) return;
      const data = batch.subarray(from, to);
      kept.push({ data, length: data.length, type, tag: offset, timeUs: recordUs });
    });
    if (kept.length === count) {
      emit(bytes.subarray(start, end), PACKED, tag, timeUs);
      return;
    }
    const before = packedHead(bytes, start, end, tag, timeUs).algorithm;
    const as = this.#options.compression ?? { algorithm: numberOf('zstd') === before ? 'zstd' : 'deflate' };
    for (const { data, type, tag, timeUs } of packAll(kept, LARGEST_BATCH, as.algorithm, as.level))
      emit(data, type, tag, timeUs);
  }

  #link(): Link {
    const link = this.#options.link ?? this.#old.link;
    if (link === undefined) throw unended(this.#old.path);
    return link;
  }
}

/** Who reads a segment twice asks only once what is kept of it: one bit for each record. */
class Answers {
  kept = 0;
  dropped = 0;
  #bits = new Uint8Array(1024);
  #at = 0;

  add(isKept: boolean): boolean {
    const byte = this.#at >> 3;
    if (byte === this.#bits.length) {
      const more = new Uint8Array(this.#bits.length * 2);
      more.set(this.#bits);
      this.#bits = more;
    }
    if (isKept) this.#bits[byte] |= 1 << (this.#at & 7);
    this.#at++;
    if (isKept) this.kept++;
    else this.dropped++;
    return isKept;
  }

  rewind(): void {
    this.#at = 0;
  }

  next(): boolean {
    const bit = this.#bits[this.#at >> 3] & (1 << (this.#at & 7));
    this.#at++;
    return bit !== 0;
  }
}

/** Before it has its name, those may use it who could use the one that it takes the place of. */
function takeNameAndOwner(writer: SegmentWriter, instead: string): void {
  const before = statOf(instead);
  writer.takeName(before && ((waiting) => void keepOwner(waiting, before)));
}

async function makeFile(path: string, bytes: number): Promise<FileHandle> {
  try {
    return await binding().createFile(dirname(path), bytes, PERMISSIONS, PAGES.DIRTY);
  } catch (error) {
    throw explain(error, path, 'replace', bytes);
  }
}

function unended(path: string): MillraceError {
  return new MillraceError(
    'ERR_BUSY',
    `${path} is still being written: only a sealed segment can be rewritten`,
    {
      path,
    },
  );
}

function grown(path: string): MillraceError {
  return new MillraceError('ERR_CORRUPT', `${path} has changed while it was read`, { path });
}

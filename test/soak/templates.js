import { readFileSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import * as L from '../../dist/channel/layout.js';
import { Reader, Writer } from '../../dist/index.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { die, keepingFiles } from './keeping-files.js';

const NOISE_BYTES = 16384;
/** Far enough apart that a CHECKPOINT may follow each. */
const FLUSH_EVERY = 5000;
const FIRST_TIME_US = 1_700_000_000_000_000;
const RING_CAPACITY = 65536;
const LINEAR_CAPACITY = 32768;

export function optionsOf({ mode, timestamps, checksums, capacity }) {
  return {
    mode,
    timestamps,
    capacity: capacity ?? (mode === 'ring' ? RING_CAPACITY : LINEAR_CAPACITY),
    checksum: checksums ? 'crc32c' : 'none',
    ...(checksums && timestamps && mode === 'linear' && { sync: 'commit' }),
    readers: 4,
    heartbeatMs: 60_000,
    metadata: { of: 'what is damaged' },
  };
}

/** Writes records of all kinds, and keeps in `records` what was written and where. */
export class Filler {
  records = [];
  #writer;
  #shape;
  #random;
  #noise = Buffer.alloc(NOISE_BYTES);

  constructor(writer, shape, random) {
    this.#writer = writer;
    this.#shape = shape;
    this.#random = random;
    for (let at = 0; at < NOISE_BYTES; at++) this.#noise[at] = random(256);
  }

  /**
   * A ring is filled more than once, a linear channel up to three quarters or until it is full. `pause` is called now and
   * then, with all readers of the file able to see what is there.
   */
  async fill(pause = () => {}) {
    const writer = this.#writer;
    const { mode, checksums, fills, ending } = this.#shape;
    const { capacity } = writer;
    const flushes = checksums && mode === 'linear';
    const flushUntil = ending === 'torn' ? capacity / 2 : capacity;
    const until = mode === 'ring' ? capacity * 2 : fills ? Number.POSITIVE_INFINITY : (capacity / 4) * 3;
    let flushed = 0;
    let paused = 0;
    while (writer.position < until && this.#writeSome()) {
      if (writer.position - paused > capacity / 4) {
        writer.heartbeat();
        pause();
        paused = writer.position;
      }
      if (flushes && writer.position - flushed > FLUSH_EVERY && writer.position < flushUntil) {
        await this.#flush();
        flushed = writer.position;
      }
    }
    if (ending === 'torn') await writer.flush();
  }

  /** Where the stream goes on while a sync runs, a CHECKPOINT follows. */
  async #flush() {
    const flushing = this.#writer.flush();
    await turn();
    this.#writeSome();
    await flushing;
  }

  /** False where there was no room: then what is left is filled to the last frame that fits. */
  #writeSome() {
    // A batch may not be larger than a quarter of a ring.
    if (this.#random(4) === 0) return this.#write([this.#next(4096), this.#next(4096), this.#next(4096)]);
    return this.#write([this.#next(8192)]) || this.#write([Buffer.alloc(0)]);
  }

  #write(some) {
    try {
      if (some.length === 1) this.writeOne(some[0]);
      else this.#writeBatch(some);
      return true;
    } catch (error) {
      if (error.code !== 'ERR_CHANNEL_FULL') throw error;
      return false;
    }
  }

  #writeBatch(some) {
    const records = some.map((data, i) => this.#describe(data, i));
    this.#keep(records, this.#writer.writeBatch(records));
  }

  writeOne(data) {
    const record = this.#describe(data);
    const { type, tag, timestamp } = record;
    const options = this.#shape.timestamps ? { type, tag, timestamp } : type;
    this.#keep([record], this.#writer.write(data, options));
  }

  #next(largest) {
    const random = this.#random;
    const { sizes } = this.#shape;
    const isLarge = sizes === 'large' && random(3) > 0;
    const isMiddling = random(sizes === 'mixed' ? 4 : 10) === 0;
    const length = isLarge ? 1500 + random(largest - 1500) : random(isMiddling ? 4096 : 120);
    const from = random(NOISE_BYTES - length);
    return this.#noise.subarray(from, from + length);
  }

  #describe(data, behind = 0) {
    const n = this.records.length + behind;
    const random = this.#random;
    const record = { data, type: random(65536) };
    if (!this.#shape.timestamps) return record;
    // Clocks are set back at times.
    const us = FIRST_TIME_US + n * 1000 - (random(20) === 0 ? random(50_000) : 0);
    return { ...record, timestamp: { us }, tag: random(10) === 0 ? Number.MAX_SAFE_INTEGER - n : n };
  }

  /** `batch` is where the first of those lies that were committed together. */
  #keep(records, position) {
    const header = this.#shape.timestamps ? L.FRAME_HEADER_EXTENDED : L.FRAME_HEADER;
    let at = position;
    for (const { data, type, timestamp, tag } of records) {
      const record = this.records.length;
      const kept = { position: at, record, data: Buffer.from(data), type, batch: position };
      this.records.push(this.#shape.timestamps ? { ...kept, timestamp: timestamp.us, tag } : kept);
      at += (header + data.length + 15) & -16;
    }
  }
}

/**
 * A channel's bytes, and the truth about them: what was written, where its frames lie, and the file as it was at
 * several times before. Besides `mode`, `timestamps` and `checksums` a shape has:
 *
 *   sizes     'small', 'large', or 'mixed' of small and middling ones
 *   fills     whether a linear channel is filled until it is full
 *   ending    'closed', 'sealed', 'dead' (of this start of the machine), 'cut off' (of an earlier one), or 'torn': cut
 *             off when the second half of its frames had reached the disk, and its header not yet
 */
export async function makeTemplate(path, shape, random) {
  rmSync(path, { force: true });
  const options = optionsOf(shape);
  const made = await keepingFiles(() => Writer.create(path, options));
  const writer = made.result;
  const readers = [
    await keepingFiles(() => Reader.open(path, { gate: false, name: 'observer' })),
    await keepingFiles(() => Reader.open(path, { gate: { evictAfterMs: 1 }, name: 'evicted' })),
  ];
  const filler = new Filler(writer, shape, random);
  const images = [];
  if (shape.mode === 'ring') await passOn(readers[1].result, filler, writer);
  await filler.fill(() => images.push(readFileSync(path)));
  readers.push(await keepingFiles(() => Reader.open(path, { name: 'gating' })));
  if (shape.ending === 'closed') writer.close();
  else if (shape.ending === 'sealed') writer.seal();
  for (const reader of readers) die(reader);
  die(made);
  const bytes = readFileSync(path);
  rmSync(path);
  if (shape.ending === 'torn') images[1].copy(bytes, 0, 0, L.HEADER_BYTES);
  if (shape.ending === 'torn' || shape.ending === 'cut off') [bytes, ...images].forEach(cutOff);
  const layout = layoutOf(bytes);
  const { records } = filler;
  const frames = framesOf(bytes, layout, shape.mode, records);
  const places = new Map(records.map(({ position }, place) => [position, place]));
  return { shape, bytes, images, layout, records, places, frames };
}

/** A closed channel of 64 KiB with checksums and records of many sizes, the same each time. */
export function makeClosed(path) {
  const shape = {
    mode: 'linear',
    capacity: 65536,
    timestamps: true,
    checksums: true,
    sizes: 'mixed',
    fills: true,
    ending: 'closed',
  };
  return makeTemplate(path, shape, randomOf(1));
}

/** As a machine leaves it that went down: its writer ran on another start of it than this one. */
function cutOff(bytes) {
  bytes[L.WRITER_BOOT_OFFSET] ^= 0xff;
}

/** Makes a reader stand in the writer's way until it is evicted. */
async function passOn(reader, filler, writer) {
  // Tries, and not a time, in which a loaded machine may do next to nothing.
  for (let tries = 0; tries < 5000; tries++) {
    try {
      filler.writeOne(Buffer.alloc(4000));
    } catch (error) {
      if (error.code !== 'ERR_BACK_PRESSURE') throw error;
      await new Promise((resolve) => setTimeout(resolve, 12));
    }
    if (writer.stats().evictions > 0) return;
  }
  throw new Error(`The reader at ${reader.position} was not evicted`);
}

export function layoutOf(bytes) {
  const marksOffset = bytes.readInt32LE(L.MARKS_OFFSET_OFFSET);
  return {
    capacity: bytes.readInt32LE(L.CAPACITY_OFFSET),
    frameHeader: bytes.readInt32LE(L.FRAME_HEADER_OFFSET),
    readersOffset: bytes.readInt32LE(L.READERS_OFFSET_OFFSET),
    metadataOffset: bytes.readInt32LE(L.METADATA_OFFSET_OFFSET),
    marksOffset,
    marksEnd: marksOffset + bytes.readInt32LE(L.MARK_COUNT_OFFSET) * L.MARK_BYTES,
    dataOffset: bytes.readInt32LE(L.DATA_OFFSET_OFFSET),
    bytes: bytes.length,
  };
}

/** All frames that stand, in their order: where each begins in the file, its position, its length and its kind. */
export function framesOf(bytes, { capacity, dataOffset }, mode, records) {
  const end = records.at(-1).position;
  const first = mode === 'ring' ? records.find(({ position }) => position > end - capacity / 2).position : 0;
  const frames = [];
  for (let position = first; ; ) {
    const at = dataOffset + (position % capacity);
    const length = bytes.readInt32LE(at);
    if (length === 0 || bytes.readInt32LE(at + L.FRAME_STAMP_OFFSET) !== (position / 16) >> 0) return frames;
    const kind = bytes[at + L.FRAME_KIND_OFFSET];
    frames.push({ position, at, length, kind });
    position += (length + 15) & -16;
    if (kind === L.KIND_END || kind === L.KIND_LINK || at + length >= bytes.length) return frames;
  }
}

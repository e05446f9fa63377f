import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { binding, type FileHandle } from '../../lib/native.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { newDirectory } from '../helpers/run-directory.js';
import { namedFile } from './addon.js';

export const native = binding();
export const INCARNATION = 0xfeedbeef;
export const SEED = 20260102;
export const DATA = 1;
export const PAD = 2;
export const END = 3;
export const LINK = 4;
export const CHECKPOINT = 5;
export const MAX_CAPACITY = 2 ** 30;
export const TMPFS_MAGIC = 0x01021994;
export const POLYNOMIAL = 0x82f63b78;

const roundUp = (length: number) => Math.ceil(length / 16) * 16;
export const littleEndian = (word: number) => new Uint8Array(Uint32Array.of(word).buffer);
export const allAre = (bytes: Uint8Array, value: number) =>
  Buffer.compare(bytes, Buffer.alloc(bytes.length, value)) === 0;
export const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** CRC32C before its last inversion, bit by bit as the polynomial says. */
export function shiftIn(state: number, bytes: Uint8Array): number {
  let register = state;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++)
      register = register & 1 ? (register >>> 1) ^ POLYNOMIAL : register >>> 1;
  }
  return register;
}

/** Views of the same bytes; frames are laid out and looked at through them. */
export class Area {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Fills everything, so that what means nothing isn't 0 either. */
  scribble(): this {
    const random = randomOf(SEED);
    for (let at = 0; at < this.bytes.length; at += 4) this.#view.setUint32(at, random(2 ** 32), true);
    return this;
  }

  /** A frame's header, its checksum 0, before whatever lies there; returns the place behind the frame. */
  put(at: number, kind: number, length: number, stamp: number): number {
    this.#view.setInt32(at, length, true);
    this.#view.setUint32(at + 4, kind | (at << 16), true);
    this.#view.setUint32(at + 8, stamp, true);
    this.setChecksum(at, 0);
    return at + roundUp(length);
  }

  /** Frames one behind another, [kind, length] each, stamps from this one on: their places and their end. */
  lay(start: number, stamp: number, frames: number[][]): number[] {
    const places = [start];
    for (const [kind, length] of frames) {
      const at = places[places.length - 1];
      places.push(this.put(at, kind, length, stamp + (at - start) / 16));
    }
    return places;
  }

  checksum(at: number): number {
    return this.#view.getUint32(at + 12, true);
  }

  setChecksum(at: number, sum: number): void {
    this.#view.setUint32(at + 12, sum, true);
  }

  /** What the checksum of the frame at this place has to be. */
  rightChecksum(at: number, incarnation = INCARNATION): number {
    const length = this.bytes[at + 4] === PAD ? 16 : this.#view.getInt32(at, true);
    const frame = this.bytes.slice(at, at + length).fill(0, 12, 16);
    return ~shiftIn(shiftIn(-1, littleEndian(incarnation)), frame) >>> 0 || 1;
  }

  checksums(places: number[]): number[] {
    return places.map((at) => this.checksum(at));
  }

  rightChecksums(places: number[]): number[] {
    return places.map((at) => this.rightChecksum(at));
  }
}

/** A file of this process's own, with a name, its memory scribbled over. */
export async function area(bytes = 65536): Promise<{ path: string; file: FileHandle; memory: Area }> {
  const { path, file } = await namedFile(newDirectory(), bytes);
  onTestFinished(() => native.closeFile(file));
  return { path, file, memory: new Area(native.mapFile(file)).scribble() };
}

/** The same file again, as one who only reads it sees it. */
export function seenByAnother(path: string): Area {
  const file = native.openFile(path, false);
  onTestFinished(() => native.closeFile(file));
  return new Area(native.mapFile(file));
}

/** Of a place that no file has: for what is only checked. */
export const ownMemory = (bytes = 65536) => new Area(new ArrayBuffer(bytes)).scribble();

export function check(memory: Area, start: number, end: number, stamp: number, strictEnd = end): number {
  return native.checkFrames(memory.bytes, start, end, stamp, INCARNATION, strictEnd);
}

/** Keeps every thread of the pool waiting: jobs that are started now begin after the release. */
export function occupyPool(): () => Promise<void> {
  const fifo = join(newDirectory(), 'fifo');
  execFileSync('mkfifo', [fifo]);
  const waiting = Array.from({ length: Number(process.env.UV_THREADPOOL_SIZE ?? 4) }, () => open(fifo, 'r'));
  let released: Promise<void> | undefined;
  const release = async () => {
    const bothEnds = openSync(fifo, constants.O_RDWR); // which waits for nobody
    for (const handle of await Promise.all(waiting)) await handle.close();
    closeSync(bothEnds);
  };
  const once = () => {
    released ??= release();
    return released;
  };
  onTestFinished(once);
  return once;
}

/** A directory on whatever disk temporary files are. */
export function directoryOnDisk(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-frames-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

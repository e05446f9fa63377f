import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { type Binding, binding, type FileHandle } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { ADDON, descriptorsIn, mappingsIn, namedFile, systemError, until } from './addon.js';

const native = binding();
const INCARNATION = 0xfeedbeef;
const SEED = 20260102;
const DATA = 1;
const PAD = 2;
const END = 3;
const LINK = 4;
const CHECKPOINT = 5;
const MAX_CAPACITY = 2 ** 30;
const TMPFS_MAGIC = 0x01021994;
const POLYNOMIAL = 0x82f63b78;

const roundUp = (length: number) => Math.ceil(length / 16) * 16;
const littleEndian = (word: number) => new Uint8Array(Uint32Array.of(word).buffer);
const allAre = (bytes: Uint8Array, value: number) =>
  Buffer.compare(bytes, Buffer.alloc(bytes.length, value)) === 0;
const turnOfTheLoop = () => new Promise((resolve) => setImmediate(resolve));

/** CRC32C before its last inversion, bit by bit as the polynomial says. */
function shiftIn(state: number, bytes: Uint8Array): number {
  let register = state;
  for (const byte of bytes) {
    register ^= byte;
    for (let bit = 0; bit < 8; bit++)
      register = register & 1 ? (register >>> 1) ^ POLYNOMIAL : register >>> 1;
  }
  return register;
}

/** xorshift32: the same bytes in every run. */
function random(): () => number {
  let state = SEED;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** Views of the same bytes; frames are laid out and looked at through them. */
class Area {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(buffer: ArrayBuffer) {
    this.bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  /** Fills everything, so that what means nothing isn't 0 either. */
  scribble(): this {
    const next = random();
    for (let at = 0; at < this.bytes.length; at += 4) this.#view.setUint32(at, next(), true);
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
async function area(bytes = 65536): Promise<{ path: string; file: FileHandle; memory: Area }> {
  const { path, file } = await namedFile(newDirectory(), bytes);
  onTestFinished(() => native.closeFile(file));
  return { path, file, memory: new Area(native.mapFile(file)).scribble() };
}

/** The same file again, as one who only reads it sees it. */
function seenByAnother(path: string): Area {
  const file = native.openFile(path, false);
  onTestFinished(() => native.closeFile(file));
  return new Area(native.mapFile(file));
}

/** Of a place that no file has: for what is only checked. */
const ownMemory = (bytes = 65536) => new Area(new ArrayBuffer(bytes)).scribble();

function check(memory: Area, start: number, end: number, stamp: number, strictEnd = end): number {
  return native.checkFrames(memory.bytes, start, end, stamp, INCARNATION, strictEnd);
}

/** Keeps every thread of the pool waiting: jobs that are started now begin after the release. */
function occupyPool(): () => Promise<void> {
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

/** How much of what is stored to the files of a directory and mapped here is not yet on their disk. */
function dirtyKilobytes(directory: string): number {
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  let sum = 0;
  for (const mapping of mappings.filter((text) => text.includes(`${directory}/`))) {
    for (const [, dirty] of mapping.matchAll(/_Dirty:\s+(\d+) kB/g)) sum += Number(dirty);
  }
  return sum;
}

/** A directory on whatever disk temporary files are. */
function directoryOnDisk(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-frames-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

test(`a checksum is what the format says, of every length (seed ${SEED})`, async () => {
  const { file, memory } = await area(2 << 20);
  const payloads = [...Array(71).keys(), 751, 752, 753, 1000, 4096, 12_271, 12_272, 12_273, 50_000, 400_001];
  // A header of 32 bytes is one of 16 with as many more bytes behind it.
  for (const header of [16, 32]) {
    const frames = payloads.map((payload) => [DATA, header + payload]);
    const places = memory.lay(4096, 77, frames);
    const end = places.pop() as number;
    const before = memory.bytes.slice();
    expect(native.sumFrames(file, 4096, end, 77, INCARNATION)).toBe(end);
    expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
    expect(check(memory, 4096, end, 77)).toBe(end);
    for (const at of places) memory.setChecksum(at, 0);
    expect(Buffer.compare(memory.bytes, before), 'nothing else has changed').toBe(0);
  }
});

test('frames of all kinds have checksums; a PAD has one of its header only', async () => {
  const { file, memory } = await area();
  const frames = [
    [DATA, 40],
    [CHECKPOINT, 50],
    [PAD, 4096],
    [0, 33],
    [9, 33],
    [PAD | 0x80, 100],
    [END | 0x80, 16],
    [LINK | 0x80, 40],
    [LINK, 40],
    [DATA, 16],
    [END, 16],
    [DATA, 17],
  ];
  const places = memory.lay(0, 0, frames);
  const end = places.pop() as number;
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  const [, , pad] = places;
  const behindLink = places[9];
  memory.bytes.fill(1, pad + 16, pad + 4096);
  expect(memory.checksum(pad)).toBe(memory.rightChecksum(pad));
  expect(check(memory, 0, end, 0)).toBe(behindLink);
});

test('the incarnation is part of every checksum', async () => {
  const { file, memory } = await area();
  const [at, end] = memory.lay(64, 5, [[DATA, 100]]);
  const sums = [0, 1, INCARNATION, 0xffffffff].map((incarnation) => {
    memory.setChecksum(at, 0);
    expect(native.sumFrames(file, at, end, 5, incarnation)).toBe(end);
    expect(memory.checksum(at)).toBe(memory.rightChecksum(at, incarnation));
    expect(native.checkFrames(memory.bytes, at, end, 5, incarnation, end)).toBe(end);
    expect(native.checkFrames(memory.bytes, at, end, 5, incarnation ^ 1, end)).toBe(at);
    return memory.checksum(at);
  });
  expect(new Set(sums).size).toBe(4);
  // As a u32 or as the i32 that a typed array may have it as.
  memory.setChecksum(at, 0);
  expect(native.sumFrames(file, at, end, 5, INCARNATION | 0)).toBe(end);
  expect(memory.checksum(at)).toBe(memory.rightChecksum(at));
  expect(native.checkFrames(memory.bytes, at, end, 5, INCARNATION | 0, end)).toBe(end);
});

test('a checksum that is there stays, right or wrong', async () => {
  const { file, memory } = await area();
  const [first, second, end] = memory.lay(0, 0, [
    [DATA, 100],
    [DATA, 100],
  ]);
  memory.setChecksum(first, 12345);
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksum(first)).toBe(12345);
  expect(memory.checksum(second)).toBe(memory.rightChecksum(second));
  expect(check(memory, 0, end, 0)).toBe(first);
});

test('a checksum that comes to 0 is stored as 1', async () => {
  const { file, memory } = await area();
  const [at, end] = memory.lay(0, 3, [[DATA, 32]]);
  // The bits that the last word needs: the register goes back from what would make it 0.
  let register = -1;
  for (let bit = 0; bit < 32; bit++) {
    register = register < 0 ? ((register ^ POLYNOMIAL) << 1) | 1 : register << 1;
  }
  const before = shiftIn(shiftIn(-1, littleEndian(INCARNATION)), memory.bytes.subarray(at, at + 28));
  memory.bytes.set(littleEndian(before ^ register), at + 28);
  const all = Uint8Array.of(...littleEndian(INCARNATION), ...memory.bytes.subarray(at, end));
  expect(native.crc32c(all, 0, all.length, 0)).toBe(0);
  expect(native.sumFrames(file, at, end, 3, INCARNATION)).toBe(end);
  expect(memory.checksum(at)).toBe(1);
  expect(check(memory, at, end, 3)).toBe(end);
  memory.setChecksum(at, 0);
  expect(check(memory, at, end, 3)).toBe(at);
});

test('any bit that a checksum covers is seen, and no other', async () => {
  const { file, memory } = await area();
  const places = memory.lay(32, 9, [
    [DATA, 48],
    [DATA, 37],
    [PAD, 48],
    [DATA, 32],
  ]);
  const [, second, pad, fourth, end] = places;
  expect(native.sumFrames(file, 32, end, 9, INCARNATION)).toBe(end);
  const stopsWith = (at: number, bit: number) => {
    memory.bytes[at] ^= 1 << bit;
    const stop = check(memory, 32, end, 9);
    memory.bytes[at] ^= 1 << bit;
    return stop;
  };
  for (let at = second; at < fourth; at++) {
    const meansNothing = (at >= second + 37 && at < pad) || at >= pad + 16;
    const expected = meansNothing ? end : at < pad ? second : pad;
    for (let bit = 0; bit < 8; bit++) expect(stopsWith(at, bit), `bit ${bit} at ${at}`).toBe(expected);
  }
  expect(check(memory, 32, end, 9)).toBe(end);
});

const NONSENSE: Record<string, (memory: Area, at: number, stamp: number, room: number) => void> = {
  'length 0': (memory, at, stamp) => memory.put(at, DATA, 0, stamp),
  'length 1': (memory, at, stamp) => memory.put(at, DATA, 1, stamp),
  'length 15': (memory, at, stamp) => memory.put(at, DATA, 15, stamp),
  'a PAD of length 15': (memory, at, stamp) => memory.put(at, PAD, 15, stamp),
  'length -1': (memory, at, stamp) => memory.put(at, DATA, -1, stamp),
  'length -16': (memory, at, stamp) => memory.put(at, DATA, -16, stamp),
  'the least length': (memory, at, stamp) => memory.put(at, DATA, -(2 ** 31), stamp),
  'the largest length': (memory, at, stamp) => memory.put(at, DATA, 2 ** 31 - 1, stamp),
  'one byte past the end': (memory, at, stamp, room) => memory.put(at, DATA, room + 1, stamp),
  'a unit past the end': (memory, at, stamp, room) => memory.put(at, END, room + 16, stamp),
  'a PAD longer than any channel': (memory, at, stamp) => memory.put(at, PAD, MAX_CAPACITY + 1, stamp),
  'a PAD of length -1': (memory, at, stamp) => memory.put(at, PAD, -1, stamp),
  'the stamp before': (memory, at, stamp) => memory.put(at, DATA, 16, stamp - 1),
  'the stamp behind': (memory, at, stamp) => memory.put(at, DATA, 16, stamp + 1),
  'a stamp of another lap': (memory, at, stamp) => memory.put(at, PAD, 16, stamp + 4096),
};

test.each(Object.entries(NONSENSE))('frames end at %s', async (_, spoil) => {
  const { file, memory } = await area();
  const start = 1024;
  const places = memory.lay(start, 40, [
    [DATA, 48],
    [PAD, 16],
    [DATA, 30],
  ]);
  const bad = places.pop() as number;
  const end = bad + 256;
  memory.lay(bad + 16, 40 + (bad + 16 - start) / 16, [[DATA, 240]]);
  spoil(memory, bad, 40 + (bad - start) / 16, end - bad);
  const behind = memory.bytes.slice(bad);
  // Nobody asks for checksums: only the header can be what is wrong.
  expect(check(memory, start, end, 40, 0)).toBe(bad);
  expect(native.sumFrames(file, start, end, 40, INCARNATION)).toBe(bad);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(Buffer.compare(memory.bytes.subarray(bad), behind)).toBe(0);
  for (const at of places) memory.setChecksum(at, 0);
  expect(await native.flushFrames(file, start, end, 40, INCARNATION, true)).toBe(bad);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(check(memory, start, end, 40)).toBe(bad);
  expect(check(memory, bad, end, 40 + (bad - start) / 16)).toBe(bad);
});

test('frames end where no header fits any more, and a stretch may be empty', async () => {
  const { file, memory } = await area();
  const [at, next, last] = memory.lay(0, 1, [
    [DATA, 20],
    [PAD, 16],
  ]);
  for (const end of [next, next + 1, next + 8, next + 15]) {
    memory.setChecksum(at, 0);
    expect(native.sumFrames(file, 0, end, 1, INCARNATION)).toBe(next);
    expect(memory.checksum(at)).toBe(memory.rightChecksum(at));
    expect(check(memory, 0, end, 1)).toBe(next);
    expect(memory.checksum(next)).toBe(0);
  }
  expect(native.sumFrames(file, 0, last, 1, INCARNATION)).toBe(last);
  expect(memory.checksum(next)).toBe(memory.rightChecksum(next));
  const before = memory.bytes.slice();
  for (const empty of [0, 16, 32, memory.bytes.length]) {
    expect(native.sumFrames(file, empty, empty, 2, INCARNATION)).toBe(empty);
    expect(check(memory, empty, empty, 2)).toBe(empty);
  }
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
});

test('stamps go over 2^32', async () => {
  const { file, memory } = await area();
  const frames = [
    [DATA, 16],
    [DATA, 48],
    [DATA, 16],
  ];
  // The second frame lies across it, or begins with it.
  for (const first of [2 ** 32 - 2, 2 ** 32 - 1]) {
    for (const stamp of [first, first | 0]) {
      const places = memory.lay(0, first, frames);
      const end = places.pop() as number;
      expect(check(memory, 0, end, stamp, 0)).toBe(end);
      expect(native.sumFrames(file, 0, end, stamp, INCARNATION)).toBe(end);
      expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
      expect(check(memory, 0, end, stamp)).toBe(end);
      expect(check(memory, 0, end, stamp - 1, 0)).toBe(0);
    }
  }
});

test('a frame without a checksum is right from strictEnd on, one with a wrong checksum nowhere', () => {
  const memory = ownMemory();
  const frames = [
    [DATA, 40],
    [DATA, 64],
    [PAD, 32],
    [DATA, 16],
  ];
  const places = memory.lay(160, 10, frames);
  const [first, second, third, fourth, end] = places;
  for (const [strictEnd, stop] of [
    [-1, end],
    [0, end],
    [first, end],
    [first + 1, first],
    [second, first],
    [end, first],
    [2 ** 40, first],
  ]) {
    expect(check(memory, first, end, 10, strictEnd), `strict up to ${strictEnd}`).toBe(stop);
  }
  // What a flusher left: some have a checksum.
  for (const at of [first, second]) memory.setChecksum(at, memory.rightChecksum(at));
  for (const [strictEnd, stop] of [
    [0, end],
    [third, end],
    [third + 1, third],
    [end, third],
    [2 ** 40, third],
  ]) {
    expect(check(memory, first, end, 10, strictEnd), `strict up to ${strictEnd}`).toBe(stop);
  }
  memory.setChecksum(fourth, memory.rightChecksum(fourth));
  expect(check(memory, first, end, 10, third)).toBe(end);
  expect(check(memory, first, end, 10, end)).toBe(third);
  memory.setChecksum(fourth, memory.rightChecksum(fourth) ^ 0x8000);
  expect(check(memory, first, end, 10, 0)).toBe(fourth);
  memory.setChecksum(third, 1);
  expect(check(memory, first, end, 10, 0)).toBe(third);
});

test.each([
  ['END', END, 16],
  ['END with a header of 32 bytes', END, 32],
  ['LINK', LINK, 40],
])('a check ends behind %s, sums go on', async (_, kind, length) => {
  const { file, memory } = await area();
  const places = memory.lay(0, 0, [
    [DATA, 25],
    [kind, length],
    [DATA, 25],
    [kind, length],
  ]);
  const end = places.pop() as number;
  const [, last, behind] = places;
  expect(check(memory, 0, end, 0, 0)).toBe(behind);
  expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(check(memory, 0, end, 0)).toBe(behind);
  expect(check(memory, 0, behind, 0)).toBe(behind);
  expect(check(memory, behind, end, behind / 16)).toBe(end);
  memory.setChecksum(last, memory.rightChecksum(last) ^ 1);
  expect(check(memory, 0, end, 0)).toBe(last);
});

test('a PAD may go on behind the end, nothing else may', async () => {
  const { file, memory } = await area();
  for (const length of [17, 32, 33, 4096, MAX_CAPACITY]) {
    for (const room of [16, 20, 24]) {
      const [, pad] = memory.lay(0, 0, [
        [DATA, 50],
        [PAD, length],
      ]);
      const end = pad + room;
      expect(check(memory, 0, end, 0, 0)).toBe(end);
      expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
      expect(memory.checksum(pad)).toBe(memory.rightChecksum(pad));
      expect(check(memory, 0, end, 0)).toBe(end);
      memory.put(pad, DATA, length, pad / 16);
      expect(check(memory, 0, end, 0, 0)).toBe(pad);
      expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(pad);
      expect(memory.checksum(pad)).toBe(0);
    }
  }
  // At the file's end the memory ends, too.
  const last = memory.bytes.length - 16;
  memory.put(last, PAD, MAX_CAPACITY, 8);
  expect(native.sumFrames(file, last, last + 16, 8, INCARNATION)).toBe(last + 16);
  expect(memory.checksum(last)).toBe(memory.rightChecksum(last));
  expect(check(memory, last, last + 16, 8)).toBe(last + 16);
});

test('checkFrames takes any part of a mapping that is only read, and changes nothing', async () => {
  const { path, file, memory } = await area();
  const places = memory.lay(8192, 100, [
    [DATA, 1000],
    [DATA, 77],
  ]);
  const end = places[2];
  native.sumFrames(file, 8192, end, 100, INCARNATION);
  const before = memory.bytes.slice();
  const seen = seenByAnother(path);
  expect(check(seen, 8192, end, 100)).toBe(end);
  const part = seen.bytes.subarray(4096 + 4, end);
  expect(native.checkFrames(part, 4092, part.length, 100, INCARNATION, part.length)).toBe(part.length);
  memory.bytes[end - 20] ^= 4;
  expect(check(seen, 8192, end, 100)).toBe(places[1]);
  memory.bytes[end - 20] ^= 4;
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
});

test('flushFrames does the same off the event loop', async () => {
  const { file, memory } = await area();
  const places = memory.lay(48, 11, [
    [DATA, 1000],
    [PAD, 64],
    [DATA, 33],
    [END, 16],
  ]);
  const end = places.pop() as number;
  const before = memory.bytes.slice();
  for (const sync of [false, true]) {
    memory.bytes.set(before);
    const release = occupyPool();
    const flushed = native.flushFrames(file, 48, end, 11, INCARNATION, sync);
    await turnOfTheLoop();
    expect(Buffer.compare(memory.bytes, before), 'not before it is its turn').toBe(0);
    await release();
    expect(await flushed).toBe(end);
    expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  }
});

test('flushFrames goes on to its end when the file is closed meanwhile', async () => {
  for (const sync of [false, true]) {
    const { path, file, memory } = await area();
    const seen = seenByAnother(path);
    const [at, end] = memory.lay(0, 0, [[DATA, 60_000]]);
    const right = memory.rightChecksum(at);
    const release = occupyPool();
    const flushed = native.flushFrames(file, 0, end, 0, INCARNATION, sync);
    native.closeFile(file);
    expect(seen.checksum(at)).toBe(0);
    await release();
    expect(await flushed).toBe(end);
    expect(seen.checksum(at)).toBe(right);
  }
});

test('files may be closed anywhere in the middle of a flush', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 30; round++) {
    const file = await native.createFile(directory, 8 << 20, 0o600);
    native.linkFile(file, join(directory, `${round}`));
    const [, end] = new Area(native.mapFile(file)).lay(0, round, [[DATA, 8 << 20]]);
    const jobs = [true, false, false].map((sync) =>
      native.flushFrames(file, 0, end, round, INCARNATION, sync),
    );
    for (let turn = 0; turn < round; turn++) await turnOfTheLoop();
    native.closeFile(file);
    expect(await Promise.all(jobs)).toEqual([end, end, end]);
    const bytes = readFileSync(join(directory, `${round}`));
    expect(native.checkFrames(bytes, 0, end, round, INCARNATION, end)).toBe(end);
    rmSync(join(directory, `${round}`));
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('flushFrames brings the file to its disk where it is told to', async ({ skip }) => {
  const directory = directoryOnDisk();
  const { path, file } = await namedFile(directory, 1 << 20);
  onTestFinished(() => native.closeFile(file));
  const memory = new Area(native.mapFile(file)).scribble();
  const places = memory.lay(0, 6, [
    [DATA, 500_000],
    [DATA, 500],
  ]);
  const end = places.pop() as number;
  const canBeSeen = native.statFile(file).fileSystem !== TMPFS_MAGIC && dirtyKilobytes(directory) > 0;
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, false)).toBe(end);
  const dirty = dirtyKilobytes(directory);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  for (const at of places) memory.setChecksum(at, 0);
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, true)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(native.checkFrames(readFileSync(path), 0, end, 6, INCARNATION, end)).toBe(end);
  if (!canBeSeen) skip('this system doesn’t tell which pages are on the disk');
  expect(dirty).toBeGreaterThan(0);
  expect(dirtyKilobytes(directory)).toBe(0);
  // What is no frame is for the caller to look at first.
  memory.put(places[1], DATA, 500, 0);
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, true)).toBe(places[1]);
  expect(dirtyKilobytes(directory)).toBeGreaterThan(0);
});

test('many may fill the same frames at once: a checksum is missing or right at every moment', async () => {
  const { file, memory } = await area(4 << 20);
  const frames = Array.from({ length: 2000 }, (_, index) => [DATA, 16 + ((index * 37) % 2000)]);
  const places = memory.lay(0, 0, frames);
  const end = places.pop() as number;
  const right = memory.rightChecksums(places);
  let unfinished = 0;
  for (let round = 0; round < 20; round++) {
    for (const at of places) memory.setChecksum(at, 0);
    const starts = [0, 0, places[500], places[1500]];
    let running = starts.length;
    const jobs = starts.map(async (start) => {
      const stop = await native.flushFrames(file, start, end, start / 16, INCARNATION, false);
      running--;
      return stop;
    });
    while (running > 0) {
      if (check(memory, 0, end, 0) < end) unfinished++;
      expect(check(memory, 0, end, 0, 0)).toBe(end);
      if (round % 2 === 1) expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
      await turnOfTheLoop();
    }
    expect(await Promise.all(jobs)).toEqual(starts.map(() => end));
    expect(memory.checksums(places)).toEqual(right);
  }
  expect(unfinished, 'looks before the last checksum').toBeGreaterThan(0);
});

test('what is not a file of the addon is refused, a closed file with EBADF', async () => {
  const { file } = await area();
  native.closeFile(file);
  const calls: Record<string, (given: FileHandle) => unknown> = {
    sumFrames: (given) => native.sumFrames(given, 0, 64, 0, 0),
    flushFrames: (given) => native.flushFrames(given, 0, 64, 0, 0, true),
    clearRest: (given) => native.clearRest(given, 0),
  };
  for (const [syscall, call] of Object.entries(calls)) {
    for (const foreign of [
      undefined,
      null,
      1,
      'file',
      {},
      [],
      () => {},
      Symbol('file'),
      new Uint8Array(64),
    ]) {
      expect(() => call(foreign as unknown as FileHandle), syscall).toThrow(TypeError);
    }
    expect(await systemError(() => call(file)), syscall).toMatchObject({ code: 'EBADF', syscall });
    expect(() => (native[syscall as keyof Binding] as () => unknown)()).toThrow(TypeError);
  }
});

test('a stretch that is not in the file is refused', async () => {
  const { file, memory } = await area();
  const [at, end] = memory.lay(0, 0, [[DATA, 64]]);
  const before = memory.bytes.slice();
  const whole = 65536;
  const refused: [unknown[], ErrorConstructor][] = [
    [[0, whole + 1, 0, 0], RangeError],
    [[0, whole + 4096, 0, 0], RangeError],
    [[whole + 16, whole + 32, 0, 0], RangeError],
    [[1, 64, 0, 0], RangeError],
    [[4, 64, 0, 0], RangeError],
    [[8, 64, 0, 0], RangeError],
    [[-16, 64, 0, 0], TypeError],
    [[64, 48, 0, 0], TypeError],
    [[0, -1, 0, 0], TypeError],
    [[0, 2 ** 31 + 1, 0, 0], TypeError],
    [[0, 2 ** 53, 0, 0], TypeError],
    [[0, 64.5, 0, 0], TypeError],
    [[0.5, 64, 0, 0], TypeError],
    [[Number.NaN, 64, 0, 0], TypeError],
    [[0, Number.POSITIVE_INFINITY, 0, 0], TypeError],
    [[Number.NEGATIVE_INFINITY, 64, 0, 0], TypeError],
    [['0', 64, 0, 0], TypeError],
    [[0, 64n, 0, 0], TypeError],
    [[0, 64, 2 ** 32, 0], TypeError],
    [[0, 64, -(2 ** 31) - 1, 0], TypeError],
    [[0, 64, 0.5, 0], TypeError],
    [[0, 64, Number.NaN, 0], TypeError],
    [[0, 64, 0, 2 ** 32], TypeError],
    [[0, 64, 0, '1'], TypeError],
    [[0, 64, 0], TypeError],
  ];
  const sum = native.sumFrames as (...given: unknown[]) => number;
  const flush = native.flushFrames as (...given: unknown[]) => Promise<number>;
  for (const [given, kind] of refused) {
    expect(() => sum(file, ...given), given.join()).toThrow(kind);
    if (given.length === 4) expect(() => flush(file, ...given, true), given.join()).toThrow(kind);
  }
  for (const sync of [undefined, null, 1, 'true']) {
    expect(() => flush(file, 0, 64, 0, 0, sync), String(sync)).toThrow(TypeError);
  }
  await turnOfTheLoop();
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
  expect(sum(file, at, end, 0, INCARNATION)).toBe(end);
});

test('memory that may not be written is refused', async () => {
  const { path, memory } = await area();
  const [at, end] = memory.lay(0, 0, [[DATA, 64]]);
  const [far, farEnd] = memory.lay(4096, 0, [[DATA, 16]]);
  const reading = native.openFile(path, false);
  const writing = native.openFile(path, true);
  const refuses = (file: FileHandle, from: number, to: number) => {
    expect(() => native.sumFrames(file, from, to, 0, INCARNATION)).toThrow(RangeError);
    expect(() => native.flushFrames(file, from, to, 0, INCARNATION, false)).toThrow(RangeError);
    expect(() => native.clearRest(file, from)).toThrow(RangeError);
  };
  for (const file of [reading, writing]) {
    refuses(file, at, end); // it has no memory yet
    native.mapFile(file);
    refuses(file, at, end);
    await systemError(() => native.allowWrites(reading, 4096));
    refuses(file, at, end);
  }
  native.allowWrites(writing, 4096);
  refuses(writing, far, farEnd);
  refuses(writing, 4080, 4112);
  expect(memory.checksum(at)).toBe(0);
  expect(native.sumFrames(writing, at, end, 0, INCARNATION)).toBe(end);
  expect(memory.checksum(at)).toBe(memory.rightChecksum(at));
  native.allowWrites(writing, 65536);
  expect(await native.flushFrames(writing, far, farEnd, 0, INCARNATION, false)).toBe(farEnd);
  expect(memory.checksum(far)).toBe(memory.rightChecksum(far));
  expect(await native.clearRest(writing, at)).toBe(65536);
  native.closeFile(reading);
  native.closeFile(writing);
});

test('checkFrames refuses what is no bytes, and bounds that are not in them', () => {
  const memory = ownMemory(256);
  const [at, end] = memory.lay(0, 0, [[DATA, 64]]);
  const wrong = native.checkFrames as (...given: unknown[]) => number;
  const { bytes } = memory;
  for (const [start, stop] of [
    [0, 257],
    [-16, 64],
    [64, 48],
    [0, 2.5],
    [0.5, 64],
    [Number.NaN, 64],
    [0, Number.POSITIVE_INFINITY],
    [0, 2 ** 53],
  ]) {
    expect(() => wrong(bytes, start, stop, 0, 0, 0), `${start} to ${stop}`).toThrow(RangeError);
  }
  for (const foreign of [undefined, null, 1, 'bytes', {}, bytes.buffer, new Int32Array(64), [1, 2]]) {
    expect(() => wrong(foreign, 0, 64, 0, 0, 0)).toThrow(TypeError);
  }
  for (const given of [
    ['0', 64, 0, 0, 0],
    [0, 64n, 0, 0, 0],
    [0, 64, '0', 0, 0],
    [0, 64, 0, null, 0],
    [0, 64, 0, 0, '0'],
    [0, 64, 0, 0, 0n],
    [0, 64, 0, 0],
    [0, 64],
    [],
  ]) {
    expect(() => wrong(bytes, ...given), given.join()).toThrow(TypeError);
  }
  // Whole words are loaded.
  for (const off of [1, 2, 3, 5]) {
    expect(() => wrong(bytes, off, 64, 0, 0, 0), `from ${off}`).toThrow(TypeError);
    expect(() => wrong(bytes.subarray(off), 0, 64, 0, 0, 0), `off by ${off}`).toThrow(TypeError);
  }
  expect(check(memory, at, end, 0, 0)).toBe(end);
});

test('what is detached has no frames', async () => {
  const { file, memory } = await area();
  const [, end] = memory.lay(0, 0, [[DATA, 64]]);
  expect(check(memory, 0, end, 0, 0)).toBe(end);
  native.closeFile(file);
  expect(() => check(memory, 0, end, 0, 0)).toThrow(RangeError);
  expect(check(memory, 0, 0, 0)).toBe(0);
});

test('clearRest stores 0 to what is left of the file, and says how far it had to', async () => {
  const { file, memory } = await area(5 << 20);
  const { bytes } = memory;
  const before = bytes.slice();
  before[bytes.length - 1] |= 1;
  // Pages, steps, and what is neither.
  for (const start of [0, 16, 4095, 4096, 100_016, 2 << 20, (5 << 20) - 1]) {
    bytes.set(before);
    expect(await native.clearRest(file, start)).toBe(bytes.length);
    expect(Buffer.compare(bytes.subarray(0, start), before.subarray(0, start))).toBe(0);
    expect(allAre(bytes.subarray(start), 0)).toBe(true);
  }
});

test('clearRest returns the end of the last that it cleared', async () => {
  const { file, memory } = await area(5 << 20);
  const { bytes } = memory;
  for (const places of [
    [100],
    [100, 4095],
    [4096],
    [65, 3 << 20],
    [100, (2 << 20) - 1],
    [2 << 20],
    [(5 << 20) - 1],
  ]) {
    bytes.fill(0);
    for (const at of places) bytes[at] = 0x80;
    bytes[63] = 7;
    expect(await native.clearRest(file, 64), places.join()).toBe(places[places.length - 1] + 1);
    expect(bytes[63]).toBe(7);
    expect(allAre(bytes.subarray(64), 0)).toBe(true);
    expect(await native.clearRest(file, 64), 'nothing is left').toBe(64);
    expect(await native.clearRest(file, 63)).toBe(64);
    expect(allAre(bytes, 0)).toBe(true);
  }
  bytes[bytes.length - 1] = 1;
  expect(await native.clearRest(file, bytes.length)).toBe(bytes.length);
  expect(await native.clearRest(file, bytes.length + 4096)).toBe(bytes.length + 4096);
  expect(bytes[bytes.length - 1]).toBe(1);
});

test('clearRest ends where a file of odd length does', async () => {
  const path = join(newDirectory(), 'odd');
  writeFileSync(path, 'x'.repeat(5001));
  const file = native.openFile(path, true);
  native.mapFile(file);
  native.allowWrites(file, 8192);
  expect(await native.clearRest(file, 5)).toBe(5001);
  native.closeFile(file);
  expect(readFileSync(path, 'latin1')).toBe(`xxxxx${'\0'.repeat(4996)}`);
});

test('clearRest refuses a place that is none', async () => {
  const { file, memory } = await area();
  const before = memory.bytes.slice();
  const clear = native.clearRest as (...given: unknown[]) => Promise<number>;
  for (const start of [
    -1,
    0.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 31 + 1,
    2 ** 60,
    '0',
    0n,
    undefined,
  ]) {
    expect(() => clear(file, start), String(start)).toThrow(TypeError);
  }
  await turnOfTheLoop();
  expect(Buffer.compare(memory.bytes, before)).toBe(0);
});

test('clearRest clears nothing once the file is closed', async () => {
  const { path, file, memory } = await area();
  const before = memory.bytes.slice();
  const seen = seenByAnother(path);
  const release = occupyPool();
  const cleared = native.clearRest(file, 0);
  native.closeFile(file);
  const error = systemError(() => cleared);
  await release();
  expect(await error).toMatchObject({ code: 'ECANCELED', syscall: 'memset' });
  expect(Buffer.compare(seen.bytes, before)).toBe(0);
});

test('a close in the middle of clearRest leaves the front cleared and the rest as it was', async () => {
  const directory = newDirectory();
  const bytes = 8 << 20;
  for (let round = 0; round < 30; round++) {
    const path = join(directory, `${round}`);
    const file = await native.createFile(directory, bytes, 0o600);
    native.linkFile(file, path);
    new Uint8Array(native.mapFile(file)).fill(0xa5);
    const cleared = native.clearRest(file, 32);
    for (let turn = 0; turn < round; turn++) await turnOfTheLoop();
    native.closeFile(file);
    const [result] = await Promise.allSettled([cleared]);
    if (result.status === 'rejected') expect(result.reason.code).toBe('ECANCELED');
    else expect(result.value).toBe(bytes);
    const content = readFileSync(path);
    const found = content.indexOf(0xa5, 32);
    const rest = found === -1 ? bytes : found;
    if (result.status === 'fulfilled') expect(rest).toBe(bytes);
    expect(allAre(content.subarray(0, 32), 0xa5)).toBe(true);
    expect(allAre(content.subarray(32, rest), 0)).toBe(true);
    expect(allAre(content.subarray(rest), 0xa5)).toBe(true);
    rmSync(path);
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('workers may be terminated in the middle of flushing and clearing', async () => {
  const directory = newDirectory();
  const { path, file } = await namedFile(directory, 8 << 20);
  const memory = new Area(native.mapFile(file));
  const [at, end] = memory.lay(0, 0, [[DATA, 4 << 20]]);
  const right = memory.rightChecksum(at);
  const work = `
    const { parentPort, workerData: { addon, path, end, incarnation } } = require('node:worker_threads');
    const native = require(addon);
    const file = native.openFile(path, true);
    const view = new Uint8Array(native.mapFile(file));
    native.allowWrites(file, 8 << 20);
    void (async () => {
      for (let round = 0; ; round++) {
        view[end + round] = 1;
        const jobs = [native.clearRest(file, end)];
        for (const sync of [true, false]) jobs.push(native.flushFrames(file, 0, end, 0, incarnation, sync));
        parentPort.postMessage(round);
        await Promise.all(jobs);
      }
    })();`;
  for (let round = 0; round < 15; round++) {
    memory.setChecksum(at, 0);
    const worker = new Worker(work, {
      eval: true,
      workerData: { addon: ADDON, path, end, incarnation: INCARNATION },
    });
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (done: number) => done === round % 3 && resolve());
      worker.on('error', reject);
    });
    await worker.terminate();
    if (round % 3 > 0) expect(memory.checksum(at)).toBe(right);
    expect([0, right]).toContain(memory.checksum(at));
  }
  native.closeFile(file);
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

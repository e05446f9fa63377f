import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { type Binding, type FileHandle, PAGES } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { ADDON, descriptorsIn, mappingsIn, namedFile, systemError, until } from './addon.js';
import {
  Area,
  allAre,
  area,
  check,
  DATA,
  INCARNATION,
  native,
  occupyPool,
  ownMemory,
  seenByAnother,
  turnOfTheLoop,
} from './frame-area.js';

test('what is not a file of the addon is refused, a closed file with EBADF', async () => {
  const { file } = await area();
  native.closeFile(file);
  const calls: Record<string, (given: FileHandle) => unknown> = {
    sumFrames: (given) => native.sumFrames(given, 0, 64, 0, 0),
    flushFrames: (given) => native.flushFrames(given, 0, 64, 0, 0, true),
    summedTo: (given) => native.summedTo(given),
    beginToWrite: (given) => native.beginToWrite(given, 0, 64),
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

test('clearRest clears nothing but the rest where others clear it meanwhile', async () => {
  const { file, memory } = await area(16 << 20);
  const { bytes } = memory;
  for (let round = 0; round < 4; round++) {
    bytes.fill(0);
    // Each page has what is found at once, and then looked for from its other end.
    for (let at = 0; at < bytes.length; at += 4096) bytes[at] = 1;
    const cleared = await Promise.all([1, 2, 3].map(() => native.clearRest(file, 4096)));
    expect(bytes[0]).toBe(1);
    expect(allAre(bytes.subarray(4096), 0)).toBe(true);
    expect(Math.max(...cleared)).toBe(bytes.length - 4095);
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
    const file = await native.createFile(directory, bytes, 0o600, PAGES.DIRTY);
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

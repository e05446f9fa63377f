import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { type Binding, binding, type FileHandle, PAGES } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { ADDON, descriptorsIn, mappingsIn, namedFile, systemError, until } from './addon.js';

const native = binding();
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

test('closing empties the buffer and every view of it', async () => {
  const { file } = await namedFile(newDirectory());
  const buffer = native.mapFile(file);
  const views = [new Uint8Array(buffer), new Int32Array(buffer, 4096, 10), Buffer.from(buffer, 8, 8)];
  const view = new DataView(buffer);
  native.closeFile(file);
  expect(buffer.byteLength).toBe(0);
  for (const empty of views) expect(empty.length).toBe(0);
  expect(() => view.getInt32(0)).toThrow(TypeError);
  expect(views[0][0]).toBeUndefined();
});

test('closing twice is harmless; everything else refuses a closed file with EBADF', async () => {
  const { file } = await namedFile(newDirectory());
  native.closeFile(file);
  native.closeFile(file);
  const calls: Record<string, () => unknown> = {
    statFile: () => native.statFile(file),
    mapFile: () => native.mapFile(file),
    allowWrites: () => native.allowWrites(file, 4096),
    populateFile: () => native.populateFile(file, 0),
    allocateFile: () => native.allocateFile(file),
    linkFile: () => native.linkFile(file, '/dev/shm/never'),
    lockByte: () => native.lockByte(file, 0),
    unlockByte: () => native.unlockByte(file, 0),
    isByteLocked: () => native.isByteLocked(file, 0),
  };
  for (const [syscall, call] of Object.entries(calls)) {
    expect(await systemError(call), syscall).toMatchObject({ code: 'EBADF', syscall });
  }
});

test('what is not a file of the addon is refused', async () => {
  const foreign: unknown[] = [
    undefined,
    null,
    1,
    'file',
    {},
    [],
    () => {},
    Symbol('file'),
    new ArrayBuffer(8),
  ];
  // No object inherits from one: from Node 24 on V8 itself ends the process at Object.create(external).
  foreign.push(new Proxy(await native.createFile(newDirectory(), 4096, 0o600, PAGES.DIRTY), {}));
  for (const name of ['statFile', 'mapFile', 'allocateFile', 'closeFile'] as const) {
    for (const value of foreign) {
      expect(() => native[name](value as FileHandle), `${name}, ${typeof value}`).toThrow(TypeError);
    }
    expect(() => (native[name] as () => unknown)()).toThrow(TypeError);
  }
  for (const name of ['lockByte', 'unlockByte', 'isByteLocked', 'allowWrites', 'populateFile'] as const) {
    for (const value of foreign) expect(() => native[name](value as FileHandle, 4096)).toThrow(TypeError);
  }
});

test('arguments out of bounds are refused', async () => {
  const directory = newDirectory();
  const { file } = await namedFile(directory);
  for (const bytes of [
    0,
    -1,
    1.5,
    Number.NaN,
    2 ** 31 + 1,
    2 ** 60,
    Number.POSITIVE_INFINITY,
    '4096',
    4096n,
  ]) {
    expect(() => native.createFile(directory, bytes as number, 0o600, PAGES.DIRTY), String(bytes)).toThrow(
      TypeError,
    );
    if (bytes !== 0) expect(() => native.lockByte(file, bytes as number), String(bytes)).toThrow(TypeError);
  }
  expect(() => native.createFile(directory, 4096, 0o10000, PAGES.DIRTY)).toThrow(TypeError);
  for (const path of ['', 'with\0zero', 7, undefined, Buffer.from('/tmp')]) {
    expect(() => native.openFile(path as string, true)).toThrow(TypeError);
    expect(() => native.createFile(path as string, 4096, 0o600, PAGES.DIRTY)).toThrow(TypeError);
    expect(() => native.linkFile(file, path as string)).toThrow(TypeError);
  }
  expect(() => native.openFile('/dev/null', 1 as unknown as boolean)).toThrow(TypeError);
  native.closeFile(file);
});

test('a file may be closed in the middle of its jobs', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 30; round++) {
    const file = await native.createFile(directory, 8 << 20, 0o600, PAGES.DIRTY);
    const jobs = [native.populateFile(file, 0), native.allocateFile(file), native.populateFile(file, 0)];
    // As many turns of the loop as rounds: nearer to the end of the jobs each time.
    for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    native.closeFile(file);
    for (const result of await Promise.allSettled(jobs)) {
      if (result.status === 'rejected') expect(result.reason.code).toBe('ECANCELED');
    }
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('2000 opens and closes leave no descriptor and no mapping', async () => {
  const directory = newDirectory();
  const { path, file } = await namedFile(directory);
  native.closeFile(file);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
  for (let round = 0; round < 2000; round++) {
    const again = native.openFile(path, round % 2 === 0);
    const bytes = new Uint8Array(native.mapFile(again));
    expect(bytes[round]).toBe(0);
    native.closeFile(again);
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('who opens and closes without a turn of the event loop has a bounded number of mappings', async () => {
  const directory = newDirectory();
  const { path, file } = await namedFile(directory);
  for (let round = 0; round < 5000; round++) {
    const again = native.openFile(path, false);
    const bytes = new Uint8Array(native.mapFile(again));
    expect(bytes[round]).toBe(0);
    native.closeFile(again);
    expect(bytes.length).toBe(0);
  }
  // Those that wait for the thread that unmaps, and the first one.
  expect(mappingsIn(directory)).toBeLessThan(1100);
  native.closeFile(file);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('V8 counts nothing of what is closed', async () => {
  const { path, file } = await namedFile(newDirectory(), 1 << 20);
  const cycle = () => {
    const again = native.openFile(path, false);
    native.mapFile(again);
    native.closeFile(again);
  };
  cycle();
  globalThis.gc?.();
  const before = process.memoryUsage().external;
  for (let round = 0; round < 1000; round++) cycle();
  globalThis.gc?.();
  // A thousand mappings of 1 MiB; what moves here is other buffers of the process.
  expect(Math.abs(process.memoryUsage().external - before)).toBeLessThan(1 << 20);
  native.closeFile(file);
});

test('handles that are collected without a close give everything back', async () => {
  const directory = newDirectory();
  const { path, file } = await namedFile(directory);
  native.closeFile(file);
  const child = spawnSync(process.execPath, ['--expose-gc', fixture('collected.cjs'), ADDON, path, '50'], {
    encoding: 'utf8',
  });
  expect(child.stderr).toBe('');
  const { before, after, lockIsFree } = JSON.parse(child.stdout);
  expect(before.descriptors).toBeGreaterThan(0);
  expect(after).toEqual({ descriptors: 0, mappings: 0 });
  expect(lockIsFree).toBe(true);
});

/** Starts a worker with jobs in flight and ends it after the given number of them began. */
async function interrupt(job: 'create' | 'populate', directory: string, after: number): Promise<void> {
  const bytes = 8 << 20;
  const worker = new Worker(fixture('interrupted.cjs'), {
    workerData: { addon: ADDON, directory, bytes, job },
  });
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (round: number) => {
      if (round === after) resolve();
    });
    worker.on('error', reject);
  });
  await worker.terminate();
}

test('workers may be terminated in the middle of their jobs', async () => {
  const directory = newDirectory();
  const { file } = await namedFile(directory, 8 << 20);
  native.closeFile(file);
  for (let round = 0; round < 30; round++) {
    await interrupt('create', directory, round % 3);
    await interrupt('populate', directory, round % 5);
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('two copies of the addon work side by side and refuse each other’s files', async () => {
  const files = newDirectory();
  // Not on /dev/shm, where containers often forbid to execute.
  const copies = mkdtempSync(join(tmpdir(), 'millrace-copy-'));
  onTestFinished(() => rmSync(copies, { recursive: true }));
  const copyPath = join(copies, 'copy.node');
  copyFileSync(ADDON, copyPath);
  const copy: Binding = createRequire(import.meta.url)(copyPath);
  expect(copy.mapFile).not.toBe(native.mapFile);
  const { path, file } = await namedFile(files);
  const other = copy.openFile(path, true);
  expect(copy.lockByte(other, 0)).toBe(false);
  expect(copy.lockByte(other, 1)).toBe(true);
  expect(native.isByteLocked(file, 1)).toBe(true);
  new Uint8Array(native.mapFile(file))[9] = 9;
  expect(new Uint8Array(copy.mapFile(other))[9]).toBe(9);
  expect(() => copy.statFile(file)).toThrow(TypeError);
  expect(() => native.statFile(other)).toThrow(TypeError);
  expect(copy.crc32c(Buffer.from('123456789'), 0, 9, 0)).toBe(0xe3069283 | 0);
  const made = await copy.createFile(files, 1 << 20, 0o600, PAGES.DIRTY);
  copy.closeFile(made);
  copy.closeFile(other);
  native.closeFile(file);
  await until('nothing is mapped', () => mappingsIn(files) === 0);
});

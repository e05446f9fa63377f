import { once } from 'node:events';
import { expect, test } from 'vitest';
import { binding } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { holdInProcess, holdInThread, namedFile, systemError, until } from './addon.js';

const native = binding();

test('two opens in one thread exclude each other, byte by byte', async () => {
  const { path, file } = await namedFile(newDirectory());
  const other = native.openFile(path, true);
  expect(native.isByteLocked(other, 0)).toBe(true);
  expect(native.lockByte(other, 0)).toBe(false);
  expect(native.lockByte(other, 1)).toBe(true);
  expect(native.lockByte(file, 1)).toBe(false);
  expect(native.isByteLocked(file, 2)).toBe(false);
  native.unlockByte(other, 1);
  expect(native.lockByte(file, 1)).toBe(true);
  native.closeFile(file);
  native.closeFile(other);
});

test('bytes far apart and side by side are locked each by itself', async () => {
  const { path, file } = await namedFile(newDirectory(), 4096);
  const other = native.openFile(path, true);
  const bytes = Array.from({ length: 2001 }, (_, byte) => byte).slice(1);
  for (const byte of bytes) expect(native.lockByte(byte % 2 === 0 ? file : other, byte)).toBe(true);
  for (const byte of bytes) {
    const [holder, stranger] = byte % 2 === 0 ? [file, other] : [other, file];
    expect(native.isByteLocked(stranger, byte)).toBe(true);
    expect(native.lockByte(stranger, byte)).toBe(false);
    expect(native.isByteLocked(holder, byte)).toBe(false);
  }
  expect(native.isByteLocked(other, 2001)).toBe(false);
  for (const byte of [2, 1000, 2000]) {
    native.unlockByte(file, byte);
    expect(native.isByteLocked(other, byte)).toBe(false);
    expect(native.isByteLocked(file, byte - 1)).toBe(true);
    expect(native.lockByte(other, byte)).toBe(true);
  }
  native.closeFile(file);
  for (const byte of bytes) expect(native.lockByte(other, byte)).toBe(true);
  native.closeFile(other);
});

test('one lock among many bytes is told, wherever it is, and none beside them', async () => {
  const { path, file } = await namedFile(newDirectory());
  const other = native.openFile(path, true);
  native.unlockByte(file, 0);
  for (const byte of [10, 15, 19]) {
    expect(native.isByteLocked(other, 10, 20)).toBe(false);
    expect(native.lockByte(file, byte)).toBe(true);
    expect(native.isByteLocked(other, 10, 20)).toBe(true);
    expect(native.isByteLocked(file, 10, 20)).toBe(false);
    native.unlockByte(file, byte);
  }
  for (const byte of [9, 20]) expect(native.lockByte(file, byte)).toBe(true);
  expect(native.isByteLocked(other, 10, 20)).toBe(false);
  expect(native.isByteLocked(other, 10, 21)).toBe(true);
  expect(() => native.isByteLocked(other, 10, 10)).toThrow(TypeError);
  native.closeFile(file);
  native.closeFile(other);
});

test('the holder itself is told that the byte is not locked by another, and may take it again', async () => {
  const { file } = await namedFile(newDirectory());
  expect(native.isByteLocked(file, 0)).toBe(false);
  expect(native.lockByte(file, 0)).toBe(true);
  native.closeFile(file);
});

test('closing frees the locks at once, though the mapping lives on in a job', async () => {
  const { path, file } = await namedFile(newDirectory(), 32 << 20);
  const other = native.openFile(path, true);
  native.mapFile(file);
  const jobs = [native.populateFile(file, 0), native.allocateFile(file)];
  native.closeFile(file);
  expect(native.isByteLocked(other, 0)).toBe(false);
  for (const result of await Promise.allSettled(jobs)) {
    if (result.status === 'rejected') expect(result.reason.code).toBe('ECANCELED');
  }
  native.closeFile(other);
});

test('a file that was opened for reading sees locks and can take none', async () => {
  const { path, file } = await namedFile(newDirectory());
  const reading = native.openFile(path, false);
  expect(native.isByteLocked(reading, 0)).toBe(true);
  expect((await systemError(() => native.lockByte(reading, 1))).code).toBe('EACCES');
  native.closeFile(reading);
  native.closeFile(file);
});

test('threads exclude each other; the end of a thread frees its locks', async () => {
  const { path, file } = await namedFile(newDirectory());
  const worker = await holdInThread(path, 5);
  const second = await holdInThread(path, 6);
  expect(native.isByteLocked(file, 5)).toBe(true);
  expect(native.lockByte(file, 6)).toBe(false);
  await worker.terminate();
  expect(native.isByteLocked(file, 5)).toBe(false);
  expect(native.isByteLocked(file, 6)).toBe(true);
  await second.terminate();
  expect(native.lockByte(file, 6)).toBe(true);
  native.closeFile(file);
});

test('processes exclude each other; SIGKILL frees the locks', async () => {
  const { path, file } = await namedFile(newDirectory());
  const child = await holdInProcess(path, 5);
  expect(native.lockByte(file, 5)).toBe(false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await until('the lock is free', () => !native.isByteLocked(file, 5));
  expect(native.lockByte(file, 5)).toBe(true);
  native.closeFile(file);
});

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { binding, type FileHandle } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { descriptorsIn, namedFile, systemError, until } from './addon.js';

const native = binding();
const MIB = 1 << 20;

const areAll = (bytes: Buffer, value: number) => bytes.equals(Buffer.alloc(bytes.length, value));
const allocated = (path: string) => statSync(path).blocks * 512;

function directoryOnDisk(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-punching-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/**
 * A disk's file system may take a block for a file that is in many pieces, which a hole makes one more of: ext4 keeps
 * four in the inode. With memory each page is told as it is.
 */
const BLOCK_OF_PIECES = 4096;

describe.each([
  ['in memory', newDirectory, 0],
  ['where temporary files lie', directoryOnDisk, BLOCK_OF_PIECES],
])('%s', (_, directory, forPieces) => {
  test('what lies behind is given back and reads as 0, what lies before stays', async () => {
    const { path, file } = await namedFile(directory(), 8 * MIB);
    const bytes = Buffer.from(native.mapFile(file)).fill(0xa5);
    const reading = native.openFile(path, false);
    const seen = Buffer.from(native.mapFile(reading));
    expect(seen.equals(bytes)).toBe(true);
    // Written back now: done meanwhile, that would make more pieces, too.
    await native.flushFrames(file, 0, 0, 0, 0, true);
    const before = allocated(path);

    const punching = native.openFile(path, true);
    const from = 3 * MIB + 5000;
    const hole = 3 * MIB + 8192;
    await native.punchHole(punching, from);
    expect(allocated(path)).toBeLessThanOrEqual(before - (8 * MIB - hole) + forPieces);
    expect(allocated(path)).toBeGreaterThanOrEqual(hole);
    expect(statSync(path).size).toBe(8 * MIB);
    for (const view of [seen, bytes]) {
      expect(areAll(view.subarray(0, hole), 0xa5)).toBe(true);
      expect(areAll(view.subarray(hole), 0)).toBe(true);
    }
    for (const each of [punching, reading, file]) native.closeFile(each);
  });

  test('again, from the end and from behind the end it does nothing', async () => {
    const { path, file } = await namedFile(directory(), 4 * MIB);
    Buffer.from(native.mapFile(file)).fill(1);
    await native.flushFrames(file, 0, 0, 0, 0, true);
    const whole = allocated(path);
    for (const from of [4 * MIB, 4 * MIB - 4095, 5 * MIB, 2 ** 31]) {
      await native.punchHole(file, from);
      expect(allocated(path)).toBe(whole);
    }
    await native.punchHole(file, MIB);
    const rest = allocated(path);
    await native.punchHole(file, MIB);
    expect(allocated(path)).toBe(rest);
    await native.punchHole(file, 0);
    expect(allocated(path)).toBe(0);
    expect(statSync(path).size).toBe(4 * MIB);
    native.closeFile(file);
  });

  test('the last page goes too where it is one in part', async () => {
    const path = join(directory(), 'odd');
    writeFileSync(path, 'x'.repeat(9000));
    const file = native.openFile(path, true);
    await native.punchHole(file, 4096);
    expect(allocated(path)).toBe(4096);
    expect(Buffer.from(native.mapFile(file)).toString()).toBe('x'.repeat(4096) + '\0'.repeat(9000 - 4096));
    native.closeFile(file);
  });
});

test('it may be closed in the middle: the front stays, the rest is as it was or gone', async () => {
  const directory = newDirectory();
  let stoppedEarly = 0;
  for (let round = 0; round < 20; round++) {
    const path = join(directory, `file-${round}`);
    const file = native.createFileNow(directory, 16 * MIB, 0o600);
    native.linkFile(file, path);
    Buffer.from(native.mapFile(file)).fill(0xa5);
    const reading = native.openFile(path, false);
    const job = native.punchHole(file, 8192);
    for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    native.closeFile(file);
    const [result] = await Promise.allSettled([job]);
    if (result.status === 'rejected') expect(result.reason.code).toBe('ECANCELED');
    const bytes = Buffer.from(native.mapFile(reading));
    const end = bytes.indexOf(0xa5, 8192);
    expect(areAll(bytes.subarray(0, 8192), 0xa5)).toBe(true);
    if (end !== -1) {
      stoppedEarly++;
      expect(result.status).toBe('rejected');
      expect(areAll(bytes.subarray(8192, end), 0)).toBe(true);
      expect(areAll(bytes.subarray(end), 0xa5)).toBe(true);
    }
    native.closeFile(reading);
    rmSync(path);
  }
  expect(stoppedEarly).toBeGreaterThan(0);
  await until('no descriptor is open', () => descriptorsIn(directory) === 0);
});

test('a file that was opened for reading, or is closed, is refused', async () => {
  const { path, file } = await namedFile(newDirectory(), 65536);
  const reading = native.openFile(path, false);
  expect(await systemError(() => native.punchHole(reading, 0))).toMatchObject({
    code: 'EACCES',
    syscall: 'fallocate',
  });
  native.closeFile(file);
  expect(await systemError(() => native.punchHole(file, 0))).toMatchObject({
    code: 'EBADF',
    syscall: 'punchHole',
  });
  expect(allocated(path)).toBe(65536);
  for (const from of [-1, 0.5, Number.NaN, 2 ** 40, '0', undefined]) {
    expect(() => native.punchHole(reading, from as number), String(from)).toThrow(TypeError);
  }
  for (const foreign of [undefined, {}, 1]) {
    expect(() => native.punchHole(foreign as unknown as FileHandle, 0)).toThrow(TypeError);
  }
  native.closeFile(reading);
});

test('a file system without holes says so', async ({ skip }) => {
  const disk = join(newDirectory(), 'disk');
  mkdirSync(disk);
  if (process.getuid?.() !== 0 || spawnSync('mount', ['-t', 'ramfs', 'ramfs', disk]).status !== 0) skip();
  onTestFinished(() => expect(spawnSync('umount', [disk]).status).toBe(0));
  const path = join(disk, 'file');
  writeFileSync(path, 'x'.repeat(65536));
  const file = native.openFile(path, true);
  expect(await systemError(() => native.punchHole(file, 0))).toMatchObject({
    code: 'EOPNOTSUPP',
    errno: -95,
    syscall: 'fallocate',
  });
  native.closeFile(file);
});

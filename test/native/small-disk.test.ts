import { spawnSync } from 'node:child_process';
import { mkdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { binding, PAGES } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { descriptorsIn, mappingsIn, systemError, until } from './addon.js';

const native = binding();
const DISK_BYTES = 4 << 20;
const disk = join(newDirectory(), 'disk');
mkdirSync(disk);

const mount = () => spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', disk]).status === 0;
const freeBytes = () => {
  const { bavail, bsize } = statfsSync(disk);
  return bavail * bsize;
};
const mounted = process.getuid?.() === 0 && mount();

beforeAll(() => {
  if (mounted) expect(statfsSync(disk).blocks * statfsSync(disk).bsize).toBe(DISK_BYTES);
});
afterAll(async () => {
  if (!mounted) return;
  // A file that is still mapped keeps the disk in use.
  await until('nothing is mapped', () => mappingsIn(disk) === 0);
  expect(spawnSync('umount', [disk], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
});

// Mounting takes root, and a container may refuse it even then.
test.skipIf(!mounted)('a disk that is too small refuses, and keeps nothing', async () => {
  for (let round = 0; round < 3; round++) {
    const error = await systemError(() => native.createFile(disk, DISK_BYTES + 4096, 0o600, PAGES.DIRTY));
    expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
    expect(freeBytes()).toBe(DISK_BYTES);
  }
  const file = await native.createFile(disk, 3 << 20, 0o600, PAGES.DIRTY);
  const error = await systemError(() => native.createFile(disk, 2 << 20, 0o600, PAGES.DIRTY));
  expect(error).toMatchObject({ code: 'ENOSPC' });
  expect(freeBytes()).toBe(1 << 20);
  // What was allocated is there: storing to every page of it can't fail.
  new Uint8Array(native.mapFile(file)).fill(1);
  native.closeFile(file);
});

test.skipIf(!mounted)('so it refuses what is prepared or made at once', async () => {
  await until('the disk is empty', () => freeBytes() === DISK_BYTES);
  for (const pages of Object.values(PAGES)) {
    const preparation = native.prepareFile(disk, DISK_BYTES + 4096, 0o600, pages, pages === PAGES.CLEAN);
    const error = await systemError(() => native.takePrepared(preparation, true));
    expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
    expect(freeBytes()).toBe(DISK_BYTES);
    expect(descriptorsIn(disk)).toBe(0);
  }
  const file = native.createFileNow(disk, 3 << 20, 0o600);
  const error = await systemError(() => native.createFileNow(disk, 2 << 20, 0o600));
  expect(error).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
  expect(freeBytes()).toBe(1 << 20);
  native.closeFile(file);
});

test.skipIf(!mounted)('a punched hole makes room on a disk that is full', async () => {
  await until('the disk is empty', () => freeBytes() === DISK_BYTES);
  const full = native.createFileNow(disk, DISK_BYTES, 0o600);
  new Uint8Array(native.mapFile(full)).fill(1);
  expect((await systemError(() => native.createFileNow(disk, 4096, 0o600))).code).toBe('ENOSPC');
  await native.punchHole(full, 1 << 20);
  const second = native.createFileNow(disk, 3 << 20, 0o600);
  native.closeFile(second);
  native.closeFile(full);
});

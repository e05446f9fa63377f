import { execFileSync } from 'node:child_process';
import {
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { binding, PAGES } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { namedFile, systemError } from './addon.js';

const native = binding();

test('a new file has no name, is allocated whole, zero and writable', async () => {
  const directory = newDirectory();
  const file = await native.createFile(directory, 1 << 20, 0o640, PAGES.DIRTY);
  const stat = native.statFile(file);
  expect(stat).toMatchObject({ bytes: 1 << 20, regular: true });
  expect(readdirSync(directory)).toEqual([]);
  const bytes = new Uint8Array(native.mapFile(file));
  expect(bytes.length).toBe(1 << 20);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  bytes[12345] = 67;
  const path = join(directory, 'named');
  native.linkFile(file, path);
  const named = statSync(path);
  expect(native.statFile(file)).toMatchObject({ inode: named.ino, device: named.dev });
  expect(named.blocks * 512).toBeGreaterThanOrEqual(1 << 20);
  expect(named.mode & 0o777).toBe(0o640 & ~process.umask());
  expect(readFileSync(path)[12345]).toBe(67);
  native.closeFile(file);
});

test('a name that is taken is not taken over', async () => {
  const directory = newDirectory();
  const { path, file } = await namedFile(directory);
  const second = await native.createFile(directory, 4096, 0o600, PAGES.DIRTY);
  const error = await systemError(() => native.linkFile(second, path));
  expect(error).toMatchObject({ code: 'EEXIST', errno: -17, syscall: 'linkat' });
  expect(error.message).toBe('EEXIST: File exists, linkat');
  native.closeFile(second);
  native.closeFile(file);
});

test('statFile knows the file system, also once the name is gone', async () => {
  const { path, file } = await namedFile(newDirectory());
  const { type } = statfsSync(path);
  unlinkSync(path);
  expect(native.statFile(file).fileSystem).toBe(type);
  native.closeFile(file);
});

test('two opens of a file see the same memory', async () => {
  const { path, file } = await namedFile(newDirectory());
  const other = native.openFile(path, true);
  const mine = new Int32Array(native.mapFile(file));
  const theirs = new Int32Array(native.mapFile(other));
  mine[1000] = 42;
  expect(theirs[1000]).toBe(42);
  native.allowWrites(other, 4096);
  theirs[3] = 7;
  expect(mine[3]).toBe(7);
  expect(native.mapFile(other)).toBe(theirs.buffer);
  native.closeFile(other);
  native.closeFile(file);
});

test('populating and allocating leave what is written', async () => {
  const { path, file } = await namedFile(newDirectory(), 2 << 20);
  const bytes = new Uint8Array(native.mapFile(file)).fill(0xa5);
  const other = native.openFile(path, true);
  await native.populateFile(other, 0);
  await native.allocateFile(other);
  native.allowWrites(other, 8192);
  await native.populateFile(other, 0);
  await native.populateFile(file, 0);
  expect(bytes.every((byte) => byte === 0xa5)).toBe(true);
  expect(native.statFile(file).bytes).toBe(2 << 20);
  native.closeFile(other);
  native.closeFile(file);
});

test('allocating fills the holes of a sparse file', async () => {
  const path = join(newDirectory(), 'sparse');
  writeFileSync(path, '');
  truncateSync(path, 1 << 20);
  expect(statSync(path).blocks).toBe(0);
  const file = native.openFile(path, true);
  await native.allocateFile(file);
  expect(statSync(path).blocks * 512).toBe(1 << 20);
  native.closeFile(file);
});

test('a file of odd length is mapped whole', async () => {
  const path = join(newDirectory(), 'odd');
  writeFileSync(path, 'x'.repeat(5001));
  const file = native.openFile(path, true);
  expect(Buffer.from(native.mapFile(file)).toString()).toBe('x'.repeat(5001));
  native.allowWrites(file, 8192);
  await native.populateFile(file, 0);
  await expect(async () => native.allowWrites(file, 12288)).rejects.toThrow(RangeError);
  await expect(async () => native.allowWrites(file, 100)).rejects.toThrow(RangeError);
  native.closeFile(file);
});

test('a file that was opened for reading stays unwritable', async () => {
  const { path, file } = await namedFile(newDirectory());
  const reading = native.openFile(path, false);
  expect(await systemError(() => native.allowWrites(reading, 4096))).toMatchObject({
    code: 'EACCES',
    syscall: 'mprotect',
  });
  await native.populateFile(reading, 0);
  await expect(native.allocateFile(reading)).rejects.toMatchObject({ code: 'EBADF', syscall: 'fallocate' });
  native.closeFile(reading);
  native.closeFile(file);
});

test('only regular files with something in them are mapped', async () => {
  const directory = newDirectory();
  const empty = join(directory, 'empty');
  writeFileSync(empty, '');
  const fifo = join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const huge = join(directory, 'huge');
  writeFileSync(huge, '');
  truncateSync(huge, 2 ** 40);
  for (const [path, code] of [
    [empty, 'EINVAL'],
    [fifo, 'ENODEV'],
    [directory, 'ENODEV'],
    ['/dev/null', 'ENODEV'],
    [huge, 'EFBIG'],
  ]) {
    const file = native.openFile(path, false);
    expect(await systemError(() => native.mapFile(file))).toMatchObject({ code, syscall: 'mmap' });
    expect((await systemError(() => native.populateFile(file, 0))).code).toBe(code);
    expect(native.statFile(file).regular).toBe(path === empty || path === huge);
    native.closeFile(file);
  }
});

test('what cannot be opened says why', async () => {
  const directory = newDirectory();
  symlinkSync(join(directory, 'loop'), join(directory, 'loop'));
  const open = (path: string) => systemError(() => native.openFile(path, true));
  expect(await open(join(directory, 'none'))).toMatchObject({ code: 'ENOENT', syscall: 'open', errno: -2 });
  expect((await open(join(directory, 'loop'))).code).toBe('ELOOP');
  expect((await open(directory)).code).toBe('EISDIR');
  expect((await open(`/${'x'.repeat(5000)}`)).code).toBe('ENAMETOOLONG');
  expect((await open(`/${'x'.repeat(300)}`)).code).toBe('ENAMETOOLONG');
  const create = (path: string) => systemError(() => native.createFile(path, 4096, 0o600, PAGES.DIRTY));
  expect(await create(join(directory, 'none'))).toMatchObject({ code: 'ENOENT', syscall: 'open(O_TMPFILE)' });
  expect((await create('/proc')).code).toBe('EOPNOTSUPP');
});

import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/runtime/disk.js';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import * as L from '../../lib/log/cursors/cursor-layout.js';
import { CursorName } from '../../lib/log/cursors/cursor-name.js';
import { binding, type FileHandle } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { closingAll, holdLock, openFile, pathIn } from './cursor-files.js';

closingAll();

describe('a cursor', () => {
  test('has no place before it is set, and then the one that it was set to', async () => {
    const { cursor } = openFile();
    const one = cursor('one');
    expect([one.name, one.get(), one.lag]).toEqual(['one', undefined, undefined]);
    await one.set(0);
    expect([one.get(), one.lag]).toEqual([0, 1000]);
    await one.set(990);
    expect([one.get(), one.lag]).toEqual([990, 10]);
    expect(cursor('two').get()).toBeUndefined();
  });

  test('is there for whoever opens the file later, and at once for whoever has it open', async () => {
    const { directory, cursor } = openFile();
    const elsewhere = openFile(directory).cursor('one');
    const reading = openFile(directory, { readOnly: true }).cursor('one');
    expect([elsewhere.get(), reading.get()]).toEqual([undefined, undefined]);
    for (const offset of [1, 2, 3, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      await cursor('one').set(offset);
      expect([elsewhere.get(), reading.get()]).toEqual([offset, offset]);
    }
    expect(openFile(directory).cursor('one').get()).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('is waited for on the disk no longer than it is said', async () => {
    const { directory, cursor } = openFile();
    const one = cursor('one');
    await one.set(1);
    const aborted = await failure(() => one.flush({ signal: AbortSignal.abort('enough') }));
    expect(aborted).toMatchObject({ code: 'ERR_ABORTED', path: directory, cause: 'enough' });
    expect(await failure(() => one.flush({ timeout: 1 } as object))).toMatchObject({ option: 'timeout' });
    const { release } = holdLock(directory);
    const set = one.set(2);
    const late = await failure(() => one.flush({ timeoutMs: 20 }));
    expect(late).toMatchObject({ code: 'ERR_TIMEOUT', path: directory, timeoutMs: 20 });
    const patient = one.flush({ timeoutMs: 200_000, signal: new AbortController().signal });
    release();
    await Promise.all([set, patient]);
    expect(one.get()).toBe(2);
  });

  test('does not go back but by force', async () => {
    const { directory, cursor } = openFile();
    const one = cursor('one');
    await one.set(10);
    await one.set(10);
    const error = await failure(() => one.set(9));
    expect(error).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      path: directory,
      cursor: 'one',
      current: 10,
    });
    expect(error.message).toContain('force: true');
    expect(await failure(() => one.set(9, { force: false }))).toMatchObject({ current: 10 });
    expect(one.get()).toBe(10);
    await one.set(3, { force: true });
    expect(one.get()).toBe(3);
    await one.set(4);
    expect(one.get()).toBe(4);
  });

  test('is neither set nor deleted under a signal that is aborted, or with limits that are none', async () => {
    const { directory, cursor } = openFile();
    const signal = AbortSignal.abort();
    const one = cursor('one');
    for (const current of [undefined, 5]) {
      if (current !== undefined) await one.set(current);
      const aborted = { code: 'ERR_ABORTED', path: directory };
      expect(await failure(() => one.set(7, { signal }))).toMatchObject(aborted);
      expect(await failure(() => one.delete({ signal }))).toMatchObject(aborted);
      const wrong = { timeoutMs: -1 };
      expect((await failure(() => one.set(7, wrong))).code).toBe('ERR_INVALID_ARGUMENT');
      expect((await failure(() => one.delete(wrong))).code).toBe('ERR_INVALID_ARGUMENT');
      expect(one.get()).toBe(current);
    }
  });

  test('that is moved on by two stands at the higher of both', async () => {
    const { directory, cursor } = openFile();
    const other = openFile(directory).cursor('one');
    expect(await cursor('one').advance(7)).toBe(7);
    expect(await other.advance(5)).toBe(7);
    expect(await other.advance(9)).toBe(9);
    expect(await cursor('one').advance(9)).toBe(9);
    expect(cursor('one').get()).toBe(9);
  });

  test('that is deleted was never set', async () => {
    const { directory, file, cursor } = openFile();
    const other = openFile(directory).cursor('one');
    expect(await other.delete()).toBe(false);
    await cursor('one').set(10);
    await cursor('two').set(20);
    expect(await other.delete()).toBe(true);
    expect(await other.delete()).toBe(false);
    expect([cursor('one').get(), cursor('two').get()]).toEqual([undefined, 20]);
    expect(file.list().map(({ name }) => name)).toEqual(['two']);
    await cursor('one').set(1);
    expect(other.get()).toBe(1);
  });

  test('needs offsets and options that can be', async () => {
    const { directory, cursor } = openFile();
    const one = cursor('one');
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53, '1', undefined, 1n]) {
      expect(await failure(() => one.set(offset as number))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect(await failure(() => one.set(1, { force: 1 as never }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    expect(await failure(() => one.set(1, { farce: true } as never))).toMatchObject({ meant: 'force' });
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe('names', () => {
  test.each(['a', 'A.b_c-9', '...', '-', 'x'.repeat(200)])('%s', async (name) => {
    const { file, cursor } = openFile();
    await cursor(name).set(5);
    expect(cursor(name).get()).toBe(5);
    expect(file.list()).toEqual([{ name, offset: 5, slot: 0, damage: [] }]);
  });

  test.each([
    '',
    '.',
    '..',
    'a/b',
    '../x',
    'ä',
    'a b',
    'a\n',
    'a\0',
    'x'.repeat(201),
    5,
    undefined,
    null,
    ['a'],
  ])('not %j', (name) => {
    const { cursor } = openFile();
    expect(thrown(() => cursor(name as string))).toMatchObject({ code: 'ERR_INVALID_NAME' });
  });
});

describe('the file', () => {
  test('is made by the first set, and not before', async () => {
    const { directory, file, cursor } = openFile();
    expect(cursor('one').get()).toBeUndefined();
    expect([file.list(), file.lowest()]).toEqual([[], undefined]);
    expect(await cursor('one').delete()).toBe(false);
    await cursor('one').flush();
    expect(readdirSync(directory)).toEqual([]);
    await cursor('one').set(1);
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
    expect(statSync(pathIn(directory)).mode & 0o777).toBe(0o600);
  });

  test('that many make at once is one', async () => {
    const { directory } = openFile();
    const all = Array.from({ length: 10 }, (_, i) => openFile(directory).cursor(`cursor-${i}`));
    await Promise.all(all.map((cursor, i) => cursor.set(i)));
    const { file } = openFile(directory);
    expect(file.list().map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('lists its cursors by their names, and knows the lowest', async () => {
    const { file, cursor } = openFile();
    for (const [name, offset] of [
      ['b', 7],
      ['c', 30],
      ['a', 12],
    ] as const)
      await cursor(name).set(offset);
    expect(file.list().map(({ name, offset }) => [name, offset])).toEqual([
      ['a', 12],
      ['b', 7],
      ['c', 30],
    ]);
    expect(file.lowest()).toBe(7);
    await cursor('b').set(100);
    expect(file.lowest()).toBe(12);
  });

  test('grows, and everybody goes over to the larger one', async () => {
    const { directory, cursor } = openFile();
    const first = cursor('cursor-000');
    await first.set(1000);
    const writing = openFile(directory);
    const reading = openFile(directory, { readOnly: true });
    expect([writing.cursor('cursor-000').get(), reading.cursor('cursor-000').get()]).toEqual([1000, 1000]);
    const names = Array.from({ length: 300 }, (_, i) => `cursor-${String(i).padStart(3, '0')}`);
    for (const [i, name] of names.entries()) await cursor(name).set(1000 + i);
    await first.set(5000);
    for (const { file } of [writing, reading]) {
      expect(file.list().map(({ name }) => name)).toEqual(names);
      expect(file.list().map(({ offset }) => offset)).toEqual(
        names.map((_, i) => (i === 0 ? 5000 : 1000 + i)),
      );
    }
    await writing.cursor('cursor-299').set(6000);
    expect([cursor('cursor-299').get(), reading.cursor('cursor-299').get()]).toEqual([6000, 6000]);
    expect(statSync(pathIn(directory)).size).toBe(L.HEADER_BYTES + 512 * L.SLOT_BYTES);
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
  });

  test('keeps its permissions when it grows', async () => {
    const { directory, cursor } = openFile();
    await cursor('0').set(0);
    chmodSync(pathIn(directory), 0o666);
    for (let i = 1; i < 65; i++) await cursor(`${i}`).set(i);
    expect(statSync(pathIn(directory)).mode & 0o777).toBe(0o666);
  });

  test('that two grow at once has all cursors of both', async () => {
    const { directory } = openFile();
    const sides = ['a', 'b', 'c'].map((side) => ({ side, ...openFile(directory) }));
    await Promise.all(
      sides.flatMap(({ side, cursor }) =>
        Array.from({ length: 100 }, (_, i) => cursor(`${side}-${i}`).set(i + 1)),
      ),
    );
    for (const { file } of sides) {
      expect(file.list().length).toBe(300);
      expect(file.list().reduce((sum, { offset }) => sum + (offset as number), 0)).toBe(3 * 5050);
    }
  });

  test('uses again what a deleted cursor had', async () => {
    const { directory, cursor } = openFile();
    for (let i = 0; i < 200; i++) {
      await cursor(`cursor-${i}`).set(i);
      expect(await cursor(`cursor-${i}`).delete()).toBe(true);
    }
    expect(statSync(pathIn(directory)).size).toBe(L.HEADER_BYTES + L.FIRST_SLOTS * L.SLOT_BYTES);
    expect(cursor('cursor-7').get()).toBeUndefined();
  });

  test('has room for so many and not more', async () => {
    const { directory, file, cursor } = openFile();
    const all = Array.from({ length: L.MOST_SLOTS }, (_, i) => cursor(`${i}`));
    for (const [i, one] of all.entries()) await one.set(i);
    expect(await failure(() => cursor('more').set(1))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      path: directory,
    });
    expect(file.list().length).toBe(L.MOST_SLOTS);
    await all[77].delete();
    await cursor('more').set(1);
    expect(cursor('more').get()).toBe(1);
  });

  test('changes nothing where it is open for reading only', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    await cursor('one').flush();
    const before = readFileSync(pathIn(directory));
    const reading = openFile(directory, { readOnly: true });
    expect(reading.cursor('one').get()).toBe(1);
    expect(reading.file.list().length).toBe(1);
    for (const change of [
      () => reading.cursor('one').set(2),
      () => reading.cursor('new').set(2),
      () => reading.cursor('one').delete(),
      () => reading.file.repair(() => Promise.resolve()),
    ]) {
      expect(await failure(change)).toMatchObject({ code: 'ERR_PERMISSION', path: directory });
    }
    await reading.cursor('one').flush();
    await reading.file.close();
    expect(readFileSync(pathIn(directory)).equals(before)).toBe(true);
  });

  test('that has no room on the disk is refused, and made once there is some', async () => {
    const { directory, cursor } = openFile();
    const full = Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28, syscall: 'fallocate' });
    const making = vi.spyOn(binding(), 'createFile').mockRejectedValue(full);
    const refused = {
      code: 'ERR_NO_SPACE',
      path: pathIn(directory),
      needed: L.HEADER_BYTES + 64 * L.SLOT_BYTES,
    };
    expect(await failure(() => cursor('0').set(0))).toMatchObject(refused);
    expect(readdirSync(directory)).toEqual([]);
    making.mockRestore();
    for (let i = 0; i < 64; i++) await cursor(`${i}`).set(i);
    const growing = vi.spyOn(binding(), 'createFile').mockRejectedValue(full);
    expect(await failure(() => cursor('64').set(64))).toMatchObject({ code: 'ERR_NO_SPACE' });
    await cursor('63').set(100);
    growing.mockRestore();
    await cursor('64').set(64);
    expect([cursor('63').get(), cursor('64').get()]).toEqual([100, 64]);
  });

  test('that can not take the place of the smaller one leaves that as it was', async () => {
    const { directory, cursor } = openFile();
    for (let i = 0; i < 64; i++) await cursor(`${i}`).set(i);
    const other = openFile(directory);
    expect(other.cursor('5').get()).toBe(5);
    const refused = Object.assign(new Error('no'), { code: 'EACCES', errno: -13, syscall: 'linkat' });
    vi.spyOn(binding(), 'linkFile').mockImplementationOnce(() => {
      throw refused;
    });
    expect(await failure(() => cursor('64').set(64))).toMatchObject({
      code: 'ERR_PERMISSION',
      cause: refused,
    });
    await cursor('5').set(50);
    expect(other.cursor('5').get()).toBe(50);
    await other.cursor('64').set(64);
    expect(cursor('64').get()).toBe(64);
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
  });

  test('that was removed in use is missed at the next flush', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    rmSync(pathIn(directory));
    await cursor('one').set(2);
    expect(await failure(() => cursor('one').flush())).toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(await failure(() => cursor('one').set(3))).toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(cursor('one').get()).toBe(2);
    expect(openFile(directory).cursor('one').get()).toBeUndefined();
  });

  test('needs its directory', async () => {
    const { cursor } = openFile(join(newDirectory(), 'none'));
    expect(cursor('one').get()).toBeUndefined();
    expect(await failure(() => cursor('one').set(1))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('is no directory', async () => {
    const { directory, cursor } = openFile();
    mkdirSync(pathIn(directory));
    expect(thrown(() => cursor('one').get()).code).toBe('ERR_FORMAT');
    expect((await failure(() => cursor('one').set(1))).code).toBe('ERR_FORMAT');
  });

  test('that somebody was about to replace when he died is gone on with', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    const other = openFile(directory);
    expect(other.cursor('one').get()).toBe(1);
    writeFileSync(join(directory, '.cursors.mr.replacing'), 'half');
    const moved = Buffer.alloc(4);
    moved.writeInt32LE(L.MOVED);
    const descriptor = openSync(pathIn(directory), 'r+');
    writeSync(descriptor, moved, 0, 4, L.MOVED_OFFSET);
    closeSync(descriptor);
    expect(cursor('one').get()).toBe(1);
    await cursor('one').set(2);
    expect(other.cursor('one').get()).toBe(2);
    expect(readFileSync(pathIn(directory)).readInt32LE(L.MOVED_OFFSET)).toBe(0);
    expect(readdirSync(directory)).toEqual(['cursors.mr']);
  });
});

describe('a deleted cursor', () => {
  const slotsOf = (file: CursorFile) => Object.fromEntries(file.list().map(({ name, slot }) => [name, slot]));

  /** Its process dies when the cursor is deleted, and the disk has not been told yet. */
  async function dieDeleting(directory: string, name: string): Promise<void> {
    const file = new CursorFile(directory);
    const native = binding();
    const { openFile } = native;
    let handle: FileHandle | undefined;
    const opening = vi.spyOn(native, 'openFile').mockImplementation((...given) => {
      handle = openFile(...given);
      return handle;
    });
    const syncing = vi.spyOn(disk, 'flushFrames').mockReturnValue(new Promise(() => {}));
    void file.delete(new CursorName(name));
    await vi.waitFor(() => expect(syncing).toHaveBeenCalled());
    opening.mockRestore();
    syncing.mockRestore();
    native.closeFile(handle as FileHandle);
  }

  test('is gone from the disk, too, when that resolves', async () => {
    const { cursor } = openFile();
    await cursor('one').set(1);
    await cursor('one').flush();
    const synced = vi.spyOn(disk, 'flushFrames');
    expect(await cursor('one').delete()).toBe(true);
    expect(synced).toHaveBeenCalledTimes(1);
  });

  test('keeps its slot from others until the disk knows of it, and gets it back when it is set again', async () => {
    const { directory, cursor } = openFile();
    for (const name of ['one', 'two', 'three']) await cursor(name).set(5);
    // Nothing is left to sync but what is deleted.
    await cursor('one').flush();
    await dieDeleting(directory, 'one');
    await dieDeleting(directory, 'two');
    const { file, cursor: later } = openFile(directory);
    expect([later('one').get(), later('two').get()]).toEqual([undefined, undefined]);
    await later('new').set(1);
    await later('two').set(2);
    expect(slotsOf(file)).toEqual({ two: 1, three: 2, new: 3 });
    expect(await later('three').delete()).toBe(true);
    await later('newer').set(1);
    await later('newest').set(1);
    expect(slotsOf(file)).toEqual({ newer: 0, two: 1, newest: 2, new: 3 });
  });

  test('that stands in two slots after a power cut is set again where it was last', async () => {
    const { directory, cursor } = openFile();
    await cursor('other').set(5);
    await cursor('one').set(5);
    const bytes = readFileSync(pathIn(directory));
    const at = (slot: number) => L.HEADER_BYTES + slot * L.SLOT_BYTES;
    bytes.copy(bytes, at(0), at(1), at(2));
    bytes.writeInt32LE(L.SLOT_DELETED, at(0));
    const left = newDirectory();
    writeFileSync(pathIn(left), bytes);
    const { file, cursor: later } = openFile(left);
    expect(slotsOf(file)).toEqual({ one: 1 });
    expect(later('one').get()).toBe(5);
    await dieDeleting(left, 'one');
    expect(later('one').get()).toBeUndefined();
    await later('one').set(1);
    expect(slotsOf(file)).toEqual({ one: 1 });
  });
});

test('a directory that is renamed takes its cursors along', async () => {
  const { directory, file, cursor } = openFile();
  await cursor('one').set(1);
  await file.close();
  renameSync(directory, `${directory}-new`);
  expect(existsSync(directory)).toBe(false);
  expect(openFile(`${directory}-new`).cursor('one').get()).toBe(1);
});

test('a name stands in its slot as the format says', async () => {
  const { directory, cursor } = openFile();
  await cursor('some-name').set(2 ** 40 + 5);
  const bytes = readFileSync(pathIn(directory));
  const at = L.HEADER_BYTES;
  expect(bytes.toString('latin1', 0, 8)).toBe('MRLOGCUR');
  expect(bytes.length).toBe(L.HEADER_BYTES + L.FIRST_SLOTS * L.SLOT_BYTES);
  expect(bytes.readInt32LE(at)).toBe(L.SLOT_USED);
  expect(bytes.readInt32LE(at + L.NAME_LENGTH_OFFSET)).toBe(9);
  expect(bytes.toString('latin1', at + L.NAME_OFFSET, at + L.NAME_OFFSET + 9)).toBe('some-name');
  expect(bytes.readInt32LE(at + L.COPIES_OFFSET + L.OWNER_OFFSET)).toBe(new CursorName('some-name').crc);
  expect(bytes.readBigUInt64LE(at + L.COPIES_OFFSET + L.VALUE_OFFSET)).toBe(2n ** 40n + 5n);
  expect(bytes.readInt32LE(at + L.SLOT_BYTES)).toBe(L.SLOT_FREE);
});

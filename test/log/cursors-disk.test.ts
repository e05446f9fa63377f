import { describe, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/runtime/disk.js';
import { environment } from '../../lib/channel/runtime/environment.js';
import { failure, thrown } from '../helpers/failure.js';
import { closingAll, holdLock, openFile, pathIn } from './cursor-files.js';

closingAll();

const noFiles = () => Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24, syscall: 'open' });

/** Whoever wants to sync a directory finds so many times that no more files can be opened. */
function shortOfFiles(times: number) {
  const names = vi.spyOn(disk, 'syncDirectory');
  for (let i = 0; i < times; i++) names.mockRejectedValueOnce(noFiles());
  return names;
}

describe('the lock', () => {
  test('of another one is waited for, in the order in which changes were asked for', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    const lock = holdLock(directory);
    const order: string[] = [];
    const changes = [
      cursor('one')
        .set(50, { force: true })
        .then(() => order.push('first')),
      cursor('one')
        .set(20, { force: true })
        .then(() => order.push('second')),
      cursor('two')
        .set(7)
        .then(() => order.push('third')),
      cursor('one')
        .delete()
        .then(() => order.push('fourth')),
      cursor('one')
        .set(3)
        .then(() => order.push('fifth')),
    ];
    const flushed = cursor('one')
      .flush()
      .then(() => order.push('flushed'));
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([order, cursor('one').get()]).toEqual([[], 1]);
    lock.release();
    await Promise.all(changes);
    expect(order.slice(0, 5)).toEqual(['first', 'second', 'third', 'fourth', 'fifth']);
    await flushed;
    expect([cursor('one').get(), cursor('two').get()]).toEqual([3, 7]);
  });

  test('is waited for by who deletes the first one that there is as that is set', async () => {
    const { cursor } = openFile();
    const changes = [cursor('one').set(1), cursor('one').delete(), cursor('two').set(2)];
    expect(await Promise.all(changes)).toEqual([undefined, true, undefined]);
    expect([cursor('one').get(), cursor('two').get()]).toEqual([undefined, 2]);
  });

  test('is waited for as long as the caller says', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    const lock = holdLock(directory);
    const gone = new AbortController();
    const aborted = failure(() => cursor('one').set(2, { signal: gone.signal }));
    const behind = failure(() => cursor('one').set(3, { timeoutMs: 5 }));
    const path = directory;
    expect(await behind).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 5, path });
    gone.abort();
    expect(await aborted).toMatchObject({ code: 'ERR_ABORTED', path });
    expect(await failure(() => cursor('one').delete({ timeoutMs: 1 }))).toMatchObject({
      code: 'ERR_TIMEOUT',
      path,
    });
    lock.release();
    expect(cursor('one').get()).toBe(1);
    await cursor('one').set(4);
    expect(cursor('one').get()).toBe(4);
  });

  test('does not stand in the way of who reads', async () => {
    const { directory, file, cursor } = openFile();
    await cursor('one').set(1);
    const lock = holdLock(directory);
    expect([cursor('one').get(), file.list().length]).toEqual([1, 1]);
    lock.release();
  });
});

describe('the disk', () => {
  test('has what was set before a flush, and the name, in one sync for all', async () => {
    const { directory, cursor } = openFile();
    const files = vi.spyOn(disk, 'flushFrames');
    const names = vi.spyOn(disk, 'syncDirectory');
    await cursor('one').set(1);
    // The file itself, before it had its name.
    expect([files.mock.calls.length, names.mock.calls.length]).toEqual([1, 0]);
    await Promise.all([cursor('one').flush(), cursor('two').flush(), cursor('one').flush()]);
    expect([files.mock.calls.length, names.mock.calls.length]).toEqual([2, 1]);
    expect(names).toHaveBeenCalledWith(directory);
    await cursor('one').set(2);
    await cursor('one').flush();
    expect([files.mock.calls.length, names.mock.calls.length]).toEqual([3, 1]);
  });

  test('is synced once more for who sets while a sync runs', async () => {
    const { cursor } = openFile();
    await cursor('one').set(1);
    const flush = disk.flushFrames;
    const ends: (() => void)[] = [];
    const begun: (number | undefined)[] = [];
    vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
      begun.push(cursor('one').get());
      await new Promise<void>((resolve) => ends.push(resolve));
      return flush(...given);
    });
    let second = false;
    const first = cursor('one').flush();
    await vi.waitFor(() => expect(begun).toEqual([1]));
    await cursor('one').set(2);
    const next = cursor('one')
      .flush()
      .then(() => {
        second = true;
      });
    ends[0]();
    await first;
    expect(second).toBe(false);
    await vi.waitFor(() => expect(begun).toEqual([1, 2]));
    ends[1]();
    await next;
  });

  test('is synced soon after a set without being asked, once for many', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const { cursor } = openFile();
      await cursor('one').set(1);
      const flush = disk.flushFrames;
      const synced = vi.spyOn(disk, 'flushFrames').mockImplementation((...given) => flush(...given));
      for (let i = 2; i < 100; i++) await cursor('one').set(i);
      vi.advanceTimersByTime(99);
      await Promise.resolve();
      expect(synced).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      await vi.waitFor(() => expect(synced).toHaveBeenCalledTimes(1));
      vi.advanceTimersByTime(1000);
      await Promise.resolve();
      expect(synced).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test('that failed is told of, to everybody, and nothing more is set', async () => {
    const { directory, file, cursor } = openFile();
    await cursor('one').set(1);
    const other = openFile(directory).cursor('two');
    await other.set(2);
    const cause = Object.assign(new Error('EIO'), { code: 'EIO', errno: -5, syscall: 'fdatasync' });
    const failing = vi.spyOn(disk, 'flushFrames').mockRejectedValue(cause);
    expect(await failure(() => cursor('one').flush())).toMatchObject({
      code: 'ERR_SYNC_FAILED',
      errno: -5,
      syscall: 'fdatasync',
      path: pathIn(directory),
      cause,
    });
    failing.mockRestore();
    const later = openFile(directory).cursor('three');
    for (const attempt of [
      () => cursor('one').flush(),
      () => cursor('one').set(3),
      () => cursor('one').delete(),
      () => other.set(3),
      () => other.flush(),
      () => later.set(3),
      () => file.close(),
    ]) {
      expect(await failure(attempt)).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    }
    expect([other.get(), later.get()]).toEqual([2, undefined]);
  });

  test('that failed in the background is told of at the next use', async () => {
    const { file, cursor } = openFile();
    await cursor('one').set(1);
    const failing = vi.spyOn(disk, 'flushFrames').mockRejectedValue(new Error('EIO'));
    await vi.waitFor(() => expect(failing).toHaveBeenCalled());
    expect(await failure(() => cursor('one').set(2))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(cursor('one').get()).toBe(1);
    expect(await failure(() => file.close())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
  });

  test('that could not be asked for want of files is asked again, and nothing is locked by that', async () => {
    const { directory, file, cursor } = openFile();
    await cursor('one').set(1);
    const names = shortOfFiles(1);
    expect(await failure(() => cursor('one').flush())).toMatchObject({
      code: 'ERR_SYSTEM',
      path: pathIn(directory),
    });
    await vi.waitFor(() => expect(names).toHaveBeenCalledTimes(2));
    await cursor('one').set(2);
    await openFile(directory).cursor('two').set(3);
    await file.close();
  });

  test.each(['EACCES', 'ENOMEM'])(
    'that could not be asked since its directory could not be opened (%s) is asked again',
    async (code) => {
      const { directory, file, cursor } = openFile();
      await cursor('one').set(1);
      const cause = Object.assign(new Error(code), { code, errno: -1, syscall: 'open' });
      const names = vi.spyOn(disk, 'syncDirectory').mockRejectedValueOnce(cause);
      expect(await failure(() => cursor('one').flush())).toMatchObject({ path: pathIn(directory), cause });
      await vi.waitFor(() => expect(names).toHaveBeenCalledTimes(2));
      await cursor('one').set(2);
      await openFile(directory).cursor('two').set(3);
      await file.close();
    },
  );

  test('gets what is outstanding at close where there were no files for a moment', async () => {
    const { file, cursor } = openFile();
    await cursor('one').set(1);
    let fail = () => {};
    const names = vi.spyOn(disk, 'syncDirectory').mockImplementationOnce(
      () =>
        new Promise((_, reject) => {
          fail = () => reject(noFiles());
        }),
    );
    const flushed = failure(() => cursor('one').flush());
    await vi.waitFor(() => expect(names).toHaveBeenCalledTimes(1));
    const closed = file.close();
    // Nothing is due but the round that is to fail: close waits for that.
    await new Promise(setImmediate);
    fail();
    await closed;
    expect(names).toHaveBeenCalledTimes(2);
    expect(await flushed).toMatchObject({ code: 'ERR_SYSTEM' });
  });

  test('that there are no files for is told of at close, and not tried again', async () => {
    const { directory, file, cursor } = openFile();
    await cursor('one').set(1);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      shortOfFiles(2);
      expect(await failure(() => cursor('one').flush())).toMatchObject({ code: 'ERR_SYSTEM' });
      expect(vi.getTimerCount()).toBeGreaterThan(0);
      expect(await failure(() => file.close())).toMatchObject({ code: 'ERR_SYSTEM' });
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
    const again = openFile(directory).cursor('one');
    await again.set(2);
    await again.flush();
  });

  test('that failed before the machine was started again is trusted again', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    vi.spyOn(disk, 'flushFrames').mockRejectedValueOnce(new Error('EIO'));
    expect(await failure(() => cursor('one').flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    vi.spyOn(environment, 'bootId').mockReturnValue(Buffer.alloc(16, 7));
    const again = openFile(directory).cursor('one');
    await again.set(2);
    await again.flush();
    expect(again.get()).toBe(2);
  });

  test('gets what is outstanding at close', async () => {
    const { directory, file, cursor } = openFile();
    await cursor('one').set(1);
    const synced = vi.spyOn(disk, 'flushFrames');
    const lock = holdLock(directory);
    const late = cursor('one').set(2);
    const closed = file.close();
    expect(file.close()).toBe(closed);
    const refused = thrown(() => cursor('one').get());
    expect(refused).toMatchObject({ code: 'ERR_CLOSED_HANDLE', path: directory });
    expect(refused.message).toBe(`This log of ${directory} is closed`);
    lock.release();
    await Promise.all([late, closed]);
    expect(synced).toHaveBeenCalledTimes(1);
    for (const use of [
      () => cursor('one').set(3),
      () => cursor('one').flush(),
      () => cursor('one').delete(),
      () => file.list(),
      () => file.lowest(),
      () => cursor('one').lag,
    ]) {
      expect((await failure(use)).code).toBe('ERR_CLOSED_HANDLE');
    }
    const again = openFile(directory).cursor('one');
    expect(again.get()).toBe(2);
  });

  test('is not touched by a close of who set nothing', async () => {
    const { directory, cursor } = openFile();
    await cursor('one').set(1);
    await cursor('one').flush();
    const other = openFile(directory);
    expect(other.cursor('one').get()).toBe(1);
    const synced = vi.spyOn(disk, 'flushFrames');
    await other.file.close();
    expect(synced).not.toHaveBeenCalled();
  });
});

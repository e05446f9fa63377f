import { copyFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { disk } from '../../lib/channel/index.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { DATA, FRAME, fileOf, shorten, someLog } from './damaging.js';

/** A name that leads to itself: unlike one that has nothing, it can't be looked at, by root neither. */
function loop(path: string): string {
  rmSync(path, { force: true });
  symlinkSync(path, path);
  return path;
}

const unlookable = (path: string) => ({ code: 'ERR_SYSTEM', path, cause: { code: 'ELOOP' } });

async function logOfThree(options: LogOptions = {}): Promise<Log> {
  const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none', ...options });
  onTestFinished(() => log.close().catch(() => {}));
  while (log.segments().length < 3) await log.commit('x'.repeat(500));
  return log;
}

describe('what can’t be looked at is told in the words of the library, with its cause', () => {
  test.each<[string, (path: string) => Promise<unknown>]>([
    ['Log.open', (path) => Log.open(path)],
    ['Log.open to read', (path) => Log.open(path, { readOnly: true })],
    ['Log.verify', (path) => Log.verify(path)],
    ['Log.repair', (path) => Log.repair(path)],
  ])('%s: a log’s directory', async (_, open) => {
    const path = loop(newPath());
    expect(await failure(() => open(path))).toMatchObject(unlookable(path));
  });

  test('a segment whose size is asked for', async () => {
    const log = await logOfThree();
    const path = loop(log.segments()[1].path);
    expect(await failure(() => log.segments())).toMatchObject(unlookable(path));
  });

  test('a segment that was mapped before', async () => {
    const log = await logOfThree();
    await using reading = await Log.open(log.path, { readOnly: true });
    const last = log.next - 1;
    const again = () => collect(reading.read({ from: last }));
    expect((await again()).map(({ offset }) => offset)).toEqual([last]);
    const path = loop(log.segments()[2].path);
    expect(await failure(again)).toMatchObject(unlookable(path));
  });

  test('the last segment, by who goes on behind it', async () => {
    const log = await logOfThree();
    const path = log.segments()[2].path;
    await log.close();
    loop(path);
    expect(await failure(() => Log.open(log.path))).toMatchObject(unlookable(path));
  });

  test('the file of cursors, while it is in use', async () => {
    const log = await logOfThree();
    await log.cursor('mine').set(1);
    const path = loop(join(log.path, 'cursors.mr'));
    expect(await failure(() => log.cursor('mine').flush())).toMatchObject(unlookable(path));
  });

  test('the file of cursors that is gone when it has to grow', async () => {
    const log = await logOfThree();
    for (let i = 0; i < 64; i++) await log.cursor(`cursor-${i}`).set(1);
    const path = join(log.path, 'cursors.mr');
    rmSync(path);
    expect(await failure(() => log.cursor('one-more').set(1))).toMatchObject({ code: 'ERR_NOT_FOUND', path });
  });

  test('the lock file of a log that several append to, by who joins them', async () => {
    const log = await logOfThree({ writers: 'shared' });
    const native = binding();
    const { openFile } = native;
    onTestFinished(() => void Object.assign(native, { openFile }));
    const path = join(log.path, 'log.lock');
    native.openFile = (opened, writable) => {
      const file = openFile(opened, writable);
      if (opened === path) loop(path);
      return file;
    };
    expect(await failure(() => Log.open(log.path, { writers: 'shared' }))).toMatchObject(unlookable(path));
  });

  test('a segment that there is no memory to map, by who opens the log to append', async () => {
    const log = await logOfThree();
    await log.close();
    const { mapFile } = binding();
    onTestFinished(() => void vi.restoreAllMocks());
    const cause = Object.assign(new Error('no memory'), { code: 'ENOMEM', errno: -12, syscall: 'mmap' });
    let lacking = 0;
    for (let nth = 1; lacking === nth - 1; nth++) {
      let calls = 0;
      vi.spyOn(binding(), 'mapFile').mockImplementation((file) => {
        if (++calls === nth) throw cause;
        return mapFile(file);
      });
      const error = await failure(async () => (await Log.open(log.path)).close()).catch(() => undefined);
      vi.restoreAllMocks();
      if (error === undefined) continue;
      expect(error).toMatchObject({ code: 'ERR_SYSTEM', cause });
      lacking++;
    }
    expect(lacking).toBeGreaterThan(4);
  });

  describe.each([
    ['that there are no files to open', 'EMFILE', 'ERR_SYSTEM'],
    ['that this process may not open', 'EACCES', 'ERR_PERMISSION'],
  ])('a segment %s', (_, code, told) => {
    /** What comes of it where each one of the files that it opens, one after the other, can't be opened. */
    async function eachTime<T>(work: () => Promise<T>): Promise<T[]> {
      const { openFile } = binding();
      onTestFinished(() => void vi.restoreAllMocks());
      const cause = Object.assign(new Error(code), { code, errno: -1, syscall: 'open' });
      const results: T[] = [];
      let failures = 0;
      for (let nth = 1, isCalled = true; isCalled; nth++) {
        let calls = 0;
        vi.spyOn(binding(), 'openFile').mockImplementation((...given) => {
          if (++calls === nth) throw cause;
          return openFile(...given);
        });
        try {
          results.push(await work());
        } catch (error) {
          expect(error).toMatchObject({ code: told, cause });
          failures++;
        }
        vi.restoreAllMocks();
        isCalled = calls >= nth;
      }
      expect(failures).toBeGreaterThan(0);
      return results;
    }

    async function compacted(): Promise<Log> {
      const log = await logOfThree();
      while (log.segments().length < 6) log.append({ key: 'one', value: 'x'.repeat(500) });
      expect((await log.compact()).records).toBeGreaterThan(0);
      return log;
    }

    test.each(['verify', 'repair'] as const)('by %s, which takes nothing for missing', async (how) => {
      const log = await compacted();
      await log.close();
      for (const faults of await eachTime(async () => (await Log[how](log.path)).faults))
        expect(faults).toEqual([]);
    });

    test('by who tells by segments, one of which was cut short, of which log they are', async () => {
      const { directory, bases } = await someLog(2);
      const stray = await someLog(2);
      copyFileSync(fileOf(stray.directory, bases[1]), fileOf(directory, bases[1]));
      shorten(fileOf(directory, bases[0]), DATA + 3 * FRAME);
      const { faults } = await Log.verify(directory);
      expect(faults).toHaveLength(2);
      for (const found of await eachTime(async () => (await Log.verify(directory)).faults))
        expect(found).toEqual(faults);
    });

    test('by who asks how far all is on the disk, or what cursors have to read', async () => {
      const log = await compacted();
      const { next, path } = log;
      await log.cursor('mine').set(next - 2);
      await log.flush();
      const asked = await eachTime(async () => {
        await using reading = await Log.open(path, { readOnly: true });
        return { durable: reading.durable, cursors: reading.cursors() };
      });
      const mine = { name: 'mine', offset: next - 2, lag: 2 };
      for (const told of asked) expect(told).toEqual({ durable: next, cursors: [mine] });
    });
  });

  test('the lock file of a log that several append to, of which no page may be written for want of memory', async () => {
    const log = await logOfThree({ writers: 'shared' });
    const path = join(log.path, 'log.lock');
    const cause = Object.assign(new Error('no memory'), { code: 'ENOMEM', errno: -12, syscall: 'mprotect' });
    const writable = vi.spyOn(binding(), 'allowWrites');
    onTestFinished(() => writable.mockRestore());
    writable.mockImplementationOnce(() => {
      throw cause;
    });
    expect(await failure(() => Log.open(log.path))).toMatchObject({ code: 'ERR_SYSTEM', path, cause });
  });

  test.each(['exclusive', 'shared'] as const)(
    'a file, where there are no locks by open file description: %s',
    async (writers) => {
      const log = await logOfThree({ writers });
      await log.cursor('mine').set(1);
      const cause = Object.assign(new Error('no'), {
        code: 'EINVAL',
        errno: -22,
        syscall: 'fcntl(F_OFD_SETLK)',
      });
      const refused = vi.spyOn(binding(), 'lockByte');
      const asked = vi.spyOn(binding(), 'isByteLocked');
      onTestFinished(() => {
        refused.mockRestore();
        asked.mockRestore();
      });
      for (const lock of [refused, asked]) {
        lock.mockImplementation(() => {
          throw cause;
        });
      }
      const path = join(log.path, 'log.lock');
      const told = { code: 'ERR_FILESYSTEM', path, cause };
      await using reading = await Log.open(log.path, { readOnly: true });
      expect(thrown(() => reading.hasWriter)).toMatchObject(told);
      expect(await failure(() => log.compact())).toMatchObject(told);
      if (writers === 'shared') expect(await failure(() => log.appendAsync('x'))).toMatchObject(told);
      expect(await failure(() => Log.open(log.path))).toMatchObject(told);
      expect(await failure(() => Log.repair(log.path))).toMatchObject({ code: 'ERR_FILESYSTEM', cause });
      expect(await failure(() => log.cursor('mine').set(2))).toMatchObject({
        code: 'ERR_FILESYSTEM',
        path: join(log.path, 'cursors.mr'),
        cause,
      });
    },
  );

  test('the directory of a log that is compacted, when its names are to reach the disk', async () => {
    const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none' });
    onTestFinished(() => log.close());
    while (log.segments().length < 3) log.append({ key: 'one', value: 'x'.repeat(500) });
    await log.flush();
    const refused = vi.spyOn(disk, 'syncDirectory');
    onTestFinished(() => refused.mockRestore());
    const cause = Object.assign(new Error('EMFILE: too many open files'), {
      code: 'EMFILE',
      syscall: 'open',
    });
    refused.mockRejectedValue(cause);
    const error = await failure(() => log.compact());
    expect(error).toMatchObject({ code: 'ERR_SYSTEM', path: log.path, cause });
  });
});

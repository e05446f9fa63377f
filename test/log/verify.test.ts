import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { openMapped, WRITER_LOCK_BYTE } from '../../lib/channel/file/mapped.js';
import { Marks } from '../../lib/channel/file/marks.js';
import { inspect, verify } from '../../lib/channel/index.js';
import { TAIL_OFFSET } from '../../lib/channel/layout.js';
import { diskBytes } from '../../lib/log/files/directory.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import {
  DATA,
  damage,
  FRAME,
  fileOf,
  flip,
  justRolled,
  overwrite,
  remove,
  shorten,
  someLog,
  textOf,
  unseal,
} from './damaging.js';

test('a log that is as its writer left it is sound, and nothing in it is changed', async () => {
  const { directory, next } = await someLog();
  const before = contentsOf(directory);
  expect(await Log.verify(directory)).toEqual({
    path: directory,
    sound: true,
    faults: [],
    segments: 4,
    records: next,
    checked: next,
    earliest: 0,
    next,
    durable: 0,
    foreign: [],
    cutOffAt: undefined,
  });
  expect(contentsOf(directory)).toEqual(before);
});

test('an empty log is sound, and no log is none', async () => {
  const directory = newDirectory();
  expect((await failure(() => Log.verify(directory))).code).toBe('ERR_NOT_FOUND');
  expect((await failure(() => Log.verify(join(directory, 'none')))).code).toBe('ERR_NOT_FOUND');
  await (await Log.open(directory)).close();
  expect(await Log.verify(directory)).toMatchObject({ sound: true, segments: 0, records: 0, next: 0 });
});

test('records of all kinds, compressed ones too, and compacted segments are sound', async () => {
  const directory = newDirectory();
  const log = await Log.open(directory, { segment: '16KiB', compression: 'deflate' });
  for (let i = 0; log.segments().length < 4; i++) {
    log.append({ key: `k${i % 5}`, value: Buffer.alloc(100, i), headers: [['a', 'b']], ttlMs: 1e9 });
    log.appendBatch(Array.from({ length: 20 }, (_, n) => ({ key: 'b', value: `${i} ${n}`.repeat(9) })));
  }
  log.append({ key: 'k1', value: null });
  expect(await log.verify()).toMatchObject({ sound: true, records: log.next });
  await log.compact();
  const { sound, records, next } = await log.verify();
  expect([sound, next, records < next]).toEqual([true, log.next, true]);
  await log.close();
  expect((await Log.verify(directory)).sound).toBe(true);
});

test('beside a writer it looks through as much as there is', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  const verifications = [];
  for (let round = 0; round < 20; round++) {
    const { next } = log;
    const verifying = log.verify();
    for (let i = 0; i < 200; i++) log.append(textOf(log.next));
    const verification = await verifying;
    verifications.push(verification.sound && verification.next >= next);
    for (let i = 0; i < 200; i++) log.append(textOf(log.next));
  }
  expect(verifications).toEqual(Array(20).fill(true));
});

describe('beside those who write it', () => {
  test('what retention removes meanwhile is not missing: it is the log that is left', async () => {
    const { directory, bases, next } = await someLog();
    const first = diskBytes(fileOf(directory, bases[0])) as number;
    const onProgress = (done: number) => {
      if (done <= first) return;
      for (const base of bases.slice(0, 2)) rmSync(fileOf(directory, base), { force: true });
    };
    expect(await Log.verify(directory, { onProgress })).toMatchObject({
      sound: true,
      segments: 2,
      records: next - bases[2],
      checked: next - bases[2],
      earliest: bases[2],
      next,
      durable: bases[2],
    });
  });

  test('what is gone while it is looked for, and not the first: that is missing', async () => {
    const { directory, bases } = await someLog();
    const first = diskBytes(fileOf(directory, bases[0])) as number;
    const onProgress = (done: number) => {
      if (done > first) rmSync(fileOf(directory, bases[1]), { force: true });
    };
    const { faults, earliest } = await Log.verify(directory, { onProgress });
    expect(faults).toMatchObject([{ code: 'ERR_GAP', offset: bases[1], nextOffset: bases[2] }]);
    expect(earliest).toBe(0);
  });

  test('one that appends in its turn while the end is looked for', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, { writers: 'shared' });
    const path = fileOf(directory, 0);
    await log.appendAsync('one');
    await log.flush();
    const before = readFileSync(path).fill(0, TAIL_OFFSET, TAIL_OFFSET + 12);
    const { tail } = inspect(path);
    await log.appendAsync('two');
    await log.flush();
    const after = readFileSync(path);
    await log.close();
    overwrite(path, 0, before);
    const { strideOf } = Marks.prototype;
    let hasAppended = false;
    const looking = vi.spyOn(Marks.prototype, 'strideOf').mockImplementation(function (
      this: Marks,
      position,
    ) {
      if (position === tail && !hasAppended) {
        hasAppended = true;
        overwrite(path, 0, after);
      }
      return strideOf.call(this, position);
    });
    onTestFinished(() => looking.mockRestore());
    expect(await verify(path)).toMatchObject({ sound: true, status: 'dead', records: 1, faults: [] });
    expect(hasAppended).toBe(true);
  });

  test('one that has begun a segment, and not yet said how far the one before goes', async () => {
    const { directory } = await justRolled();
    const path = fileOf(directory, 0);
    unseal(path);
    overwrite(path, TAIL_OFFSET, Buffer.alloc(12));
    const { file } = openMapped(path, 'write');
    onTestFinished(() => binding().closeFile(file));
    expect(binding().lockByte(file, WRITER_LOCK_BYTE)).toBe(true);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, faults: [], records: 1 });
  });
});

test('batches that take long to unpack leave the event loop its turns', async () => {
  const directory = newDirectory();
  const log = await Log.open(directory, { compression: 'deflate', sync: 'none' });
  for (let i = 0; i < 20; i++) log.appendBatch(['one'.repeat(100), 'two'.repeat(100)]);
  await log.close();
  const { inflateRawSync } = zlib;
  const unpacking = vi.spyOn(zlib, 'inflateRawSync').mockImplementation((...args) => {
    const until = performance.now() + 6;
    while (performance.now() < until);
    return inflateRawSync(...args);
  });
  onTestFinished(() => unpacking.mockRestore());
  let turns = 0;
  let counting = setImmediate(function count() {
    turns++;
    counting = setImmediate(count);
  });
  onTestFinished(() => clearImmediate(counting));
  expect(await Log.verify(directory)).toMatchObject({ sound: true, records: 40 });
  expect(unpacking).toHaveBeenCalledTimes(20);
  expect(turns).toBeGreaterThanOrEqual(20);
});

describe('each fault is told, with its file and place', () => {
  test('a damaged record: its offset, and the next one', async () => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[1]);
    damage(path, bases[1], bases[1] + 7);
    damage(path, bases[1], bases[1] + 30);
    damage(path, bases[1], bases[1] + 31);
    const { sound, faults } = await Log.verify(directory);
    expect(sound).toBe(false);
    const at = (offset: number, nextOffset: number) => ({
      code: 'ERR_CORRUPT',
      file: path,
      position: (offset - bases[1]) * FRAME,
      next: (nextOffset - bases[1]) * FRAME,
      offset,
      nextOffset,
    });
    const [first, ...others] = faults;
    expect(first).toMatchObject(at(bases[1] + 7, bases[1] + 8));
    const { position, ...lost } = at(bases[1] + 30, bases[1] + 32);
    expect(others[0].position).toBe(position);
    expect(others.at(-1)).toMatchObject(lost);
  });

  test('a damaged header', async () => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[2]);
    flip(path, 100);
    const { faults } = await Log.verify(directory);
    expect(faults).toMatchObject([
      { code: 'ERR_FORMAT', file: path, offset: bases[2], nextOffset: bases[3] },
    ]);
  });

  test('a missing segment in the middle, by the offsets that were in it', async () => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[1]);
    remove(path);
    const { faults } = await Log.verify(directory);
    expect(faults).toMatchObject([{ code: 'ERR_GAP', file: path, offset: bases[1], nextOffset: bases[2] }]);
  });

  test('a segment under another name', async () => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[3] + 5);
    renameSync(fileOf(directory, bases[3]), path);
    const { faults } = await Log.verify(directory);
    expect(faults.map(({ code, file }) => [code, file])).toEqual([['ERR_FORMAT', path]]);
    expect(faults[0].message).toContain(`the one of record ${bases[3]}, under a wrong name`);
  });

  test('a copy of a segment in the place of another one, with the offsets that are gone for it', async () => {
    for (const [from, to] of [
      [0, 1],
      [2, 0],
      [1, 3],
    ]) {
      const { directory, bases } = await someLog();
      const path = fileOf(directory, bases[to]);
      cpSync(fileOf(directory, bases[from]), path);
      const { faults, records } = await Log.verify(directory);
      const gone = { offset: bases[to], nextOffset: bases[to + 1] };
      expect(faults).toMatchObject([{ code: 'ERR_FORMAT', file: path, ...gone }]);
      expect(records).toBeLessThanOrEqual(bases[3]);
    }
  });

  test('a copy of a segment between two that follow each other: nothing is gone for it', async () => {
    const { directory, bases, next } = await someLog();
    const path = fileOf(directory, bases[1] + 5);
    cpSync(fileOf(directory, bases[1]), path);
    const { faults, records } = await Log.verify(directory);
    expect(faults).toMatchObject([{ code: 'ERR_FORMAT', file: path, offset: undefined }]);
    expect(records).toBe(next);
  });

  test('a segment of another log', async () => {
    const [{ directory, bases }, other] = [await someLog(), await someLog()];
    const path = fileOf(directory, bases[1]);
    cpSync(fileOf(other.directory, bases[1]), path);
    const { faults } = await Log.verify(directory);
    const gone = { offset: bases[1], nextOffset: bases[2] };
    expect(faults).toMatchObject([{ code: 'ERR_FORMAT', file: path, ...gone }]);
    expect(faults[0].message).toContain('another log');
  });

  test.each([0, 3])('a segment that was cut short: number %i', async (number) => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[number]);
    shorten(path, DATA + 1000);
    const { faults } = await Log.verify(directory);
    expect(faults).toMatchObject([{ code: 'ERR_TRUNCATED', file: path }]);
  });

  test('an end that is gone: all that was behind it, up to the next segment', async () => {
    const { directory, bases } = await someLog();
    const path = fileOf(directory, bases[0]);
    const count = bases[1];
    flip(path, DATA + (count - 1) * FRAME + 8);
    flip(path, DATA + count * FRAME + 8);
    const { faults } = await Log.verify(directory);
    expect(faults[0]).toMatchObject({ code: 'ERR_CORRUPT', file: path, offset: count - 1 });
    expect(faults.at(-1)).toMatchObject({ file: path, nextOffset: bases[1] });
  });

  test('a lock file that is damaged, or missing', async () => {
    const { directory } = await someLog();
    const path = join(directory, 'log.lock');
    flip(path, 20);
    expect((await Log.verify(directory)).faults).toMatchObject([{ code: 'ERR_FORMAT', file: path }]);
    remove(path);
    expect((await Log.verify(directory)).faults).toMatchObject([{ code: 'ERR_FORMAT', file: path }]);
  });

  test('a cursor that nobody can tell, and a file of cursors that is none', async () => {
    const { directory } = await someLog();
    const log = await Log.open(directory);
    await log.cursor('one').set(3);
    await log.close();
    const path = join(directory, 'cursors.mr');
    const { size } = await import('node:fs').then(({ statSync }) => statSync(path));
    writeFileSync(path, Buffer.alloc(size, 1));
    expect((await Log.verify(directory)).faults).toMatchObject([{ code: 'ERR_FORMAT', file: path }]);
  });

  test('one wrong bit of a cursor’s slot: told with its place, and put right by repairing', async () => {
    const { directory, next } = await someLog();
    const log = await Log.open(directory);
    await log.cursor('abc').set(1);
    await log.cursor('abc').set(2);
    await log.close();
    const path = join(directory, 'cursors.mr');
    const sound = readFileSync(path);
    for (const [position, offset, what] of [
      [4096, 2, "that the cursor 'abc' is there"],
      [4100, 2, "the name of the cursor 'abc'"],
      [4104, 2, "the name of the cursor 'abc'"],
      [4304, 2, "the name of the cursor 'abc'"],
      [4096 + 384 + 8, 1, "the cursor 'abc' may have stood behind 1"],
      [4096 + 512 * 9, 2, 'that it is free'],
    ] as const) {
      flip(path, position);
      const { faults } = await Log.verify(directory);
      expect(faults).toMatchObject([{ code: 'ERR_CORRUPT', file: path, position }]);
      expect(faults[0].message).toContain(`of ${path} is damaged: ${what}`);
      await using reading = await Log.open(directory, { readOnly: true });
      const damaged = position < 4096 + 512 ? { damaged: true } : {};
      expect(reading.cursors()).toEqual([{ name: 'abc', offset, lag: next - offset, ...damaged }]);
      expect(await Log.repair(directory)).toMatchObject({ faults, cursors: [], lost: [] });
      expect(readFileSync(path).equals(sound)).toBe(true);
      expect((await Log.verify(directory)).sound).toBe(true);
    }
  });
});

test('what is not of the log is named, and is no fault', async () => {
  const { directory } = await someLog();
  writeFileSync(join(directory, 'notes.txt'), 'mine');
  expect(await Log.verify(directory)).toMatchObject({ sound: true, foreign: ['notes.txt'] });
});

test('of a log in which nothing is it can be aborted, too, and repairing that', async () => {
  const directory = newDirectory();
  await (await Log.open(directory)).close();
  const options = { signal: AbortSignal.abort('enough') };
  for (const look of [Log.verify, Log.repair]) {
    const error = await failure(() => look(directory, options));
    expect(error).toMatchObject({ code: 'ERR_ABORTED', path: directory, cause: 'enough' });
  }
});

test('it can be aborted, and tells how far it has come', async () => {
  const { directory } = await someLog();
  const seen: [number, number][] = [];
  await Log.verify(directory, { onProgress: (done, total) => seen.push([done, total]) });
  expect(seen.length).toBeGreaterThanOrEqual(4);
  expect(seen.map(([done]) => done)).toEqual(seen.map(([done]) => done).sort((a, b) => a - b));
  expect(new Set(seen.map(([, total]) => total)).size).toBe(1);
  expect(seen.at(-1)?.[0]).toBe(seen[0][1]);
  expect((await failure(() => Log.verify(directory, { signal: AbortSignal.abort() }))).code).toBe(
    'ERR_ABORTED',
  );
  expect((await failure(() => Log.verify(directory, { onProgres: 1 } as object))).code).toBe(
    'ERR_INVALID_ARGUMENT',
  );
});

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PAGES } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import { descriptorsIn, mappedKilobytes, mappingsIn, namedFile, until } from './addon.js';
import {
  Area,
  area,
  check,
  DATA,
  directoryOnDisk,
  END,
  INCARNATION,
  native,
  occupyPool,
  PAD,
  seenByAnother,
  TMPFS_MAGIC,
  turnOfTheLoop,
} from './frame-area.js';

test('flushFrames does the same off the event loop', async () => {
  const { file, memory } = await area();
  const places = memory.lay(48, 11, [
    [DATA, 1000],
    [PAD, 64],
    [DATA, 33],
    [END, 16],
  ]);
  const end = places.pop() as number;
  const before = memory.bytes.slice();
  for (const sync of [false, true]) {
    memory.bytes.set(before);
    const release = occupyPool();
    const flushed = native.flushFrames(file, 48, end, 11, INCARNATION, sync);
    await turnOfTheLoop();
    expect(Buffer.compare(memory.bytes, before), 'not before it is its turn').toBe(0);
    await release();
    expect(await flushed).toBe(end);
    expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  }
});

test('summedTo tells how far a flush has come', async () => {
  const { file, memory } = await area(8 << 20);
  expect(native.summedTo(file)).toBe(0);
  const [, , end] = memory.lay(0, 0, [
    [DATA, 4 << 20],
    [DATA, 2 << 20],
  ]);
  const release = occupyPool();
  const flushed = native.flushFrames(file, 0, end, 0, INCARNATION, false);
  await turnOfTheLoop();
  expect(native.summedTo(file)).toBe(0);
  await release();
  await flushed;
  expect(native.summedTo(file)).toBe(end);
  // One of no frames says nothing of any.
  await native.flushFrames(file, 0, 0, 0, 0, true);
  expect(native.summedTo(file)).toBe(end);
  // What is no frame is never said to have a checksum.
  expect(await native.flushFrames(file, 0, end + 64, 0, INCARNATION, false)).toBe(end);
  expect(native.summedTo(file)).toBe(end);
});

test('flushFrames goes on to its end when the file is closed meanwhile', async () => {
  for (const sync of [false, true]) {
    const { path, file, memory } = await area();
    const seen = seenByAnother(path);
    const [at, end] = memory.lay(0, 0, [[DATA, 60_000]]);
    const right = memory.rightChecksum(at);
    const release = occupyPool();
    const flushed = native.flushFrames(file, 0, end, 0, INCARNATION, sync);
    native.closeFile(file);
    expect(seen.checksum(at)).toBe(0);
    await release();
    expect(await flushed).toBe(end);
    expect(seen.checksum(at)).toBe(right);
  }
});

test('files may be closed anywhere in the middle of a flush', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 30; round++) {
    const file = await native.createFile(directory, 8 << 20, 0o600, PAGES.DIRTY);
    native.linkFile(file, join(directory, `${round}`));
    const [, end] = new Area(native.mapFile(file)).lay(0, round, [[DATA, 8 << 20]]);
    const jobs = [true, false, false].map((sync) =>
      native.flushFrames(file, 0, end, round, INCARNATION, sync),
    );
    for (let turn = 0; turn < round; turn++) await turnOfTheLoop();
    native.closeFile(file);
    expect(await Promise.all(jobs)).toEqual([end, end, end]);
    const bytes = readFileSync(join(directory, `${round}`));
    expect(native.checkFrames(bytes, 0, end, round, INCARNATION, end)).toBe(end);
    rmSync(join(directory, `${round}`));
  }
  expect(descriptorsIn(directory)).toBe(0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
});

test('flushFrames brings the file to its disk where it is told to', async ({ skip }) => {
  const directory = directoryOnDisk();
  const { path, file } = await namedFile(directory, 1 << 20);
  onTestFinished(() => native.closeFile(file));
  const memory = new Area(native.mapFile(file)).scribble();
  const places = memory.lay(0, 6, [
    [DATA, 500_000],
    [DATA, 500],
  ]);
  const end = places.pop() as number;
  const canBeSeen = native.statFile(file).fileSystem !== TMPFS_MAGIC && mappedKilobytes(directory).Dirty > 0;
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, false)).toBe(end);
  const dirty = mappedKilobytes(directory).Dirty;
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  for (const at of places) memory.setChecksum(at, 0);
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, true)).toBe(end);
  expect(memory.checksums(places)).toEqual(memory.rightChecksums(places));
  expect(native.checkFrames(readFileSync(path), 0, end, 6, INCARNATION, end)).toBe(end);
  if (!canBeSeen) skip('this system doesn’t tell which pages are on the disk');
  expect(dirty).toBeGreaterThan(0);
  expect(mappedKilobytes(directory).Dirty).toBe(0);
  // What is no frame is for the caller to look at first.
  memory.put(places[1], DATA, 500, 0);
  expect(await native.flushFrames(file, 0, end, 6, INCARNATION, true)).toBe(places[1]);
  expect(mappedKilobytes(directory).Dirty).toBeGreaterThan(0);
});

test('beginToWrite begins with the pages that it is told of, and with no others', async ({ skip }) => {
  const directory = directoryOnDisk();
  // Of these each page is one of its own.
  const file = await native.createFile(directory, 1 << 20, 0o600, PAGES.SYNCED);
  onTestFinished(() => native.closeFile(file));
  new Area(native.mapFile(file)).scribble();
  const dirty = mappedKilobytes(directory).Dirty;
  if (native.statFile(file).fileSystem === TMPFS_MAGIC || dirty === 0) {
    skip('this system doesn’t tell which pages are on the disk');
  }
  expect(dirty).toBe(1024);
  native.beginToWrite(file, 4096, 4096);
  expect(mappedKilobytes(directory).Dirty).toBe(1024);
  // From within the second page to within the fourth.
  native.beginToWrite(file, 5000, 12_289);
  expect(mappedKilobytes(directory).Dirty).toBe(1024 - 3 * 4);
  // What does not end in the file ends with it.
  native.beginToWrite(file, (1 << 20) - 1, 1 << 21);
  expect(mappedKilobytes(directory).Dirty).toBe(1024 - 4 * 4);
});

test('a sync lets go of the pages that are done with by then, and of no other', async () => {
  const directory = directoryOnDisk();
  const { path, file } = await namedFile(directory, 1 << 20);
  onTestFinished(() => native.closeFile(file));
  const memory = new Area(native.mapFile(file)).scribble();
  // From within the second page to within the 111th.
  const [first, second, end] = memory.lay(4112, 6, [
    [DATA, 400_000],
    [DATA, 48_496],
  ]);
  expect(end / 4096).toBe(110.5);
  const seen = seenByAnother(path);
  expect(seen.bytes.every((byte, at) => byte === memory.bytes[at])).toBe(true);
  const resident = mappedKilobytes(directory).Rss;
  expect(resident).toBe(2048);
  expect(await native.flushFrames(file, first, second, 6, INCARNATION, false)).toBe(second);
  expect(mappedKilobytes(directory).Rss).toBe(resident);
  const stamp = 6 + (second - first) / 16;
  expect(await native.flushFrames(file, second, end, stamp, INCARNATION, false)).toBe(end);
  expect(mappedKilobytes(directory).Rss).toBe(resident);
  // Of the file as it is.
  expect(await native.flushFrames(file, 0, 0, 0, INCARNATION, true)).toBe(0);
  expect(mappedKilobytes(directory).Rss).toBe(resident - 108 * 4);
  // They are in the file, and come back to who looks.
  expect(memory.checksums([first, second])).toEqual(seen.rightChecksums([first, second]));
  expect(Buffer.compare(memory.bytes, seen.bytes)).toBe(0);
  expect(mappedKilobytes(directory).Rss).toBe(resident);
  // One with a stretch of its own lets go of that.
  memory.lay(end, stamp, [[DATA, 81_920]]);
  expect(await native.flushFrames(file, end, end + 81_920, stamp, INCARNATION, true)).toBe(end + 81_920);
  expect(mappedKilobytes(directory).Rss).toBe(resident - 19 * 4);
});

test('many may fill the same frames at once: a checksum is missing or right at every moment', async () => {
  const { file, memory } = await area(4 << 20);
  const frames = Array.from({ length: 2000 }, (_, index) => [DATA, 16 + ((index * 37) % 2000)]);
  const places = memory.lay(0, 0, frames);
  const end = places.pop() as number;
  const right = memory.rightChecksums(places);
  let unfinished = 0;
  // The test is about looks before the last checksum: on a busy machine they may all come after it.
  for (let round = 0; round < 20 || unfinished === 0; round++) {
    for (const at of places) memory.setChecksum(at, 0);
    const starts = [0, 0, places[500], places[1500]];
    let running = starts.length;
    const jobs = starts.map(async (start) => {
      const stop = await native.flushFrames(file, start, end, start / 16, INCARNATION, false);
      running--;
      return stop;
    });
    while (running > 0) {
      if (check(memory, 0, end, 0) < end) unfinished++;
      expect(check(memory, 0, end, 0, 0)).toBe(end);
      if (round % 2 === 1) expect(native.sumFrames(file, 0, end, 0, INCARNATION)).toBe(end);
      await turnOfTheLoop();
    }
    expect(await Promise.all(jobs)).toEqual(starts.map(() => end));
    expect(memory.checksums(places)).toEqual(right);
  }
});

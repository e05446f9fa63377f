import { cpSync, existsSync, readdirSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/runtime/disk.js';
import { FIRST_SLOTS } from '../../lib/log/cursors/cursor-layout.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import { collect } from './collect.js';
import { LEAVING } from './leaving.js';

const opened: Log[] = [];

async function open(directory: string, options: LogOptions = {}): Promise<Log> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  opened.push(log);
  return log;
}

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

describe.each(LEAVING)('a log that is %s while it is appended to', (_, leave) => {
  test('is not gone on with in another segment, neither where it was nor in the one that is made there next', async () => {
    const directory = newDirectory();
    const forgotten = await open(directory, { retention: { segments: 1 } });
    forgotten.append('mine');
    leave(directory);
    const untilRoll = () => {
      for (;;) forgotten.append(Buffer.alloc(3000));
    };
    expect(thrown(untilRoll)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    expect(existsSync(directory)).toBe(false);
    const fresh = await open(directory);
    for (let n = 0; n < 12; n++) expect(fresh.append(Buffer.alloc(3000, n))).toBe(n);
    const before = readdirSync(directory);
    expect(thrown(untilRoll)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    expect(await failure(() => forgotten.commit(Buffer.alloc(3000)))).toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
    expect(await failure(() => forgotten.compact())).toMatchObject({
      code: 'ERR_NOT_FOUND',
      path: directory,
    });
    await forgotten.lookAfter();
    expect(readdirSync(directory)).toEqual(before);
    await forgotten.close();
    expect((await collect(fresh.read())).map(({ value }) => value[0])).toEqual([...Array(12).keys()]);
    expect((await Log.verify(directory)).faults).toEqual([]);
  });

  test.each([false, 'records'] as const)(
    'sets no cursor of the one that is made there next, nor takes one for its own (readOnly: %s)',
    async (readOnly) => {
      const directory = newDirectory();
      const writer = await open(directory);
      writer.appendBatch(['a', 'b', 'c']);
      const forgotten = readOnly === false ? writer : await open(directory, { readOnly });
      const reading = forgotten.read({ cursor: 'mailer' });
      await reading.next();
      leave(directory);
      const fresh = await open(directory);
      fresh.appendBatch(['d', 'e', 'f']);
      const before = readdirSync(directory);
      const gone = { code: 'ERR_NOT_FOUND', path: directory };
      expect(await failure(() => forgotten.cursor('mailer').set(2))).toMatchObject(gone);
      expect(await failure(() => collect(reading))).toMatchObject(gone);
      expect(readdirSync(directory)).toEqual(before);
      await fresh.cursor('mailer').set(1);
      expect(await failure(() => forgotten.cursor('mailer').set(2))).toMatchObject(gone);
      expect(thrown(() => forgotten.cursor('mailer').get())).toMatchObject(gone);
      expect(thrown(() => forgotten.cursors())).toMatchObject(gone);
      expect(fresh.cursors()).toEqual([{ name: 'mailer', offset: 1, lag: 2 }]);
    },
  );

  // So many in one turn of the event loop that they are not kept open: their names are all that there is of them.
  test.each([
    ['none', 600],
    ['none', 1],
    [{ everyMs: 60_000 }, 600],
    [{ everyMs: 60_000 }, 1],
  ] as const)(
    'is not said to be on the disk where its segments would have to be found by their names, nor is another (sync: %j, of %d)',
    async (sync, ofOther) => {
      const directory = newDirectory();
      const forgotten = await Log.open(directory, { segment: '16KiB', sync });
      for (let n = 0; n < 600; n++) forgotten.append(Buffer.alloc(3000));
      leave(directory);
      const other = await open(directory);
      for (let n = 0; n < ofOther; n++) other.append(Buffer.alloc(3000));
      await other.close();
      const before = contentsOf(directory);
      const gone = { code: 'ERR_NOT_FOUND', path: directory };
      expect(await failure(() => forgotten.flush())).toMatchObject(gone);
      expect(await failure(() => forgotten.flush())).toMatchObject(gone);
      expect(forgotten.durable).toBe(0);
      expect(contentsOf(directory)).toEqual(before);
      // It is closed all the same, and says that once more where it was to bring all to the disk.
      if (sync === 'none') await forgotten.close();
      else expect(await failure(() => forgotten.close())).toMatchObject(gone);
    },
  );

  test('puts no larger file of cursors in the place of that of the one that is made there next', async () => {
    const directory = newDirectory();
    const forgotten = await Log.open(directory);
    for (let slot = 0; slot < FIRST_SLOTS; slot++) await forgotten.cursor(`of-old-${slot}`).set(0);
    await forgotten.cursor('of-old-0').flush();
    leave(directory);
    const fresh = await open(directory);
    await fresh.cursor('mailer').set(0);
    const path = join(directory, 'cursors.mr');
    expect(await failure(() => forgotten.cursor('one-more').set(0))).toMatchObject({
      code: 'ERR_NOT_FOUND',
      path,
    });
    expect(await failure(() => forgotten.close())).toMatchObject({ code: 'ERR_NOT_FOUND', path });
    await fresh.cursor('mailer').flush();
    expect(fresh.cursors()).toEqual([{ name: 'mailer', offset: 0, lag: 0 }]);
    expect(readdirSync(directory)).toEqual(['cursors.mr', 'log.lock']);
  });
});

/** A log of several segments in a directory. */
async function makeSegments(directory: string): Promise<void> {
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  while (log.segments().length < 8) log.append({ key: 'k', value: Buffer.alloc(3000) });
}

describe.each([
  ['a copy of it', (directory: string, other: string) => cpSync(directory, other, { recursive: true })],
  ['another one with segments of the same names', (_: string, other: string) => makeSegments(other)],
])('where a log is moved away, and %s put in its place', (_, make) => {
  /** A log, what it is to change places with, and what does that. */
  async function withOther(options: LogOptions) {
    const directory = newDirectory();
    const other = `${directory}-other`;
    await makeSegments(directory);
    await make(directory, other);
    const log = await open(directory, options);
    const exchange = () => {
      renameSync(directory, `${directory}-moved`);
      renameSync(other, directory);
    };
    return { directory, other, log, exchange };
  }

  /** By its segments' names and inodes. */
  const filesIn = (directory: string) =>
    readdirSync(directory).map((name) => [name, statSync(join(directory, name)).ino]);

  test('retention that is under way removes nothing of that', async () => {
    const { directory, other, log, exchange } = await withOther({ retention: { segments: 2 } });
    const { length } = log.segments();
    const { syncDirectory } = disk;
    const before = filesIn(other);
    vi.spyOn(disk, 'syncDirectory').mockImplementation(async (path) => {
      await syncDirectory(path);
      if (existsSync(other) && log.segments().length < length) exchange();
    });
    await log.lookAfter();
    expect(readdirSync(`${directory}-moved`)).toHaveLength(before.length - 1);
    expect(filesIn(directory)).toEqual(before);
  });

  test('compaction that is under way replaces nothing of that', async () => {
    const { directory, other, log, exchange } = await withOther({});
    await log.flush();
    const before = filesIn(other);
    const { flushFrames } = disk;
    // All that was there is on the disk by now: it is the first new segment that is synced.
    vi.spyOn(disk, 'flushFrames').mockImplementationOnce(async (...given) => {
      exchange();
      return flushFrames(...given);
    });
    const gone = { code: 'ERR_NOT_FOUND', path: directory };
    expect(await failure(() => log.compact())).toMatchObject(gone);
    expect(filesIn(directory)).toEqual(before);
  });
});

test('whoever appends by turns with a lock that was removed is refused: others have another one', async () => {
  const directory = newDirectory();
  const before = await open(directory, { writers: 'shared' });
  expect(await before.appendAsync('a')).toBe(0);
  unlinkSync(join(directory, 'log.lock'));
  const after = await open(directory, { writers: 'shared' });
  // It looks at the name now and then.
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 1000);
  for (const append of [() => before.appendAsync('lost'), () => before.commit('lost')]) {
    expect(await failure(append)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  }
  expect(await after.appendAsync('b')).toBe(1);
  expect((await collect(after.read())).map(({ value }) => value.toString())).toEqual(['a', 'b']);
});

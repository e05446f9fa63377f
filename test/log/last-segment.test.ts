import { copyFileSync, cpSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import {
  DATA,
  FRAME,
  fileOf,
  flip,
  overwrite,
  range,
  readable,
  reboot,
  type SomeLog,
  someLog,
  textOf,
} from './damaging.js';

/** What became of the last segment, with the records that were in it. */
const REPLACED: [what: string, replace: (log: SomeLog) => void | Promise<void>][] = [
  [
    'is one of this log from elsewhere',
    ({ directory, bases }) => copyFileSync(fileOf(directory, bases[0]), fileOf(directory, bases[2])),
  ],
  [
    "is another log's",
    async ({ directory, bases }) => {
      const other = await someLog(3);
      copyFileSync(fileOf(other.directory, other.bases[2]), fileOf(directory, bases[2]));
    },
  ],
  ['is a text', ({ directory, bases }) => writeFileSync(fileOf(directory, bases[2]), 'nothing of the kind')],
  ['has no header', ({ directory, bases }) => overwrite(fileOf(directory, bases[2]), 0, Buffer.alloc(200))],
];

describe.each(REPLACED)('where the last segment %s', (_, replace) => {
  test('appending is refused, verify tells, and after repair no offset is given again', async () => {
    const log = await someLog(3);
    const { directory, bases, next } = log;
    const [, , last] = bases;
    await replace(log);
    expect(await failure(() => Log.open(directory))).toMatchObject({
      code: 'ERR_CORRUPT',
      path: fileOf(directory, last),
      message: expect.stringContaining('Log.repair'),
    });
    expect((await Log.verify(directory)).sound).toBe(false);
    const { lost, setAside } = await Log.repair(directory);
    expect(setAside.length).toBeGreaterThan(0);
    expect(await Log.verify(directory)).toMatchObject({ sound: true });
    const kept = await readable(directory);
    expect(kept.slice(0, last)).toEqual(range(0, last));
    const isLost = (offset: number) => lost.some(({ from, to }) => from <= offset && offset < to);
    expect(range(0, next).filter((offset) => isLost(offset) === kept.includes(offset))).toEqual([]);
    await using again = await Log.open(directory);
    expect(again.append('behind')).toBeGreaterThanOrEqual(next);
  });
});

test('a header that never reached the disk, since the machine went down, is no damage', async () => {
  const { directory, bases } = await someLog(3);
  reboot(directory, bases);
  overwrite(fileOf(directory, bases[2]), 0, Buffer.alloc(200));
  expect(await Log.verify(directory)).toMatchObject({ sound: true, cutOffAt: bases[2] });
  await using log = await Log.open(directory);
  expect(log.recovery).toMatchObject({
    after: 'machine',
    setAside: [{ name: expect.stringContaining(String(bases[2])) }],
  });
  expect(log.next).toBe(bases[2]);
});

test('a segment in front of the first one that is there: what could have been in it is lost', async () => {
  const { directory, bases } = await someLog(3);
  copyFileSync(fileOf(directory, bases[1]), fileOf(directory, bases[0]));
  expect((await Log.repair(directory)).lost).toEqual([{ from: 0, to: bases[1] }]);
});

test('after repair all who have it open say the same of where it goes on', async () => {
  const { directory, bases } = await someLog(3);
  truncateSync(fileOf(directory, bases[2]), 16_384 + 300);
  const { lost } = await Log.repair(directory);
  const [{ to }] = lost;
  {
    await using reader = await Log.open(directory, { readOnly: true });
    expect(reader.next).toBe(to);
    using tail = reader.tail({ from: 'latest' });
    expect(tail.offset).toBe(to);
    expect(reader.tail({ from: to }).read()).toBeUndefined();
    await using writer = await Log.open(directory);
    expect(writer.next).toBe(to);
    expect(writer.append('more')).toBe(to);
    expect(tail.read()?.offset).toBe(to);
  }
  expect(await Log.verify(directory)).toMatchObject({ sound: true, next: to + 1 });
});

test.each([
  ['offset', L.FRAME_TAG_OFFSET, 0],
  ['offset', L.FRAME_TAG_OFFSET, 3],
  ['offset', L.FRAME_TAG_OFFSET, 7],
  // Then it is an END, or a CHECKPOINT.
  ['kind', L.FRAME_KIND_OFFSET, 1],
  ['kind', L.FRAME_KIND_OFFSET, 2],
])('the %s of the last record, at %i bit %i: nobody believes it', async (_, field, bit) => {
  const { directory, bases, next } = await someLog(3);
  const frame = DATA + (next - 1 - bases[2]) * FRAME;
  flip(fileOf(directory, bases[2]), frame + field, bit);
  expect(await failure(() => Log.open(directory))).toMatchObject({ code: 'ERR_CORRUPT' });
  await using reader = await Log.open(directory, { readOnly: true });
  expect(await failure(() => reader.next)).toMatchObject({ code: 'ERR_CORRUPT', offset: next - 1 });
  await Log.repair(directory);
  expect(await readable(directory)).toEqual(range(0, next - 1));
  await using log = await Log.open(directory);
  expect(log.append('behind')).toBeGreaterThanOrEqual(next);
});

test('the lock file of another log: nothing is set aside for it, and repair makes it anew', async () => {
  const [{ directory, next }, other] = [await someLog(3), await someLog(1)];
  copyFileSync(join(other.directory, 'log.lock'), join(directory, 'log.lock'));
  const before = readdirSync(directory);
  expect(await failure(() => Log.open(directory))).toMatchObject({
    code: 'ERR_CORRUPT',
    path: join(directory, 'log.lock'),
  });
  expect(readdirSync(directory)).toEqual(before);
  await Log.repair(directory);
  await using log = await Log.open(directory);
  expect(log.append('behind')).toBe(next);
});

test('a link that leads nowhere is set aside as any foreign file is', async () => {
  const { directory, next } = await someLog(1);
  symlinkSync('/nonexistent/file', join(directory, 'dangling'));
  await using log = await Log.open(directory);
  expect(log.recovery?.setAside).toMatchObject([{ name: 'dangling' }]);
  expect(log.next).toBe(next);
});

test('where a frame of the last segment became a PAD, appending is refused, and repair keeps what is before it', async () => {
  await using live = await Log.open(newDirectory(), { segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 10; i++) live.append(textOf(i));
  const directory = newDirectory();
  // In a copy nobody holds the locks: its writer is dead.
  cpSync(live.path, directory, { recursive: true });
  const path = fileOf(directory, 0);
  overwrite(path, DATA + 5 * FRAME + L.FRAME_KIND_OFFSET, Buffer.from([L.KIND_PAD]));
  expect(await failure(() => Log.open(directory))).toMatchObject({
    code: 'ERR_CORRUPT',
    path,
    message: expect.stringContaining('Log.repair'),
  });
  expect(await Log.verify(directory)).toMatchObject({ sound: false, faults: [{ code: 'ERR_CORRUPT' }] });
  expect((await Log.repair(directory)).lost).toMatchObject([{ from: 5 }]);
  expect(await readable(directory)).toEqual(range(0, 5));
});

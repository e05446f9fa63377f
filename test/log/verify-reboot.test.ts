import { describe, expect, test } from 'vitest';
import { DURABLE_OFFSET } from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import {
  DATA,
  damage,
  FRAME,
  fileOf,
  flip,
  justRolled,
  overwrite,
  range,
  readable,
  reboot,
  remove,
  type SomeLog,
  someLog,
  textOf,
  unseal,
  without,
} from './damaging.js';

const SYNCED = { sync: { everyMs: 100 } };

async function restarted(options = {}): Promise<SomeLog> {
  const log = await someLog(4, options);
  reboot(log.directory, log.bases);
  return log;
}

describe('after the machine was started anew', () => {
  test.each([{}, SYNCED])('a log that is whole is sound: %o', async (options) => {
    const { directory, next } = await restarted(options);
    const found = { sound: true, segments: 4, records: next, earliest: 0, next, cutOffAt: undefined };
    expect(await Log.verify(directory)).toMatchObject(found);
  });

  test.each([1, 2])('segment %i of 4 is missing: damage, where it was on the disk', async (number) => {
    const { directory, bases, next } = await restarted(SYNCED);
    const path = fileOf(directory, bases[number]);
    remove(path);
    const gap = { code: 'ERR_GAP', file: path, offset: bases[number], nextOffset: bases[number + 1] };
    const { faults, ...found } = await Log.verify(directory);
    expect(faults).toMatchObject([gap]);
    expect(found).toMatchObject({ sound: false, segments: 3, next, durable: next, cutOffAt: undefined });
  });

  test('two segments are missing: one gap', async () => {
    const { directory, bases } = await restarted(SYNCED);
    remove(fileOf(directory, bases[1]));
    remove(fileOf(directory, bases[2]));
    const { faults } = await Log.verify(directory);
    expect(faults).toMatchObject([{ code: 'ERR_GAP', offset: bases[1], nextOffset: bases[3] }]);
  });

  test.each([{}, SYNCED])('one with a damaged header hides none that is behind it: %o', async (options) => {
    const { directory, bases, next } = await restarted(options);
    const path = fileOf(directory, bases[2]);
    flip(path, 100);
    const { faults, ...found } = await Log.verify(directory);
    expect(faults).toMatchObject([
      { code: 'ERR_FORMAT', file: path, offset: bases[2], nextOffset: bases[3] },
    ]);
    expect(found).toMatchObject({ segments: 4, next, cutOffAt: undefined });
  });

  test('what lies behind one that nobody knows the end of is kept by a repair', async () => {
    const { directory, bases, next } = await restarted();
    const path = fileOf(directory, bases[2]);
    flip(path, 100);
    for (const offset of [bases[3] - 1, bases[3]]) damage(path, bases[2], offset);
    await Log.repair(directory);
    await (await Log.open(directory)).close();
    expect(await readable(directory)).toEqual(without(range(0, next), bases[3] - 1));
  });

  test('what had not been synced may end anywhere: where it does, and what is before that', async () => {
    const { directory, bases } = await restarted();
    overwrite(fileOf(directory, bases[1]), DATA + 5 * FRAME, Buffer.alloc(FRAME));
    const end = bases[1] + 5;
    const found = { sound: true, segments: 2, records: end, checked: end, next: end, cutOffAt: end };
    expect(await Log.verify(directory)).toMatchObject(found);
  });

  test('one that does not begin with record 0 ends in its first segment', async () => {
    const { directory, bases } = await restarted();
    remove(fileOf(directory, bases[0]));
    overwrite(fileOf(directory, bases[1]), DATA + 5 * FRAME, Buffer.alloc(FRAME));
    const end = bases[1] + 5;
    const found = { sound: true, earliest: bases[1], durable: bases[1], records: 5, next: end };
    expect(await Log.verify(directory)).toMatchObject(found);
  });
});

describe('a roll that was not finished', () => {
  test('by a process that died in it is no fault, and who opens the log finishes it', async () => {
    const { directory } = await justRolled();
    unseal(fileOf(directory, 0));
    expect(await Log.verify(directory)).toMatchObject({ sound: true, faults: [], segments: 2, next: 1 });
    const log = await Log.open(directory);
    expect(log.append(textOf(1))).toBe(1);
    await log.close();
    expect(await Log.verify(directory)).toMatchObject({ sound: true, segments: 2, next: 2 });
  });

  test.each([1, 4])('on the disk, of %i before the last segment', async (segments) => {
    const { directory, bases, next } = segments === 1 ? await justRolled() : await someLog(segments);
    reboot(directory, bases);
    unseal(fileOf(directory, bases.at(-2) as number));
    const found = { sound: true, faults: [], segments: bases.length, next, cutOffAt: undefined };
    expect(await Log.verify(directory)).toMatchObject(found);
    await (await Log.open(directory)).close();
    expect(await readable(directory)).toEqual(range(0, next));
  });

  const OTHERWISE = {
    'behind which something was appended': async () => {
      const { directory, bases } = await someLog();
      unseal(fileOf(directory, bases[2]));
      return { directory, path: fileOf(directory, bases[2]) };
    },
    'behind which something was synced': async () => {
      const { directory, bases } = await restarted(SYNCED);
      unseal(fileOf(directory, bases[2]));
      return { directory, path: fileOf(directory, bases[2]) };
    },
    'behind which records are missing': async () => {
      const { directory, bases } = await someLog();
      unseal(fileOf(directory, bases[1]));
      remove(fileOf(directory, bases[2]));
      return { directory, path: fileOf(directory, bases[1]) };
    },
  };

  test.each(Object.entries(OTHERWISE))('one %s is a fault', async (_, make) => {
    const { directory, path } = await make();
    const { sound, faults } = await Log.verify(directory);
    expect(sound).toBe(false);
    expect(faults.filter(({ file }) => file === path).map(({ message }) => message)).toContainEqual(
      expect.stringContaining('never sealed'),
    );
  });
});

test('how far a log is on the disk is told beside damage, too', async () => {
  const { directory, next } = await someLog(1, SYNCED);
  const path = fileOf(directory, 0);
  // The length of a frame: 0, and less than that.
  flip(path, DATA + (next - 1) * FRAME, 7);
  expect((await Log.verify(directory)).durable).toBe(next - 1);
  flip(path, DATA + (next - 2) * FRAME + 3, 7);
  expect((await Log.verify(directory)).durable).toBe(next - 2);
  flip(path, DURABLE_OFFSET + 7, 4);
  expect((await Log.verify(directory)).sound).toBe(false);
});

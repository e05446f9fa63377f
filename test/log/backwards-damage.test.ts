import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log, type ReadOptions } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import {
  assertItself,
  DATA,
  damage,
  FRAME,
  fileOf,
  flip,
  overwrite,
  range,
  remove,
  someLog,
} from './damaging.js';

interface Told {
  code: string;
  offset?: number;
  nextOffset?: number;
  from: number;
  to: number;
}

/** All that can be read backwards by one who goes on where errors say; each of these as its code and where it is. */
async function readBack(directory: string, options: ReadOptions = {}) {
  await using log = await Log.open(directory, { readOnly: true });
  const offsets: number[] = [];
  const told: unknown[] = [];
  let from: number | undefined;
  for (let goesOn = true; goesOn; ) {
    goesOn = false;
    try {
      for await (const record of log.read({
        ...options,
        reverse: true,
        ...(from !== undefined && { from }),
      })) {
        assertItself(record);
        offsets.push(record.offset);
      }
    } catch (error) {
      const { code, offset, nextOffset, ...gap } = error as Told;
      told.push(code === 'ERR_GAP' ? [code, gap.from, gap.to] : [code, offset, nextOffset]);
      const next = code === 'ERR_GAP' ? gap.from - 1 : nextOffset;
      expect(next ?? -1).toBeLessThan(from ?? Number.POSITIVE_INFINITY);
      from = next;
      goesOn = next !== undefined;
    }
  }
  return { offsets, told };
}

const back = (from: number, to: number) => range(to + 1, from + 1).reverse();

test('damaged records are told where they are, and what is before them is read', async () => {
  const { directory, bases, next } = await someLog(3);
  const [one, two, three] = [bases[0] + 20, bases[1], bases[2] - 1];
  for (const [base, offset] of [
    [bases[0], one],
    [bases[0], one + 1],
    [bases[0], one + 3],
    [bases[1], two],
    [bases[1], three],
  ]) {
    damage(fileOf(directory, base), base, offset);
  }
  const { offsets, told } = await readBack(directory);
  expect(told).toEqual([
    ['ERR_CORRUPT', three, three - 1],
    ['ERR_CORRUPT', two, two - 1],
    ['ERR_CORRUPT', one + 3, one + 2],
    ['ERR_CORRUPT', one + 1, one - 1],
  ]);
  const gone = [three, two, one + 3, one + 1, one];
  expect(offsets).toEqual(back(next - 1, -1).filter((offset) => !gone.includes(offset)));
});

test('from a damaged one, and from the one before it', async () => {
  const { directory, bases } = await someLog(2);
  damage(fileOf(directory, 0), 0, 50);
  expect(await readBack(directory, { from: 50 })).toEqual({
    offsets: back(49, -1),
    told: [['ERR_CORRUPT', 50, 49]],
  });
  expect(await readBack(directory, { from: 49 })).toEqual({ offsets: back(49, -1), told: [] });
  damage(fileOf(directory, 0), 0, bases[1] - 1);
  expect(await readBack(directory, { from: bases[1] })).toMatchObject({
    told: [
      ['ERR_CORRUPT', bases[1] - 1, bases[1] - 2],
      ['ERR_CORRUPT', 50, 49],
    ],
  });
});

test('the first records of all: nothing is before them', async () => {
  const { directory, next } = await someLog(2);
  damage(fileOf(directory, 0), 0, 0);
  expect(await readBack(directory)).toEqual({
    offsets: back(next - 1, 0),
    told: [['ERR_CORRUPT', 0, undefined]],
  });
});

test('batches hand out what they have before they throw', async () => {
  const { directory, bases, next } = await someLog(2);
  damage(fileOf(directory, 0), 0, 50);
  await using log = await Log.open(directory, { readOnly: true });
  const offsets: number[] = [];
  const reading = (async () => {
    for await (const batch of log.batches({ reverse: true, max: 1000 }))
      offsets.push(...batch.map(({ offset }) => offset));
  })();
  await expect(reading).rejects.toMatchObject({ code: 'ERR_CORRUPT', offset: 50, nextOffset: 49 });
  expect(bases[1]).toBeGreaterThan(51);
  expect(offsets).toEqual(back(next - 1, 50));
});

test('a segment that is missing, or whose header is broken, or the first one', async () => {
  const { directory, bases, next } = await someLog(5);
  remove(fileOf(directory, bases[3]));
  overwrite(fileOf(directory, bases[1]), 0, Buffer.alloc(200));
  const { offsets, told } = await readBack(directory);
  expect(told).toEqual([
    ['ERR_GAP', bases[3], bases[4]],
    ['ERR_FORMAT', bases[2] - 1, bases[1] - 1],
  ]);
  expect(offsets).toEqual([
    ...back(next - 1, bases[4] - 1),
    ...back(bases[3] - 1, bases[2] - 1),
    ...back(bases[1] - 1, -1),
  ]);
  overwrite(fileOf(directory, bases[0]), 0, Buffer.alloc(200));
  expect((await readBack(directory, { from: bases[3] - 1 })).told).toEqual([
    ['ERR_FORMAT', bases[2] - 1, undefined],
  ]);
});

test('one that belongs elsewhere is passed over where the log is whole without it', async () => {
  const { directory, bases, next } = await someLog(3);
  copyFileSync(fileOf(directory, bases[0]), fileOf(directory, bases[1] + 7));
  expect(await readBack(directory)).toEqual({ offsets: back(next - 1, -1), told: [] });
  renameSync(fileOf(directory, bases[1]), fileOf(directory, bases[1] + 8));
  expect(await readBack(directory)).toEqual({
    offsets: [...back(next - 1, bases[2] - 1), ...back(bases[1] - 1, -1)],
    told: [['ERR_FORMAT', bases[2] - 1, bases[1] - 1]],
  });
});

test.each([
  ['the last record is of an unknown kind', 1],
  ['the last segment has no header', 0],
])('%s: nobody knows where the log ends, but it is read from there back', async (_, kind) => {
  const { directory, bases, next } = await someLog(2);
  const last = fileOf(directory, bases[1]);
  if (kind === 0) overwrite(last, 0, Buffer.alloc(200));
  else flip(last, DATA + (next - 1 - bases[1]) * FRAME + L.FRAME_KIND_OFFSET, 3);
  const from = kind === 0 ? bases[1] - 1 : next - 2;
  const { offsets, told } = await readBack(directory);
  expect(told).toEqual([[kind === 0 ? 'ERR_FORMAT' : 'ERR_CORRUPT', undefined, from]]);
  expect(offsets).toEqual(back(from, -1));
  expect(await readBack(directory, { from })).toEqual({ offsets: back(from, -1), told: [] });
});

test('a compressed batch: from within it, damaged, and in front of one that is', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { compression: 'deflate', sync: 'none' });
  const numbers = (from: number, to: number) => range(from, to).map((n) => `<${n}>`.padEnd(96, '.'));
  for (const from of [0, 100, 200]) log.appendBatch(numbers(from, from + 100));
  expect(await readBack(directory, { from: 150 })).toEqual({ offsets: back(150, -1), told: [] });
  await log.close();
  const path = join(directory, '00000000000000000000.mr');
  const bytes = readFileSync(path);
  const second = DATA + ((bytes.readInt32LE(DATA) + 15) & -16);
  bytes[second + L.FRAME_HEADER_EXTENDED + 10] ^= 1;
  writeFileSync(path, bytes);
  const told = (from: number) => [['ERR_CORRUPT', from, 99]];
  expect(await readBack(directory)).toEqual({
    offsets: [...back(299, 199), ...back(99, -1)],
    told: told(199),
  });
  expect(await readBack(directory, { from: 150 })).toEqual({ offsets: back(99, -1), told: told(150) });
  expect(await readBack(directory, { from: 99 })).toEqual({ offsets: back(99, -1), told: [] });
});

test('a broken link to the next segment: all records are read, in either direction', async () => {
  const { directory, bases, next } = await someLog(3);
  flip(fileOf(directory, 0), DATA + bases[1] * FRAME + L.FRAME_KIND_OFFSET, 3);
  expect(await readBack(directory)).toMatchObject({ offsets: back(next - 1, -1) });
  await using log = await Log.open(directory, { readOnly: true });
  const offsets: number[] = [];
  const read = async (from: number) => {
    for await (const { offset } of log.read({ from })) offsets.push(offset);
  };
  await expect(read(0)).rejects.toMatchObject({
    code: 'ERR_CORRUPT',
    offset: bases[1],
    nextOffset: bases[1],
  });
  await read(bases[1]);
  expect(offsets).toEqual(range(0, next));
});

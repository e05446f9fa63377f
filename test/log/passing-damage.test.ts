import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log, type ReadOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { damage, fileOf, range, someLog } from './damaging.js';

/** A log of records 0, 1, 2 … with their numbers as values, and some of them damaged. */
async function damagedLog(count: number, damaged: number[]): Promise<string> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { sync: 'none' });
  log.appendBatch(Array.from({ length: count }, (_, i) => `<${i}>`));
  await log.close();
  const path = join(directory, '00000000000000000000.mr');
  const bytes = readFileSync(path);
  for (const number of damaged) bytes[bytes.indexOf(`<${number}>`)] ^= 1;
  writeFileSync(path, bytes);
  return directory;
}

test.each([
  ['one', 3000, [1500]],
  ['several in a row', 3000, [1500, 1501, 1502]],
  ['several, apart', 3000, [0, 700, 702, 1500]],
])('%s: who goes on at nextOffset reads all that is whole behind it', async (_, count, damaged) => {
  await using log = await Log.open(await damagedLog(count, damaged), { readOnly: true });
  const read: number[] = [];
  const gaps: unknown[] = [];
  using tail = log.tail({ from: 'earliest' });
  while (tail.offset < count) {
    try {
      for (const { offset, value } of tail.readBatch(100)) {
        expect(value.toString()).toBe(`<${offset}>`);
        read.push(offset);
      }
    } catch (error) {
      const { code, offset, nextOffset } = error as { code: string; offset: number; nextOffset: number };
      expect(code).toBe('ERR_CORRUPT');
      expect(nextOffset).toBeGreaterThan(offset);
      gaps.push(...Array.from({ length: nextOffset - offset }, (_, i) => offset + i));
      tail.seek(nextOffset);
    }
  }
  expect(gaps).toEqual(damaged);
  expect(read).toEqual(Array.from({ length: count }, (_, i) => i).filter((i) => !damaged.includes(i)));
});

test('who asks for a damaged one hears of it', async () => {
  await using log = await Log.open(await damagedLog(10, [5]), { readOnly: true });
  using tail = log.tail({ from: 5 });
  expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CORRUPT', offset: 5, nextOffset: 6 });
});

test('a tail that was sought to a record stands behind all that it read in front of a damaged one', async () => {
  await using log = await Log.open(await damagedLog(10, [7]), { readOnly: true });
  using tail = log.tail({ from: 2 });
  expect(tail.readBatch(100).map(({ offset }) => offset)).toEqual(range(2, 7));
  expect(tail.offset).toBe(7);
  tail.seek(3);
  expect(thrown(() => tail.poll(() => {}))).toMatchObject({ code: 'ERR_CORRUPT', offset: 7 });
  expect(tail.offset).toBe(7);
});

test.each([
  ['a length that reaches far behind the end', 0, 0x08000000],
  ['a length of 0', 0, -1],
  ['another kind', 4, 2],
])('%s in front of the last records hides neither these nor the end', async (_, byte, change) => {
  const directory = await damagedLog(100, []);
  const path = join(directory, '00000000000000000000.mr');
  const bytes = readFileSync(path);
  const word = bytes.indexOf('<97>') - L.FRAME_HEADER_EXTENDED + byte;
  bytes.writeInt32LE(change === -1 ? 0 : bytes.readInt32LE(word) ^ change, word);
  writeFileSync(path, bytes);
  await using log = await Log.open(directory, { readOnly: true });
  expect(log.next).toBe(100);
  using tail = log.tail({ from: 95 });
  expect(tail.readBatch(10).map(({ offset }) => offset)).toEqual([95, 96]);
  expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CORRUPT', offset: 97, nextOffset: 98 });
  const rest: number[] = [];
  for await (const { offset } of log.read({ from: 98 })) rest.push(offset);
  expect(rest).toEqual([98, 99]);
});

describe('where damage hides the end of a log whose earliest records are removed', () => {
  /** Of four segments; the last record is damaged. */
  async function open() {
    const some = await someLog();
    const { directory, bases, next } = some;
    damage(fileOf(directory, bases[3]), bases[3], next - 1);
    const log = await Log.open(directory, { readOnly: true });
    expect(thrown(() => log.next)).toMatchObject({ code: 'ERR_CORRUPT' });
    return { ...some, log, remove: (segment: number) => rmSync(fileOf(directory, bases[segment])) };
  }

  test('who seeks one of these hears of that, and not of the damage', async () => {
    const { log, bases, next, remove } = await open();
    await using _ = log;
    remove(0);
    const error = thrown(() => log.tail({ from: 0 }));
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: 0, earliest: bases[1] });
    expect(error.next).toBeUndefined();
    using tail = log.tail({ from: 0, outOfRange: 'earliest' });
    expect(tail.readBatch(next).map(({ offset }) => offset)).toEqual(range(bases[1], next - 1));
    expect(thrown(() => tail.read())).toMatchObject({ code: 'ERR_CORRUPT', offset: next - 1 });
  });

  test('who comes to one of these goes on at the earliest that is left', async () => {
    const { log, bases, next, remove } = await open();
    await using _ = log;
    using hearing = log.tail({ from: 'earliest' });
    using tail = log.tail({ from: 'earliest', outOfRange: 'earliest' });
    expect([hearing.read()?.offset, tail.read()?.offset]).toEqual([0, 0]);
    remove(0);
    remove(1);
    hearing.readBatch(bases[1] - 1);
    const error = thrown(() => hearing.read());
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: bases[1], earliest: bases[2] });
    const offsets = (max: number) => tail.readBatch(max).map(({ offset }) => offset);
    expect(offsets(bases[1])).toEqual([...range(1, bases[1]), bases[2]]);
    expect(offsets(next)).toEqual(range(bases[2] + 1, next - 1));
  });

  test.each(['latest', { time: new Date(8e12) }] as const)(
    'a seek to %j fails, and leaves a tail where it stood',
    async (where) => {
      const { log, next } = await open();
      await using _ = log;
      using tail = log.tail({ from: 1 });
      expect(thrown(() => tail.seek(where))).toMatchObject({ code: 'ERR_CORRUPT' });
      expect(tail.offset).toBe(1);
      expect(tail.readBatch(next).map(({ offset }) => offset)).toEqual(range(1, next - 1));
    },
  );

  test('who goes backwards from one of these hears of that, or begins where it was to begin', async () => {
    const { log, bases, next, remove } = await open();
    await using _ = log;
    remove(0);
    const back = (options: ReadOptions) => log.read({ reverse: true, ...options }).next();
    const error = await failure(() => back({ from: 0 }));
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: 0, earliest: bases[1] });
    expect((await back({ from: 0, outOfRange: 'earliest' })).value?.offset).toBe(bases[1]);
    for (const options of [{ from: 0, outOfRange: 'latest' }, { from: 'latest' }] as const) {
      const damaged = await failure(() => back(options));
      expect(damaged).toMatchObject({ code: 'ERR_CORRUPT', nextOffset: next - 2 });
    }
  });
});

import { expect, test } from 'vitest';
import { type ManyOptions, openAll, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

/** Channels whose records have the given times, in milliseconds, each record saying its own. */
async function merging(times: number[][], options: ManyOptions = {}) {
  const writers = await Promise.all(
    times.map(() => Writer.create(newPath(), { capacity: '64KiB', timestamps: true })),
  );
  const paths = writers.map(({ path }) => path);
  const many = await openAll(paths, { order: 'timestamp', ...options });
  const write = (n: number, time: number) => writers[n].write(String(time), { timestamp: time });
  times.forEach((list, n) => {
    for (const time of list) write(n, time);
  });
  const close = () => {
    many.close();
    for (const writer of writers) writer.close();
  };
  return { many, writers, paths, write, [Symbol.dispose]: close };
}

const times = (records: { data: Buffer }[]) => records.map(({ data }) => Number(data.toString()));
const LATER = 2 ** 41;

test.each([1, 2, 7, 1000])('records come in the order of their times, in batches of %i', async (max) => {
  using given = await merging([
    [1, 4, 5, 20, 21],
    [2, 3, 22],
    [0, 6, 7, 8, 9, 10],
  ]);
  const seen: number[] = [];
  for (let batch = given.many.readBatch(max); batch.length > 0; batch = given.many.readBatch(max)) {
    seen.push(...times(batch));
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22]);
});

test('poll hands them out in that order too, with the reader of each', async () => {
  using given = await merging([
    [1, 3],
    [2, 4],
  ]);
  const seen: unknown[] = [];
  given.many.poll((bytes, start, end, _type, reader) =>
    seen.push([
      bytes.toString('utf8', start, end),
      reader.recordTimestamp,
      reader.recordNumber,
      given.paths.indexOf(reader.path),
    ]),
  );
  expect(seen).toEqual([
    ['1', 1000, 0, 0],
    ['2', 2000, 0, 1],
    ['3', 3000, 1, 0],
    ['4', 4000, 1, 1],
  ]);
});

test('the order within a channel is never changed, and of records of one time none is lost', async () => {
  using given = await merging([
    [5, 1, 6],
    [5, 5, 7],
  ]);
  const batch = given.many.readBatch(10);
  for (const path of given.paths) {
    const numbers = batch.filter(({ source }) => source === path).map(({ record }) => record);
    expect(numbers).toEqual([0, 1, 2]);
  }
});

test('what is there is merged, and waits for nobody unless it is told to', async () => {
  using given = await merging([[LATER], []]);
  expect(times(given.many.readBatch(10))).toEqual([LATER]);
  given.write(1, 1);
  expect(times(given.many.readBatch(10))).toEqual([1]);
});

test('a record is held for a channel that has nothing to read yet, and comes after the older one', async () => {
  using given = await merging([[LATER], []], { holdMs: 1_000_000 });
  const { many, write } = given;
  expect(many.readBatch(10)).toEqual([]);
  expect(many.ended).toBe(false);
  const ready = many.ready();
  write(1, LATER - 1);
  expect(await ready).toBe(true);
  expect(times(many.readBatch(10))).toEqual([LATER - 1]);
  write(1, LATER + 1);
  expect(times(many.readBatch(10))).toEqual([LATER]);
});

test('but not for longer than holdMs', async () => {
  using given = await merging([[LATER], []], { holdMs: 20 });
  const begun = performance.now();
  expect(given.many.readBatch(10)).toEqual([]);
  expect(await given.many.ready()).toBe(true);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(19);
  expect(times(given.many.readBatch(10))).toEqual([LATER]);
});

test('nor where its time is so long ago already', async () => {
  using given = await merging([[1, 2, 3], []], { holdMs: 1_000_000 });
  expect(times(given.many.readBatch(10))).toEqual([1, 2, 3]);
});

test('nor for a channel that has ended', async () => {
  using given = await merging([[LATER], [LATER + 1], []], { holdMs: 1_000_000 });
  given.writers[2].close();
  expect(times(given.many.readBatch(10))).toEqual([LATER]);
  given.writers[0].close();
  expect(await given.many.ready()).toBe(true);
  expect(times(given.many.readBatch(10))).toEqual([LATER + 1]);
});

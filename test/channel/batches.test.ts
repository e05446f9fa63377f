import { afterEach, describe, expect, test, vi } from 'vitest';
import { turnBegins } from '../../lib/channel/runtime/index.js';
import { type Codec, json, type MillraceError, openAll, Reader, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

const RECORDS = 200;
const DECODING_MS = 1;

async function flood(): Promise<string> {
  const writer = await Writer.create(newPath(), { mode: 'linear' });
  for (let n = 0; n < RECORDS; n++) writer.write(String(n));
  writer.close();
  return writer.path;
}

let now = 0;
/** Takes its time, by a clock that stands still otherwise. */
const slow = {
  encode: () => 0,
  decode(bytes: Buffer, start: number, end: number) {
    now += DECODING_MS;
    return Number(bytes.toString('latin1', start, end));
  },
} as unknown as Codec<number>;

function stopTheClock(): void {
  now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
}

afterEach(() => {
  vi.restoreAllMocks();
  turnBegins();
});

describe.each([
  ['a reader', (path: string, codec?: Codec<number>) => Reader.open(path, { codec })],
  ['a reader of many', (path: string, codec?: Codec<number>) => openAll([path], { codec, from: 'oldest' })],
])('batches of %s', (_, open) => {
  test('end where it is time for the event loop to have a turn, and then it has', async () => {
    using reader = await open(await flood(), slow);
    stopTheClock();
    let turns = 0;
    let over = false;
    setImmediate(function again() {
      turns++;
      if (!over) setImmediate(again);
    });
    const sizes: number[] = [];
    const values: unknown[] = [];
    for await (const batch of reader.batches()) {
      sizes.push(batch.length);
      values.push(...batch.map(({ value }) => value));
    }
    over = true;
    expect(values).toEqual(Array.from({ length: RECORDS }, (_, n) => n));
    // However slow they are, 16 are read as one.
    expect(Math.max(...sizes)).toBe(16);
    expect(turns).toBeGreaterThanOrEqual(sizes.length);
  });

  test('have as many as is asked for where there is time', async () => {
    using reader = await open(await flood());
    stopTheClock();
    const sizes: number[] = [];
    for await (const batch of reader.batches({ max: 90 })) sizes.push(batch.length);
    expect(sizes).toEqual([90, 90, 20]);
  });

  test('end where their signal says so, also where there is more all the time', async () => {
    using reader = await open(await flood());
    const stop = new AbortController();
    const batches = reader.batches({ max: 10, signal: stop.signal });
    expect((await batches.next()).value).toHaveLength(10);
    stop.abort();
    expect(await failure(() => batches.next())).toMatchObject({ code: 'ERR_ABORTED' });
    expect(reader.read()).toMatchObject({ record: 10 });
  });

  test('can be left while nothing is there', async () => {
    const writer = await Writer.create(newPath());
    using reader = await open(writer.path);
    const batches = reader.batches();
    const next = batches.next();
    await batches.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    writer.write('to somebody else');
    expect(`${reader.read()?.data}`).toBe('to somebody else');
    writer.close();
  });

  test('are refused at once where they are asked for wrongly', async () => {
    using reader = await open(await flood());
    const wrong = [{ max: 0 }, { timeoutMs: -1 }, ...[0, 'stop', {}].map((signal) => ({ signal }))];
    for (const options of wrong as { max: number }[]) {
      expect(thrown(() => reader.batches(options))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  });
});

/** Of how many there are at least, and some more: slices of a batch end there. */
describe.each([15, 16, 17, 18, 20])('behind %i records', (good) => {
  const VALUES = Array.from({ length: good }, (_, n) => n);

  async function broken(): Promise<string> {
    const writer = await Writer.create(newPath(), { mode: 'linear' });
    for (const value of VALUES) writer.write(JSON.stringify(value));
    writer.write('no JSON');
    writer.close();
    return writer.path;
  }

  test.each([
    ['a reader', (path: string) => Reader.open(path, { codec: json })],
    ['a reader of many', (path: string) => openAll([path], { codec: json, from: 'oldest' })],
  ])('batches of %s lose none where something is wrong', async (_, open) => {
    using reader = await open(await broken());
    const read: unknown[] = [];
    const reading = async () => {
      for await (const batch of reader.batches()) read.push(...batch.map(({ value }) => value));
    };
    expect(await reading().catch((error) => error)).toBeInstanceOf(SyntaxError);
    expect(read).toEqual(VALUES);
  });

  test('batches of many lose none of one where another one was overtaken', async () => {
    const sound = await flood();
    const lossy = await Writer.create(newPath(), { capacity: '64KiB' });
    using many = await openAll([sound, lossy.path], { gate: false, from: 'oldest' });
    for (let n = 0; n < 200; n++) lossy.write(Buffer.alloc(1000));
    lossy.close();
    const read = new Set<string>();
    const errors: unknown[] = [];
    const batches = many.batches({ max: good });
    for (let next = await step(batches); next.done !== true; next = await step(batches)) {
      if (next.value instanceof Error) errors.push((next.value as MillraceError).code);
      else for (const { source, data } of next.value) if (source === sound) read.add(`${data}`);
    }
    expect(errors).toEqual(['ERR_OVERTAKEN']);
    expect(read.size).toBe(RECORDS);
  });
});

async function step<T>(iterator: AsyncIterator<T>): Promise<IteratorResult<T | Error>> {
  return iterator.next().catch((value) => ({ done: false, value }));
}

test('who iterates over many can leave while nothing is there, and goes on behind an error', async () => {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using many = await openAll([writer.path], { gate: false });
  const first = many[Symbol.asyncIterator]();
  const pending = first.next();
  await first.return?.();
  expect(await pending).toEqual({ done: true, value: undefined });

  for (let n = 0; n < 200; n++) writer.write(Buffer.alloc(1000));
  writer.close();
  const second = many[Symbol.asyncIterator]();
  expect(await failure(() => second.next())).toMatchObject({ code: 'ERR_OVERTAKEN' });
  let read = 0;
  for await (const _record of { [Symbol.asyncIterator]: () => second }) read++;
  expect(read).toBeGreaterThan(0);
});

test('what was read of many, and lost, is told, also of those that are no longer read', async () => {
  const writers = [
    await Writer.create(newPath(), { capacity: '64KiB' }),
    await Writer.create(newPath(), { mode: 'linear' }),
  ];
  const [ring, linear] = writers;
  using many = await openAll(
    writers.map(({ path }) => path),
    { gate: false },
  );
  expect(many.stats()).toMatchObject({ channels: 2, records: 0, lost: 0, lagBytes: 0 });
  for (let n = 0; n < 200; n++) ring.write(Buffer.alloc(1000));
  linear.write('one');
  linear.close();
  expect(many.stats().lagBytes).toBeGreaterThan(50 * 1000);
  expect(thrown(() => many.readBatch(1000))).toMatchObject({ code: 'ERR_OVERTAKEN' });
  const read = many.readBatch(1000).length;
  let seen = 0;
  linear.close();
  ring.write('last');
  while (many.poll(() => seen++) > 0);
  const { channels, records, lost, lagBytes, rates } = many.stats();
  expect({ channels, records, lagBytes }).toEqual({ channels: 1, records: read + seen, lagBytes: 0 });
  expect(lost + records).toBe(202);
  expect(rates.records * rates.overMs).toBeCloseTo(1000 * records);
  ring.close();
  expect(many.stats()).toMatchObject({ channels: 0, lost, records });
});

test('who reads many has no reader of any once it is closed', async () => {
  const path = await flood();
  const many = await openAll([path]);
  expect(many.reader(path)?.path).toBe(path);
  many.close();
  expect(thrown(() => many.reader(path))).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
});

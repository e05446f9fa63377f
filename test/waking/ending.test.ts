import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { environment } from '../../lib/channel/runtime/environment.js';
import { type IdleStrategy, Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, empty, full, LARGE } from './fixtures/asleep.js';
import { until } from './fixtures/kernel.js';

const NEVER_SLEPT = { parked: 0, woken: 0, late: 0 };
/** Far longer than a test may take. */
const FOR_EVER_MS = 10_000_000;

/** All that waits on a reader. `next` and `batch` say by undefined what `ready` says by false. */
const WAITS: [how: string, wait: (reader: Reader, signal?: AbortSignal) => Promise<unknown>][] = [
  ['ready', (reader, signal) => reader.ready({ signal })],
  ['batches', async (reader, signal) => (await reader.batches({ signal }).next()).value ?? false],
  ['iteration', async (reader) => (await reader[Symbol.asyncIterator]().next()).value ?? false],
];
const ROOM: [how: string, wait: (writer: Writer, signal?: AbortSignal) => Promise<unknown>][] = [
  ['ready', (writer, signal) => writer.ready({ bytes: LARGE, signal })],
  ['send', (writer, signal) => writer.send(Buffer.alloc(LARGE), { signal })],
];

describe('a signal that is aborted already', () => {
  const reason = new RangeError('no longer needed');
  const signal = AbortSignal.abort(reason);
  const aborted = { code: 'ERR_ABORTED', name: 'AbortError', cause: reason };

  test.each(WAITS.slice(0, 2))('ends %s of a reader, also where there is something', async (_, wait) => {
    using channel = await empty();
    const { writer, reader } = channel;
    expect(await failure(() => wait(reader, signal))).toMatchObject(aborted);
    writer.write('x');
    expect(await failure(() => wait(reader, signal))).toMatchObject(aborted);
    expect(reader.stats().waits).toEqual(NEVER_SLEPT);
    expect(reader.read()?.data.toString()).toBe('x');
  });

  test.each(ROOM)('ends %s of a writer, and nothing is written', async (_, wait) => {
    using channel = await full();
    const { writer, reader } = channel;
    const { records } = writer.stats();
    expect(await failure(() => wait(writer, signal))).toMatchObject(aborted);
    reader.readBatch(5);
    expect(await failure(() => wait(writer, signal))).toMatchObject(aborted);
    expect(writer.stats()).toMatchObject({ records, waits: NEVER_SLEPT });
  });

  test('ends the opening of a reader, whether there is a channel or not', async () => {
    using channel = await empty();
    for (const path of [channel.path, newPath()]) {
      expect(await failure(() => Reader.open(path, { wait: true, signal }))).toMatchObject(aborted);
    }
    expect(channel.writer.readers()).toHaveLength(1);
  });
});

/** Does something when it is asked for the first time, and then says how to wait. */
function doing(action: () => void, says: ReturnType<IdleStrategy['idle']>): IdleStrategy {
  return {
    idle(looks) {
      if (looks === 1) action();
      return says;
    },
  };
}

describe.each(['park', 'yield', 'look', FOR_EVER_MS] as const)('where the strategy says %s', (says) => {
  test('a wait ends when it is aborted from within the strategy', async () => {
    const aborting = new AbortController();
    const { signal } = aborting;
    using channel = await empty({ idle: doing(() => aborting.abort(), says) });
    expect((await failure(() => channel.reader.ready({ signal }))).code).toBe('ERR_ABORTED');
  });

  test('a wait ends when the reader is closed from within the strategy', async () => {
    let close = () => {};
    using channel = await empty({ idle: doing(() => close(), says) });
    close = () => channel.reader.close();
    expect(await channel.reader.ready()).toBe(false);
  });

  test('a wait ends when the writer is closed from within the strategy', async () => {
    let close = () => {};
    using channel = await full(doing(() => close(), says));
    close = () => channel.writer.close();
    expect((await failure(() => channel.writer.send(Buffer.alloc(LARGE)))).code).toBe('ERR_CLOSED_HANDLE');
  });
});

describe.each(['park', 'yield', 'adaptive', { idle: () => FOR_EVER_MS }])('with idle: %o', (idle) => {
  test.each(WAITS)('closing a reader ends its %s, with nothing', async (_, wait) => {
    using channel = await empty({ idle: idle as 'park' });
    const { reader } = channel;
    const waits = [wait(reader), wait(reader)];
    if (idle === 'park') await asleep(reader, 2);
    reader.close();
    expect(await Promise.all(waits)).toEqual([false, false]);
  });

  test.each(ROOM)('closing a writer ends its %s by an error', async (_, wait) => {
    using channel = await full(idle as 'park');
    const { writer } = channel;
    const end = writer.position;
    const waits = [wait(writer), wait(writer)].map((waiting) => failure(() => waiting));
    if (idle === 'park') await asleep(writer);
    writer.close();
    for (const error of await Promise.all(waits)) expect(error.code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.position).toBe(end);
  });

  test.each(['close', 'seal'] as const)('a writer that %ss ends what its readers wait for', async (end) => {
    using channel = await empty({ idle: idle === 'park' ? 'park' : 'yield' });
    const { writer, reader } = channel;
    const waits = WAITS.map(([, wait]) => wait(reader));
    if (idle === 'park') await asleep(reader, waits.length);
    writer[end]();
    expect(await Promise.all(waits)).toEqual([false, false, false]);
  });
});

test('what has ended is not waited for', async () => {
  using channel = await empty();
  const { writer, reader } = channel;
  writer.write('last');
  writer.close();
  for (const [, wait] of ROOM) expect((await failure(() => wait(writer))).code).toBe('ERR_CLOSED_HANDLE');
  expect(await reader.ready()).toBe(true);
  expect(reader.waitSync()).toBe(true);
  expect(reader.read()?.data.toString()).toBe('last');
  for (const [, wait] of WAITS) expect(await wait(reader)).toBe(false);
  expect(reader.waitSync()).toBe(false);
  expect(reader.stats().waits).toEqual(NEVER_SLEPT);
  reader.close();
  for (const [, wait] of WAITS) {
    expect((await failure(() => wait(reader))).code).toBe('ERR_CLOSED_HANDLE');
  }
  expect(thrown(() => reader.waitSync()).code).toBe('ERR_CLOSED_HANDLE');
});

describe('two waits on one reader', () => {
  test('are both told of a record, and one of them takes it', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const both = [reader.ready(), reader.ready()];
    await asleep(reader, 2);
    writer.write('x');
    expect(await Promise.all(both)).toEqual([true, true]);
    expect(reader.stats().waits).toEqual({ parked: 2, woken: 2, late: 0 });
  });

  test('that take what comes share it, and nothing is lost or given twice', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const seen: string[][] = [[], []];
    const readers = seen.map(async (mine) => {
      for await (const { data } of reader) mine.push(data.toString());
    });
    for (let record = 0; record < 100; record++) {
      if (record === 0) await asleep(reader, 2);
      writer.write(`${record}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    writer.close();
    await Promise.all(readers);
    const all = seen.flat().sort((a, b) => Number(a) - Number(b));
    expect(all).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
  });

  test('are each told that the writer is dead, however short the others wait', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { capacity: '64KiB' }));
    using reader = await Reader.open(writer.path, { idle: 'park', deadAfterMs: 300 });
    crash();
    const patient = failure(() => reader[Symbol.asyncIterator]().next());
    let told = false;
    void patient.then(() => {
      told = true;
    });
    const codes = new Set<string>();
    // Each of these is shorter than what a writer is given.
    while (!told) codes.add((await failure(() => reader.ready({ timeoutMs: 50 }))).code);
    expect((await patient).code).toBe('ERR_WRITER_DEAD');
    expect(codes).toContain('ERR_TIMEOUT');
    // So does a loop of short waits alone.
    while ((await failure(() => reader.ready({ timeoutMs: 50 }))).code !== 'ERR_WRITER_DEAD');
  });
});

test('a handler can not wait for what comes behind its own record', async () => {
  using channel = await empty();
  const { writer, reader } = channel;
  writer.write('x');
  const waits: Promise<unknown>[] = [];
  reader.poll(() => {
    waits.push(failure(() => reader.ready()));
    expect(thrown(() => reader.waitSync()).code).toBe('ERR_BUSY');
  });
  expect(await waits[0]).toMatchObject({ code: 'ERR_BUSY' });
});

// The last one here: it makes the clock go forwards, and that goes back behind it.
test('a writer that was resumed and died again has all of deadAfterMs anew, though nobody waited meanwhile', async () => {
  const now = performance.now.bind(performance);
  let passed = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passed);
  onTestFinished(() => void vi.restoreAllMocks());
  const first = await mortal(() => Writer.create(newPath(), { capacity: '64KiB' }));
  const { path } = first.writer;
  using reader = await Reader.open(path, { idle: 'park', deadAfterMs: FOR_EVER_MS });
  const code = async () => (await failure(() => reader.ready({ timeoutMs: 0 }))).code;
  first.crash();
  expect(await code()).toBe('ERR_TIMEOUT');
  passed += FOR_EVER_MS / 2;
  expect(await code()).toBe('ERR_TIMEOUT');
  // When each one beat for the last time is known to the millisecond.
  const diedAt = environment.bootMs();
  await until(() => environment.bootMs() > diedAt);
  const second = await mortal(() => Writer.resume(path));
  second.writer.write('x');
  second.crash();
  expect(reader.readBatch(2)).toHaveLength(1);
  passed += FOR_EVER_MS;
  expect(await code()).toBe('ERR_TIMEOUT');
  passed += FOR_EVER_MS / 2;
  expect(await code()).toBe('ERR_TIMEOUT');
  passed += FOR_EVER_MS;
  expect(await code()).toBe('ERR_WRITER_DEAD');
});

import { renameSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openAll, Reader, Refusal, verify, type WaitOptions, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

/** A ring that its reader has let fill up. */
async function full() {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path, { gate: true, from: 'oldest' });
  let written = 0;
  while (writer.tryWrite(Buffer.alloc(1000, written)) > 0) written++;
  return { writer, reader, written, path: writer.path };
}

const unsettled = async (promise: Promise<unknown>) => {
  const waiting = Symbol('waiting');
  return (await Promise.race([promise, delay(15, waiting)])) === waiting;
};

describe('a writer that readers hold back', () => {
  test('is told who, and goes on once they made room', async () => {
    using both = await ring();
    const { writer, reader, written } = both;
    const error = await failure(() => writer.write(Buffer.alloc(1000)));
    expect(error).toMatchObject({
      code: 'ERR_BACK_PRESSURE',
      path: writer.path,
      readers: [{ slot: 0, state: 'gating', pid: process.pid, position: 0 }],
    });
    expect(writer.tryWrite(Buffer.alloc(1000))).toBe(Refusal.BACK_PRESSURE);
    expect(writer.tryWriteBatch([Buffer.alloc(1000)])).toBe(Refusal.BACK_PRESSURE);
    expect(writer.claim(1000)).toBeUndefined();
    expect(writer.stats().refusals).toBeGreaterThanOrEqual(4);
    expect(writer.stats().records).toBe(written);
    // One that is far enough is in nobody's way.
    using ahead = await Reader.open(writer.path, { gate: true, from: 'latest' });
    expect(ahead.position).toBe(writer.position);
    const again = await failure(() => writer.write(Buffer.alloc(1000)));
    expect(again).toMatchObject({ readers: [{ slot: 0 }] });
    reader.readBatch(10);
    expect(writer.tryWrite(Buffer.alloc(1000))).toBeGreaterThan(0);
  });

  test('ready() waits for as much room as it is asked for', async () => {
    using both = await ring();
    const { writer, reader } = both;
    const little = writer.ready({ bytes: 1000 });
    const much = writer.ready({ bytes: 8192 });
    expect(await unsettled(Promise.race([little, much]))).toBe(true);
    reader.readBatch(3);
    await little;
    expect(await unsettled(much)).toBe(true);
    reader.readBatch(12);
    await much;
    expect(writer.tryWrite(Buffer.alloc(8192))).toBeGreaterThan(0);
    // What was refused is in: nothing is waited for any more but a little room.
    await writer.ready({ timeoutMs: 1000 });
  });

  test('send() waits for room, keeps the order, and returns the position', async () => {
    using both = await ring();
    const { writer, reader, written } = both;
    const end = writer.position;
    const sent = [writer.send('a'.repeat(1000)), writer.send('b'.repeat(1000), { type: 9 })];
    expect(await unsettled(Promise.race(sent))).toBe(true);
    expect(reader.readBatch(written).length).toBe(written);
    expect(await Promise.all(sent)).toEqual([end, end + 1024]);
    expect(reader.readBatch(9).map(({ data, type }) => `${data.subarray(0, 1)}${type}`)).toEqual([
      'a0',
      'b9',
    ]);
    expect(await writer.send('at once')).toBe(writer.position - 32);
  });

  test.each(['ready', 'send'] as const)('%s() ends in time, and when it is aborted', async (name) => {
    using both = await ring();
    const { writer, written } = both;
    const wait = (options: { timeoutMs?: number; signal?: AbortSignal }) =>
      name === 'ready' ? writer.ready({ bytes: 1000, ...options }) : writer.send(Buffer.alloc(1000), options);
    const begun = performance.now();
    expect(await failure(() => wait({ timeoutMs: 30 }))).toMatchObject({
      code: 'ERR_TIMEOUT',
      timeoutMs: 30,
    });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(29);
    expect(await failure(() => wait({ timeoutMs: 0 }))).toMatchObject({ code: 'ERR_TIMEOUT' });

    const controller = new AbortController();
    const waiting = failure(() => wait({ signal: controller.signal }));
    await delay(5);
    const reason = new RangeError('no longer needed');
    controller.abort(reason);
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
    expect(await failure(() => wait({ signal: AbortSignal.abort(reason) }))).toMatchObject({
      code: 'ERR_ABORTED',
      name: 'AbortError',
      cause: reason,
    });
    expect(writer.stats().records).toBe(written);
  });

  test('a wait ends when the writer is closed', async () => {
    using both = await ring();
    const waits = [
      failure(() => both.writer.ready({ bytes: 1000 })),
      failure(() => both.writer.send(Buffer.alloc(1000))),
    ];
    await delay(5);
    both.writer.close();
    for (const error of await Promise.all(waits)) expect(error.code).toBe('ERR_CLOSED_HANDLE');
  });

  test('lists its readers as they are', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const options = [
      { name: 'slow', gate: { evictAfterMs: 1234 } },
      { name: 'sure', gate: true },
      { name: 'Größe √', gate: false },
      {},
    ];
    const readers: Reader[] = [];
    for (const given of options) readers.push(await Reader.open(writer.path, { from: 'oldest', ...given }));
    for (let i = 0; i < 100; i++) writer.write('x'.repeat(84));
    readers[0].readBatch(5);
    writer.heartbeat();
    const shared = { pid: process.pid, alive: true, overtaken: 0, lostBytes: 0 };
    expect(writer.readers().toSorted((a, b) => a.slot - b.slot)).toEqual([
      {
        ...shared,
        slot: 0,
        name: 'slow',
        state: 'gating',
        position: 560,
        lagBytes: 100 * 112 - 560,
        lagRecords: 95,
        evictAfterMs: 1234,
      },
      {
        ...shared,
        slot: 1,
        name: 'sure',
        state: 'gating',
        position: 0,
        lagBytes: 11200,
        lagRecords: 100,
        evictAfterMs: undefined,
      },
      expect.objectContaining({ slot: 2, name: 'Größe √', state: 'observing' }),
      expect.objectContaining({ slot: 3, name: '', state: 'gating', lagRecords: 100, evictAfterMs: 10_000 }),
    ]);
    expect([readers[1].lag, readers[1].stats()]).toEqual([
      11200,
      {
        records: 0,
        lost: 0,
        position: 0,
        lagBytes: 11200,
        rates: { records: 0, overMs: expect.any(Number) },
        waits: { parked: 0, woken: 0, late: 0 },
      },
    ]);
    readers[1].close();
    expect(writer.readers().map(({ slot }) => slot)).toEqual([0, 2, 3]);
    for (const reader of readers) reader.close();
    expect(writer.readers()).toEqual([]);
  });

  test('ready() says so where what was refused will never fit, and the next one is about the next refusal', async () => {
    using writer = await Writer.create(newPath(), { mode: 'linear', capacity: '16KiB' });
    expect(writer.tryWrite(Buffer.alloc(5000))).toBe(Refusal.TOO_LARGE);
    expect(await failure(() => writer.ready())).toMatchObject({ code: 'ERR_RECORD_TOO_LARGE', size: 5000 });
    await writer.ready();
    expect(writer.tryWriteBatch(Array.from({ length: 5 }, () => Buffer.alloc(4000)))).toBe(Refusal.TOO_LARGE);
    expect(await failure(() => writer.ready())).toMatchObject({
      code: 'ERR_RECORD_TOO_LARGE',
      size: 5 * 4016,
    });
    while (writer.tryWrite(Buffer.alloc(4000)) > 0);
    expect(await failure(() => writer.ready())).toMatchObject({ code: 'ERR_CHANNEL_FULL', size: 4000 });
    await writer.ready();
    expect(await failure(() => writer.ready({ bytes: 5000 }))).toMatchObject({
      code: 'ERR_RECORD_TOO_LARGE',
    });
    // It was only asked about.
    await writer.ready();
  });

  test('send() resolves to the position of its own record, whatever is written meanwhile', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const sends = [writer.send('a'.repeat(16)), writer.send('b'.repeat(48))];
    expect(writer.write('c')).toBe(96);
    expect(await Promise.all(sends)).toEqual([0, 32]);
  });

  test('ready() does not wait for what went in after all', async () => {
    using both = await ring();
    const { writer, reader } = both;
    expect(writer.tryWrite(Buffer.alloc(8000))).toBe(Refusal.BACK_PRESSURE);
    while (writer.tryWrite(Buffer.alloc(8000)) < 0) reader.readBatch(1);
    expect(writer.tryWrite(Buffer.alloc(8000))).toBe(Refusal.BACK_PRESSURE);
    while (writer.tryWrite(Buffer.alloc(40)) < 0) reader.readBatch(1);
    await writer.ready({ timeoutMs: 0 });
  });

  test('send() knows all of its options', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const error = await failure(() => writer.send('a', { timeout: 5 } as object));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', option: 'timeout', meant: 'timeoutMs' });
  });

  test('evicts nobody because it stood still itself', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using _reader = await Reader.open(writer.path, { from: 'oldest', gate: { evictAfterMs: 20 } });
    while (writer.tryWrite(Buffer.alloc(1000)) > 0);
    for (let looks = 0; looks < 6; looks++) {
      const until = performance.now() + 40;
      while (performance.now() < until);
      expect(writer.tryWrite(Buffer.alloc(1000))).toBe(Refusal.BACK_PRESSURE);
    }
    expect(writer.stats().evictions).toBe(0);
  });

  test('evicts who stands still for longer than it may, who is told and can join again', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { from: 'oldest', gate: { evictAfterMs: 40 } });
    let written = 0;
    const write = () => writer.tryWrite(Buffer.alloc(1000, written)) > 0 && ++written;
    while (write());
    reader.readBatch(2);
    // One that moves, if little, is not evicted.
    for (let i = 0; i < 12; i++) {
      await delay(10);
      reader.readBatch(1);
      write();
    }
    expect(writer.stats().evictions).toBe(0);
    for (let tries = 0; writer.stats().evictions === 0 && tries < 400; tries++) {
      await delay(5);
      while (writer.stats().evictions === 0 && write());
    }
    expect(writer.stats().evictions).toBe(1);
    expect(writer.readers()).toMatchObject([{ state: 'evicted' }]);
    while (written < 500) expect(write()).toBeTruthy();
    const { position } = reader;
    for (let twice = 0; twice < 2; twice++) {
      const error = await failure(() => reader.poll(() => {}));
      expect(error).toMatchObject({ code: 'ERR_EVICTED', path: writer.path, from: reader.position });
      // It may have handed out first what it had copied before.
      expect(reader.position - position).toBeLessThanOrEqual(65536);
      expect(error.to).toBeGreaterThan(reader.position);
    }
    reader.seek('oldest');
    expect(writer.readers()).toMatchObject([{ state: 'gating', position: reader.position }]);
    const { recordNumber } = reader;
    const batch = reader.readBatch(1000);
    expect(batch.map(({ record, data }) => [record, data[0]])).toEqual(
      batch.map((_, i) => [recordNumber + i, (recordNumber + i) & 0xff]),
    );
    expect(reader.recordNumber).toBe(written);
  });
});

async function ring() {
  const { writer, reader, written } = await full();
  return {
    writer,
    reader,
    written,
    [Symbol.dispose]() {
      reader.close();
      writer.close();
    },
  };
}

describe('a reader that waits for a channel', () => {
  test('gets it once it appears', async () => {
    const path = newPath();
    const opening = Reader.open(path, { wait: true, from: 'oldest' });
    expect(await unsettled(opening)).toBe(true);
    using writer = await Writer.create(path, { capacity: '64KiB' });
    writer.write('first');
    using reader = await opening;
    expect(reader.read()?.data.toString()).toBe('first');
  });

  test('does not wait for anything else, nor without being told', async () => {
    const path = newPath();
    expect((await failure(() => Reader.open(path))).code).toBe('ERR_NOT_FOUND');
    expect((await failure(() => Reader.open('/proc/self/status', { wait: true }))).code).toBe(
      'ERR_FILESYSTEM',
    );
    const begun = performance.now();
    expect((await failure(() => Reader.open(path, { wait: true, timeoutMs: 20 }))).code).toBe('ERR_TIMEOUT');
    expect(performance.now() - begun).toBeGreaterThanOrEqual(19);
    const controller = new AbortController();
    const waiting = failure(() => Reader.open(path, { wait: true, signal: controller.signal }));
    await delay(5);
    controller.abort();
    expect(await waiting).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
    const { signal } = controller;
    using writer = await Writer.create(path, { capacity: '64KiB' });
    expect(await failure(() => Reader.open(path, { signal }))).toMatchObject({ code: 'ERR_ABORTED' });
    expect(writer.readers()).toEqual([]);
  });

  test('sees a complete channel or none: the name comes last', async () => {
    const path = newPath();
    const opening = Array.from({ length: 10 }, () =>
      Reader.open(path, { wait: true, gate: false, from: 'oldest' }),
    );
    await delay(3);
    using writer = await Writer.create(path, { capacity: '1MiB', metadata: { complete: true } });
    for (const reader of await Promise.all(opening)) {
      expect([reader.metadata, reader.status]).toEqual([{ complete: true }, 'alive']);
      reader.close();
    }
    renameSync(path, `${path}.moved`);
    writer.write('still mine');
    using moved = await Reader.open(`${path}.moved`, { from: 'oldest' });
    expect(moved.read()?.data.toString()).toBe('still mine');
  });
});

test('what ends a wait too soon names the path of what was waited for', async () => {
  using both = await ring();
  const { writer } = both;
  using log = await Writer.create(newPath(), { mode: 'linear', capacity: '64KiB', sync: 'commit' });
  using reader = await Reader.open(log.path);
  using follower = await Reader.open(log.path, { follow: true });
  const directory = newDirectory();
  using many = await openAll(directory);
  const missing = newPath();
  const waits: [string, (limits: WaitOptions) => unknown][] = [
    [writer.path, (limits) => writer.ready({ bytes: 1000, ...limits })],
    [writer.path, (limits) => writer.send(Buffer.alloc(1000), limits)],
    [log.path, (limits) => reader.ready(limits)],
    [log.path, (limits) => reader.batches(limits).next()],
    [log.path, (limits) => follower.ready(limits)],
    [missing, (limits) => Reader.open(missing, { wait: true, ...limits })],
    [directory, (limits) => many.ready(limits)],
  ];
  const signal = AbortSignal.abort();
  for (const [path, wait] of waits) {
    expect(await failure(() => wait({ timeoutMs: 5 }))).toMatchObject({ code: 'ERR_TIMEOUT', path });
    expect(await failure(() => wait({ signal }))).toMatchObject({ code: 'ERR_ABORTED', path });
  }
  const { path } = log;
  expect(thrown(() => reader.waitSync({ timeoutMs: 5 }))).toMatchObject({ code: 'ERR_TIMEOUT', path });
  for (const wait of [() => log.flush({ signal }), () => verify(path, { signal })])
    expect(await failure(wait)).toMatchObject({ code: 'ERR_ABORTED', path });
  // It waits until what took its place is there.
  log.close();
  expect(await failure(() => follower.ready({ timeoutMs: 5 }))).toMatchObject({ code: 'ERR_TIMEOUT', path });
});

describe('iteration', () => {
  test('gets records as they come, one by one or in batches, and lets the event loop run', async () => {
    using writer = await Writer.create(newPath(), { capacity: '256KiB' });
    using one = await Reader.open(writer.path, { from: 'oldest' });
    using many = await Reader.open(writer.path, { from: 'oldest' });
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const seen: number[][] = [[], []];
    const reading = [
      (async () => {
        for await (const { data } of one) seen[0].push(Number(data.toString()));
      })(),
      (async () => {
        for await (const batch of many.batches({ max: 50 })) {
          expect(batch.length).toBeLessThanOrEqual(50);
          seen[1].push(...batch.map(({ data }) => Number(data.toString())));
        }
      })(),
    ];
    for (let i = 0; i < 5000; i++) {
      writer.write(String(i));
      if (i % 1000 === 0) await delay(2);
    }
    writer.close();
    await Promise.all(reading);
    clearInterval(ticking);
    const all = Array.from({ length: 5000 }, (_, i) => i);
    expect(seen).toEqual([all, all]);
    expect(turns).toBeGreaterThan(4);
  });

  test('moves past a record only when the next is asked for', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    for (let i = 0; i < 10; i++) writer.write(String(i));
    for await (const { data } of reader) if (data.toString() === '3') break;
    expect(reader.read()?.data.toString()).toBe('4');
  });

  test('of batches ends in time, and when it is aborted', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path);
    expect((await failure(() => reader.batches({ timeoutMs: 15 }).next())).code).toBe('ERR_TIMEOUT');
    const aborting = { signal: AbortSignal.timeout(10) };
    expect((await failure(() => reader.batches(aborting).next())).name).toBe('AbortError');
    writer.write('x');
    expect((await reader.batches({ timeoutMs: 15 }).next()).value?.length).toBe(1);
  });
});

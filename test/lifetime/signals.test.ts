import { getEventListeners } from 'node:events';
import { finished } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openAll, Reader, Writer } from '../../lib/index.js';
import { readable, writable } from '../../lib/stream/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

describe('an abort signal', () => {
  const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

  test('has no listeners left when what it could have ended is over', async () => {
    const { signal } = new AbortController();
    const path = newPath();
    const missing = await failure(() => Reader.open(path, { wait: true, timeoutMs: 5, signal }));
    expect(missing.code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);

    const later = Reader.open(path, { wait: true, gate: true, signal });
    await delay(5);
    using writer = await Writer.create(path, { capacity: '64KiB' });
    using reader = await later;
    expect(listeners(signal)).toBe(0);

    while (writer.tryWrite(Buffer.alloc(4000)) > 0);
    const late = await failure(() => writer.send(Buffer.alloc(4000), { timeoutMs: 5, signal }));
    expect(late.code).toBe('ERR_TIMEOUT');
    const unready = await failure(() => writer.ready({ bytes: 4000, timeoutMs: 5, signal }));
    expect(unready.code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);

    const sent = writer.send(Buffer.alloc(4000), { signal });
    const ready = writer.ready({ bytes: 4000, signal });
    await delay(5);
    reader.poll(() => {});
    await sent;
    await ready;
    expect(listeners(signal)).toBe(0);

    for await (const _ of reader.batches({ signal })) break;
    expect((await failure(() => reader.batches({ timeoutMs: 5, signal }).next())).code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);
  });

  test('has none left after it ended what waited', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { gate: true });
    const nowhere = newPath();
    while (writer.tryWrite(Buffer.alloc(4000)) > 0);
    using idle = await Reader.open(writer.path, { from: 'latest' });
    const waits: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => Reader.open(nowhere, { wait: true, signal }),
      (signal) => writer.send(Buffer.alloc(4000), { signal }),
      (signal) => writer.ready({ bytes: 4000, signal }),
      (signal) => idle.batches({ signal }).next(),
    ];
    for (const wait of waits) {
      const controller = new AbortController();
      const failed = failure(() => wait(controller.signal));
      await delay(5);
      controller.abort();
      expect((await failed).code).toBe('ERR_ABORTED');
      expect(listeners(controller.signal)).toBe(0);
      // One that was aborted before.
      expect((await failure(() => wait(controller.signal))).code).toBe('ERR_ABORTED');
      expect(listeners(controller.signal)).toBe(0);
    }
    expect(reader.poll(() => {})).toBeGreaterThan(0);
    expect(writer.readers()).toHaveLength(2);
  });

  test('has one, for however many streams and openings', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const streams = [];
    for (let n = 0; n < 12; n++) {
      const reader = await Reader.open(writer.path);
      streams.push(readable(reader, { signal }).resume(), writable(writer, { signal, close: false }));
    }
    const openings = streams.map(() => openAll([writer.path], { gate: false, signal }));
    expect(listeners(signal)).toBe(1);
    for (const opening of openings) (await opening).close();
    // What is over listens no longer, and takes it from nobody.
    const [read, written, ...others] = streams;
    read.destroy();
    written.destroy();
    await Promise.all([failed(read), failed(written)]);
    expect(listeners(signal)).toBe(1);
    const ends = others.map(failed);
    controller.abort();
    for (const end of ends) expect(await end).toMatchObject({ code: 'ERR_ABORTED' });
    expect(listeners(signal)).toBe(0);
  });

  test('ends an opening that has no channel to open', async () => {
    const signal = AbortSignal.abort();
    const path = newDirectory();
    expect(await failure(() => openAll(path, { signal }))).toMatchObject({ code: 'ERR_ABORTED', path });
    expect((await failure(() => openAll([], { signal }))).code).toBe('ERR_ABORTED');
  });
});

const failed = (stream: Parameters<typeof finished>[0]) => finished(stream).catch((error) => error);

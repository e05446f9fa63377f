import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from 'vitest';
import { json, Reader, Refusal, Writer } from '../../lib/index.js';
import { writable } from '../../lib/stream/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

const words = (reader: Reader) => reader.readBatch(1000).map(({ data }) => `${data}`);

/** A ring of which nothing is taken unless somebody reads. */
async function ring() {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path, { gate: true });
  return { writer, reader };
}

describe('each chunk is a record', () => {
  test('of bytes, strings and nothing; its end closes the writer', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer);
    stream.write('one');
    stream.write(Buffer.from('two'));
    stream.write('');
    stream.write('7468726565', 'hex');
    stream.end('last');
    await once(stream, 'finish');
    expect(words(reader)).toEqual(['one', 'two', '', 'three', 'last']);
    expect(reader.ended).toBe(true);
    expect(writer.state).toBe('closed');
    reader.close();
  });

  test('described, in object mode', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer, { objectMode: true, close: false });
    await pipeline(Readable.from([{ data: 'a', type: 7 }, ['b', 'c'], Buffer.from('d')]), stream);
    expect(reader.readBatch(9).map(({ data, type }) => [`${data}`, type])).toEqual([
      ['a', 7],
      ['bc', 0],
      ['d', 0],
    ]);
    expect(writer.state).toBe('open');
    writer.write('still open');
    expect(words(reader)).toEqual(['still open']);
    reader.close();
    writer.close();
  });

  test('values by a codec, whatever fields they have', async () => {
    const writer = await Writer.create(newPath(), { codec: json });
    const reader = await Reader.open(writer.path, { codec: json });
    const values = [{ data: 'x', type: 7 }, 5, [1, 2], 'text'];
    await pipeline(Readable.from(values), writable(writer, { objectMode: true }));
    expect(reader.readBatch(9).map(({ value }) => value)).toEqual(values);
    reader.close();
  });
});

test('a writer whose file has no name any more can be written to all the same', async () => {
  const { writer, reader } = await ring();
  rmSync(writer.path);
  await pipeline(Readable.from(['one', 'two']), writable(writer));
  expect(words(reader)).toEqual(['one', 'two']);
  expect(reader.ended).toBe(true);
  reader.close();
});

describe('where readers hold the writer back', () => {
  test('the producer is held back, and all arrives in order', async () => {
    const { writer, reader } = await ring();
    let produced = 0;
    function* produce() {
      for (; produced < 500; produced++) yield payloadOf(produced, 1000);
    }
    const done = pipeline(
      Readable.from(produce(), { objectMode: false, highWaterMark: 4000 }),
      writable(writer, { highWaterMark: 4000 }),
    );
    let seen = 0;
    for await (const { data, record } of reader) {
      expect(data.equals(payloadOf(record, 1000))).toBe(true);
      seen++;
      // What the ring and the buffers of both streams hold, and no more.
      expect(produced - seen).toBeLessThanOrEqual(64 + 16);
    }
    await done;
    expect(seen).toBe(500);
    reader.close();
  });

  test('many chunks go in with few commits', async () => {
    const { writer, reader } = await ring();
    let commits = 0;
    const { tryWriteBatch } = writer;
    writer.tryWriteBatch = (records) => {
      const taken = tryWriteBatch.call(writer, records);
      if (taken > 0) commits++;
      return taken;
    };
    const stream = writable(writer, { highWaterMark: 1e6 });
    for (let n = 0; n < 400; n++) stream.write(String(n));
    stream.end();
    await once(stream, 'finish');
    expect(words(reader)).toEqual(Array.from({ length: 400 }, (_, n) => String(n)));
    expect(commits).toBeLessThan(10);
    reader.close();
  });

  test('those that do not fit at once go in as there is room', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer, { highWaterMark: 1e6 });
    for (let n = 0; n < 300; n++) stream.write(payloadOf(n, 1000));
    const closed = once(stream.end(), 'close');
    for await (const { data, record } of reader) expect(data.equals(payloadOf(record, 1000))).toBe(true);
    expect(reader.recordNumber).toBe(300);
    await closed;
    reader.close();
  });

  test('destroying it ends the wait, and leaves the writer to go on with', async () => {
    const { writer, reader } = await ring();
    while (writer.tryWrite(payloadOf(0, 1000)) > 0);
    const { records } = writer.stats();
    const stream = writable(writer);
    stream.write(payloadOf(0, 1000));
    await new Promise((resolve) => setImmediate(resolve));
    stream.destroy();
    await once(stream, 'close');
    reader.readBatch(1000);
    await new Promise((resolve) => setImmediate(resolve));
    expect(writer.stats().records).toBe(records);
    expect(writer.state).toBe('open');
    writer.write('and on');
    expect(words(reader)).toEqual(['and on']);
    reader.close();
    writer.close();
  });

  test('a signal and a time limit end it', async () => {
    const { writer, reader } = await ring();
    while (writer.tryWrite(payloadOf(0, 1000)) > 0);
    const controller = new AbortController();
    const aborted = writable(writer, { signal: controller.signal });
    aborted.write(payloadOf(0, 1000));
    const failed = once(aborted, 'error');
    controller.abort();
    const { path } = writer;
    expect((await failed)[0]).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', path });
    const late = writable(writer, { timeoutMs: 5 });
    late.write(payloadOf(0, 1000));
    expect((await once(late, 'error'))[0]).toMatchObject({ code: 'ERR_TIMEOUT', path });
    reader.close();
    writer.close();
  });
});

describe('what can never be written destroys it', () => {
  test('a record that is too large, after those before it', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer);
    stream.cork();
    for (const chunk of ['a', 'b', Buffer.alloc(10_000), 'c']) stream.write(chunk);
    stream.uncork();
    expect((await once(stream, 'error'))[0]).toMatchObject({
      code: 'ERR_RECORD_TOO_LARGE',
      path: writer.path,
      size: 10_000,
      max: 8192,
    });
    expect(words(reader)).toEqual(['a', 'b']);
    expect(writer.state).toBe('open');
    reader.close();
    writer.close();
  });

  test.each([null, undefined, ''])(
    'a chunk for which the codec throws what is no error: %o',
    async (nothing) => {
      const encode = (text: string) => {
        if (text === 'odd') throw nothing;
        return text;
      };
      const writer = await Writer.create(newPath(), { codec: { encode } });
      const reader = await Reader.open(writer.path);
      const stream = writable(writer, { objectMode: true });
      for (const chunk of ['a', 'odd', 'b']) stream.write(chunk);
      const failed = once(stream, 'error');
      stream.end();
      expect((await failed)[0]).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
      expect([words(reader), writer.state]).toEqual([['a'], 'open']);
      reader.close();
      writer.close();
    },
  );

  test('but not what somebody else was refused for ever, while it waits for room', async () => {
    const { writer, reader } = await ring();
    while (writer.tryWrite(payloadOf(0, 1000)) > 0);
    const stream = writable(writer);
    stream.end(payloadOf(1, 1000));
    await new Promise((resolve) => setImmediate(resolve));
    expect(writer.tryWrite(Buffer.alloc(10_000))).toBe(Refusal.TOO_LARGE);
    const ended = once(stream, 'close');
    for await (const { data } of reader) if (data.equals(payloadOf(1, 1000))) break;
    await ended;
    expect(reader.ended).toBe(true);
    reader.close();
  });

  test.each([
    ['what is no data', { type: 7 }, {}, { code: 'ERR_INVALID_ARGUMENT' }],
    ['a type that there is not', { data: 'x', type: 70_000 }, {}, { code: 'ERR_INVALID_ARGUMENT' }],
    ['what the codec throws at', 5n, { codec: json }, { name: 'TypeError' }],
  ])('%s, after those before it, whether they came at once or one by one', async (_, bad, options, told) => {
    for (const isAtOnce of [true, false]) {
      const writer = await Writer.create(newPath(), options);
      const reader = await Reader.open(writer.path);
      const stream = writable(writer, { objectMode: true });
      if (isAtOnce) stream.cork();
      for (const chunk of ['a', 'b', 'c', bad, 'e']) stream.write(chunk);
      if (isAtOnce) stream.uncork();
      expect((await once(stream, 'error'))[0]).toMatchObject(told);
      expect(reader.readBatch(9)).toHaveLength(3);
      reader.close();
      writer.close();
    }
  });

  test('a channel that is full, after all that it had room for', async () => {
    const writer = await Writer.create(newPath(), { mode: 'linear', capacity: '16KiB' });
    const source = Readable.from(
      Array.from({ length: 100 }, (_, n) => payloadOf(n, 1000)),
      { objectMode: false },
    );
    const error = await failure(() => pipeline(source, writable(writer)));
    expect(error).toMatchObject({ code: 'ERR_CHANNEL_FULL', path: writer.path });
    expect(writer.stats().records).toBe(15);
    expect(writer.tryWrite(payloadOf(0, 1000))).toBeLessThan(0);
    writer.seal();
  });

  test('a writer that was ended by somebody else', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer);
    writer.seal();
    stream.write('x');
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    reader.close();
  });

  test('what is no data', async () => {
    const { writer, reader } = await ring();
    const stream = writable(writer, { objectMode: true });
    stream.write({ not: 'data' });
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    reader.close();
    writer.close();
  });
});

test("with sync: 'commit' a chunk is done when it is on the disk", async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-stream-'));
  const writer = await Writer.create(join(directory, 'journal'), { mode: 'linear', sync: 'commit' });
  const stream = writable(writer);
  const durable: number[] = [];
  for (const chunks of [['one'], ['two', 'three', 'four']]) {
    const written = (done: () => void) => () => {
      durable.push(writer.durablePosition);
      done();
    };
    await Promise.all(chunks.map((chunk) => new Promise<void>((done) => stream.write(chunk, written(done)))));
  }
  using reader = await Reader.open(writer.path);
  const positions = reader.readBatch(9).map(({ position }) => position);
  expect(positions).toHaveLength(4);
  for (const [n, position] of positions.entries()) expect(durable[n]).toBeGreaterThan(position);
  stream.end();
  await once(stream, 'close');
  expect(writer.durablePosition).toBe(writer.position);
  rmSync(directory, { recursive: true });
});

test('what is no writer, and options that do not exist, are refused at once', async () => {
  const { writer, reader } = await ring();
  const wrong = [
    () => writable(reader as never),
    () => writable({} as never),
    () => writable(writer, { object: true } as never),
    () => writable(writer, { close: 0 as never }),
    () => writable(writer, { timeoutMs: Number.NaN }),
  ];
  for (const call of wrong) expect(thrown(call).code).toBe('ERR_INVALID_ARGUMENT');
  reader.close();
  writer.close();
});

import { once } from 'node:events';
import { type Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test, vi } from 'vitest';
import { turnBegins } from '../../lib/channel/runtime/index.js';
import { json, openAll, Reader, type ReaderRecord, Writer } from '../../lib/index.js';
import { readable } from '../../lib/stream/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

async function channel(records: (string | Buffer)[] = []) {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path, { gate: true });
  for (const record of records) writer.write(record);
  return { writer, reader };
}

/** Takes what comes until there is enough of it. */
async function take(stream: Readable, bytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  while (length < bytes) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await once(stream, 'readable');
    else length += chunks[chunks.push(chunk) - 1].length;
  }
  return Buffer.concat(chunks);
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** Has it read so much ahead, in one turn or several. */
async function untilHeld(stream: Readable, length: number): Promise<void> {
  stream.read(0);
  while (stream.readableLength < length) await nextTurn();
}

const isOpen = (reader: Reader) => {
  try {
    return reader.lag >= 0;
  } catch {
    return false;
  }
};

describe('a stream of bytes', () => {
  test('has all of them, ends with the channel, and closes the reader', async () => {
    const { writer, reader } = await channel(['a', 'bc']);
    const all = text(readable(reader));
    writer.write('def');
    writer.close();
    expect(await all).toBe('abcdef');
    expect(isOpen(reader)).toBe(false);
  });

  test('passes over records of no bytes, and does not end at them', async () => {
    const { writer, reader } = await channel(['', 'a', '', '', 'b', '']);
    const stream = readable(reader);
    const chunks: string[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
    await once(stream, 'data');
    writer.write('');
    writer.write('c');
    writer.seal();
    await once(stream, 'end');
    expect(chunks).toEqual(['a', 'b', 'c']);
  });

  test('begins where the reader stands', async () => {
    const writer = await Writer.create(newPath(), { mode: 'linear' });
    for (let n = 0; n < 2000; n++) writer.write(String(n % 10));
    writer.close();
    const reader = await Reader.open(writer.path, { from: { record: 5 } });
    expect(await text(readable(reader))).toBe('0123456789'.repeat(200).slice(5));
  });

  test('reads no more of the channel than is wanted, so that the writer is held back', async () => {
    const { writer, reader } = await channel();
    let written = 0;
    while (writer.tryWrite(payloadOf(written, 1000)) > 0) written++;
    const stream = readable(reader, { highWaterMark: 3000 });
    await untilHeld(stream, 3000);
    // No more, however long nobody takes any.
    await nextTurn();
    expect(reader.recordNumber).toBe(3);
    expect(stream.readableLength).toBe(3000);

    const taken = await take(stream, 30_000);
    for (let n = 0; n < 30; n++) {
      expect(taken.subarray(n * 1000, (n + 1) * 1000).equals(payloadOf(n, 1000))).toBe(true);
    }
    expect(reader.recordNumber).toBeLessThanOrEqual(33);
    expect(writer.tryWrite(payloadOf(written, 1000))).toBeGreaterThan(0);
    stream.destroy();
    writer.close();
  });

  test('waits for what is to come while other things happen', async () => {
    const { writer, reader } = await channel();
    const stream = readable(reader);
    for (const word of ['one', 'two', 'three']) {
      const next = once(stream, 'data');
      writer.write(word);
      expect(`${(await next)[0]}`).toBe(word);
    }
    writer.close();
    await once(stream, 'end');
  });
});

describe.each([
  // Node's own default differs from version to version.
  ['bytes', { highWaterMark: 16_384 }],
  ['bytes, one record at a time', { highWaterMark: 1 }],
  ['objects', { objectMode: true }],
])('a flood of %s', (_, options) => {
  const CHUNK_MS = 1;

  async function flood() {
    const writer = await Writer.create(newPath(), { mode: 'linear' });
    for (let n = 0; n < 2000; n++) writer.write(payloadOf(n, 1000));
    writer.close();
    return Reader.open(writer.path);
  }

  /** Has the clock go on by so much for each chunk that is taken. */
  function slow() {
    let now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    return () => {
      now += CHUNK_MS;
    };
  }

  function itIsNow() {
    vi.restoreAllMocks();
    turnBegins();
  }

  test('leaves the event loop its turns, however quickly it is taken', async () => {
    const reader = await flood();
    const take = slow();
    let turns = 0;
    let over = false;
    setImmediate(function again() {
      turns++;
      if (!over) setImmediate(again);
    });
    let chunks = 0;
    try {
      for await (const _chunk of readable(reader, options)) {
        chunks++;
        take();
      }
    } finally {
      over = true;
      itIsNow();
    }
    expect(chunks).toBeGreaterThan(100);
    // What is in the stream's buffer when it is time is taken before.
    expect(turns).toBeGreaterThan(chunks / 40);
  });

  test('ends where its signal says so', async () => {
    const reader = await flood();
    const take = slow();
    const { signal, abort } = ending();
    let chunks = 0;
    setImmediate(abort);
    const reading = async () => {
      for await (const _chunk of readable(reader, { ...options, signal })) {
        chunks++;
        take();
      }
    };
    try {
      expect(await failure(reading)).toMatchObject({ code: 'ERR_ABORTED' });
    } finally {
      itIsNow();
    }
    expect(chunks).toBeLessThan(100);
  });
});

function ending() {
  const stop = new AbortController();
  return { signal: stop.signal, abort: () => stop.abort() };
}

describe('a stream of objects', () => {
  test('has the records, those of no bytes too', async () => {
    const { writer, reader } = await channel();
    writer.write('a', 7);
    writer.write('');
    writer.close();
    const records: ReaderRecord[] = [];
    for await (const record of readable(reader, { objectMode: true })) records.push(record);
    expect(records.map(({ data, type, record }) => [`${data}`, type, record])).toEqual([
      ['a', 7, 0],
      ['', 0, 1],
    ]);
  });

  test('reads so many records as it may hold', async () => {
    const { writer, reader } = await channel(['a', 'b', 'c', 'd', 'e']);
    const stream = readable(reader, { objectMode: true, highWaterMark: 2 });
    await untilHeld(stream, 2);
    await nextTurn();
    expect(reader.recordNumber).toBe(2);
    stream.destroy();
    writer.close();
  });

  test('has values by a codec, but none that would be the end of it', async () => {
    const writer = await Writer.create(newPath(), { codec: json });
    const reader = await Reader.open(writer.path, { codec: json });
    for (const value of [{ id: 1 }, 0, '', false, null, 5]) writer.write(value);
    const values: unknown[] = [];
    const error = await failure(async () => {
      for await (const value of readable(reader, { objectMode: true, values: true })) values.push(value);
    });
    expect(values).toEqual([{ id: 1 }, 0, '', false]);
    const { path } = writer;
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', record: 4, path });
    const many = await openAll([path], { from: 'oldest', codec: json });
    const all = readable(many, { objectMode: true, values: true });
    expect(await failure(() => all.toArray())).toMatchObject({ record: 4, path });
    writer.close();
  });

  test('can be of many channels', async () => {
    const writers = await Promise.all([1, 2, 3].map(() => Writer.create(newPath())));
    const many = await openAll(writers.map(({ path }) => path));
    for (const writer of writers) {
      writer.write(writer.path);
      writer.close();
    }
    const seen: string[] = [];
    for await (const { data, source } of readable(many, { objectMode: true })) {
      expect(`${data}`).toBe(source);
      seen.push(source);
    }
    expect(seen.sort()).toEqual(writers.map(({ path }) => path).sort());
    expect(many.closed).toBe(true);
  });
});

describe('destroying it', () => {
  test.each([{}, { close: true }, { close: false }])(
    'ends a wait at once, and closes the reader with %o',
    async (options) => {
      const { writer, reader } = await channel(['a']);
      const ready = vi.spyOn(reader, 'ready');
      const stream = readable(reader, options);
      await once(stream, 'data');
      await expect.poll(() => ready.mock.calls.length).toBe(1);
      stream.destroy();
      await once(stream, 'close');
      expect(await failure(() => ready.mock.results[0].value)).toMatchObject({ code: 'ERR_ABORTED' });
      expect(isOpen(reader)).toBe(options.close === false);
      if (options.close === false) {
        // The wait took nothing with it.
        writer.write('b');
        await nextTurn();
        expect(`${reader.read()?.data}`).toBe('b');
      }
      reader.close();
      writer.close();
    },
  );

  test('by a signal is an AbortError, also where it was aborted before', async () => {
    const { writer, reader } = await channel(['a']);
    const controller = new AbortController();
    const stream = readable(reader, { signal: controller.signal, close: false });
    await once(stream, 'data');
    const failed = once(stream, 'error');
    controller.abort(new Error('enough'));
    const { path } = reader;
    expect((await failed)[0]).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', path });

    const late = readable(reader, { signal: controller.signal });
    expect((await once(late, 'error'))[0]).toMatchObject({ code: 'ERR_ABORTED' });
    expect(isOpen(reader)).toBe(false);
    writer.close();
  });

  test('comes by itself when nothing was written for too long', async () => {
    const { writer, reader } = await channel(['a']);
    const error = await failure(() => text(readable(reader, { timeoutMs: 5 })));
    expect(error).toMatchObject({ code: 'ERR_TIMEOUT', path: reader.path });
    writer.close();
  });

  test('by a pipeline closes the reader', async () => {
    const { writer, reader } = await channel(['a']);
    const refusing = new Writable({ write: (_chunk, _encoding, done) => done(new RangeError('full')) });
    await expect(pipeline(readable(reader), refusing)).rejects.toThrow('full');
    expect(isOpen(reader)).toBe(false);
    writer.close();
  });
});

describe('what goes wrong destroys it with the error of the reader', () => {
  test('and with one, too, where the codec throws what is none', async () => {
    const { writer } = await channel(['one']);
    const decode = () => {
      throw null;
    };
    const reader = await Reader.open(writer.path, { from: 'oldest', codec: { decode } });
    const stream = readable(reader, { objectMode: true }).resume();
    expect((await once(stream, 'error'))[0]).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      path: writer.path,
    });
    writer.close();
  });

  test('after all that was read before', async () => {
    const writer = await Writer.create(newPath(), { capacity: '64KiB' });
    const reader = await Reader.open(writer.path, { gate: false, from: 'oldest' });
    for (let n = 0; n < 10; n++) writer.write(Buffer.alloc(10, 'a'));
    const stream = readable(reader, { highWaterMark: 100 });
    await untilHeld(stream, 100);
    expect(`${stream.read(10)}`).toBe('a'.repeat(10));
    while (writer.position < 200_000) writer.write(Buffer.alloc(1000, 'b'));
    await expect.poll(() => reader.lost).toBeGreaterThan(0);
    await nextTurn();
    let seen = '';
    const error = await failure(async () => {
      for await (const chunk of stream) seen += chunk;
    });
    expect(error).toMatchObject({ code: 'ERR_OVERTAKEN', path: writer.path });
    expect(seen).toBe('a'.repeat(90));
    writer.close();
  });

  test('when somebody asks for more than will come', async () => {
    const { writer, reader } = await mortalChannel();
    const stream = readable(reader);
    await once(stream, 'readable');
    stream.on('readable', () => stream.read(1000));
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'ERR_WRITER_DEAD', path: writer.path });
  });

  test('a dead writer', async () => {
    const { writer, reader } = await mortalChannel();
    let seen = '';
    const error = await failure(async () => {
      for await (const chunk of readable(reader)) seen += chunk;
    });
    expect(seen).toBe('last words');
    expect(error).toMatchObject({ code: 'ERR_WRITER_DEAD', path: writer.path });
  });

  test('a reader that somebody else closed: its channel has not ended', async () => {
    const { writer, reader } = await channel(['a']);
    const stream = readable(reader);
    await once(stream, 'data');
    reader.close();
    expect((await once(stream, 'error'))[0]).toMatchObject({ code: 'ERR_CLOSED_HANDLE', path: writer.path });
    writer.close();
  });
});

async function mortalChannel() {
  const { writer, crash } = await mortal(() => Writer.create(newPath()));
  const reader = await Reader.open(writer.path, { deadAfterMs: 0 });
  writer.write('last words');
  crash();
  return { writer, reader };
}

test('what is no reader, and options that do not exist, are refused at once', async () => {
  const { writer, reader } = await channel();
  const wrong = [
    () => readable(writer as never),
    () => readable(undefined as never),
    () => readable(reader, { highWatermark: 1 } as never),
    () => readable(reader, { highWaterMark: -1 }),
    () => readable(reader, { objectMode: 1 as never }),
    () => readable(reader, { values: true }),
    () => readable(reader, { timeoutMs: -1 }),
    () => readable(reader, { signal: {} as never }),
  ];
  for (const call of wrong) expect(thrown(call).code).toBe('ERR_INVALID_ARGUMENT');
  expect(thrown(wrong[2])).toMatchObject({ option: 'highWatermark', meant: 'highWaterMark' });
  reader.close();
  writer.close();
});

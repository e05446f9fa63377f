import { Readable, Transform, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { json, Reader, type ReaderRecord, Writer } from '../../lib/index.js';
import { readable, writable } from '../../lib/stream/index.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';
import { until } from '../waking/fixtures/kernel.js';

async function ring() {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const reader = await Reader.open(writer.path, { gate: true });
  return { writer, reader };
}

test('from one channel through gzip and another channel back: nothing is changed', async () => {
  const [plain, zipped] = [await ring(), await ring()];
  const whole = Buffer.concat(Array.from({ length: 3000 }, (_, n) => payloadOf(n, 100)));
  const source = Readable.from(
    Array.from({ length: 3000 }, (_, n) => payloadOf(n, 100)),
    { objectMode: false },
  );
  const chunks: Buffer[] = [];
  await Promise.all([
    pipeline(source, writable(plain.writer)),
    pipeline(readable(plain.reader), createGzip({ chunkSize: 4096 }), writable(zipped.writer)),
    pipeline(readable(zipped.reader), createGunzip(), async (unzipped) => {
      for await (const chunk of unzipped) chunks.push(chunk);
    }),
  ]);
  expect(Buffer.concat(chunks).equals(whole)).toBe(true);
});

const turns = async () => {
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setImmediate(resolve));
};

describe.each([
  ['at once', (done: () => void) => done()],
  ['on the next tick', (done: () => void) => process.nextTick(done)],
  ['a turn later', (done: () => void) => void setImmediate(done)],
  ['some time later', (done: () => void) => void setTimeout(done, 1)],
] satisfies [string, (done: () => void) => void][])(
  'a consumer that is done with each chunk %s',
  (_, later) => {
    test.each([
      { objectMode: false, highWaterMark: 1 },
      { objectMode: false, highWaterMark: 1000 },
      { objectMode: true, highWaterMark: 1 },
      { objectMode: true, highWaterMark: 16 },
    ])('gets all of it, through streams of %o', async (options) => {
      const { writer, reader } = await ring();
      const count = 100;
      for (let n = 0; n < count; n++) writer.write(payloadOf(n, 100));
      writer.close();
      const taken: Buffer[] = [];
      const sink = new Writable({
        ...options,
        write(chunk: Buffer | ReaderRecord, _encoding, done) {
          taken.push(Buffer.isBuffer(chunk) ? chunk : (chunk as ReaderRecord).data);
          later(done);
        },
      });
      await pipeline(readable(reader, options), sink);
      expect(taken.length).toBe(count);
      for (const [n, data] of taken.entries()) expect(data.equals(payloadOf(n, 100))).toBe(true);
    });
  },
);

test('who takes one chunk holds back, in turn, the stream, the channel, its writer and whoever feeds that', async () => {
  const { writer, reader } = await ring();
  const LENGTH = 1000;
  const HELD = 4;
  const other = await ring();
  let inRing = 0;
  while (other.writer.tryWrite(payloadOf(0, LENGTH)) > 0) inRing++;
  other.reader.close();
  other.writer.close();
  let fed = 0;
  const source = new Readable({
    highWaterMark: HELD * LENGTH,
    read() {
      this.push(payloadOf(fed++, LENGTH));
    },
  });
  const sink = writable(writer, { highWaterMark: HELD * LENGTH });
  const feeding = pipeline(source, sink).catch(() => {});
  const stream = readable(reader, { highWaterMark: HELD * LENGTH });

  // The stream takes nothing of the channel before somebody wants something of it.
  await until(() => writer.stats().records === inRing && sink.writableNeedDrain && source.readableLength > 0);
  await turns();
  expect(reader.recordNumber).toBe(0);
  expect(sink.writableLength).toBeLessThanOrEqual((HELD + 1) * LENGTH);
  expect(source.readableLength).toBeLessThanOrEqual((HELD + 1) * LENGTH);
  expect(fed - inRing).toBeLessThanOrEqual(2 * (HELD + 1));

  stream.on('readable', () => {});
  for (let taken = 0; taken < 200; taken++) {
    await until(() => stream.readableLength === HELD * LENGTH);
    await turns();
    expect(stream.readableLength).toBe(HELD * LENGTH);
    expect(reader.recordNumber).toBe(taken + HELD);
    // What was fed is somewhere, and nowhere is more than there is room for.
    const { records } = writer.stats();
    expect(records - reader.recordNumber).toBeLessThanOrEqual(inRing);
    expect(fed - records).toBeLessThanOrEqual(2 * (HELD + 1));
    expect((stream.read(LENGTH) as Buffer).equals(payloadOf(taken, LENGTH))).toBe(true);
  }
  stream.destroy();
  sink.destroy();
  await feeding;
  writer.close();
});

test('values through a transform of objects', async () => {
  const numbers = await Writer.create(newPath(), { codec: json });
  const squares = await Writer.create(newPath(), { codec: json });
  const input = await Reader.open(numbers.path, { codec: json });
  const output = await Reader.open(squares.path, { codec: json });
  const square = new Transform({
    objectMode: true,
    transform: (value: number, _encoding, done) => done(null, value ** 2),
  });
  await Promise.all([
    pipeline(Readable.from([1, 2, 3]), writable(numbers, { objectMode: true })),
    pipeline(
      readable(input, { objectMode: true, values: true }),
      square,
      writable(squares, { objectMode: true }),
    ),
  ]);
  expect(output.readBatch(9).map(({ value }) => value)).toEqual([1, 4, 9]);
  output.close();
});

test('through the helpers of Node.js, and web streams in both directions', async () => {
  const { writer, reader } = await ring();
  const sink = Writable.toWeb(writable(writer)).getWriter();
  for (const word of ['a', 'b', 'c']) await sink.write(Buffer.from(word));
  await sink.close();
  const shouting = readable(reader).map((chunk: Buffer) => chunk.toString().toUpperCase());
  expect(await text(Readable.toWeb(shouting) as never)).toBe('ABC');
});

test('a web stream that is cancelled closes the reader', async () => {
  const { writer, reader } = await ring();
  writer.write('a');
  const source = readable(reader);
  const web = Readable.toWeb(source).getReader();
  expect(Buffer.from((await web.read()).value).toString()).toBe('a');
  // Cancelling is an AbortError of Node.js to whoever listens for errors.
  const closed = new Promise((resolve) => source.once('close', resolve));
  await web.cancel();
  await closed;
  expect(() => reader.lag).toThrow('closed');
  writer.close();
});

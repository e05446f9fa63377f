import { Readable, Transform, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { expect, test } from 'vitest';
import { json, Reader, Writer } from '../../lib/index.js';
import { readable, writable } from '../../lib/stream/index.js';
import { payloadOf } from '../helpers/payload.js';
import { newPath } from '../helpers/run-directory.js';

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

import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import {
  type Codec,
  type IdleStrategy,
  type ManyOptions,
  openAll,
  Reader,
  type ReaderOptions,
  Writer,
  type WriterOptions,
  type WritingOptions,
} from '../../lib/index.js';
import { type ReadableOptions, readable, type WritableOptions, writable } from '../../lib/stream/index.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

/** Tells which of several it was that encoded, and which decoded. */
function codec(name: string): Codec<string> {
  return { encode: (text) => `${text}, written by ${name}`, decode: (bytes) => `${bytes}, read by ${name}` };
}

const WRITTEN = 'x, written by the first';
const READ = `${WRITTEN}, read by the first`;

/** Opens one by options whose object is then used for another. */
async function openedFirst<Options extends { codec?: unknown }, Opened>(
  options: Options,
  open: (options: Options) => Promise<Opened>,
  changes: Partial<Options> = {},
): Promise<Opened> {
  const opening = open(options);
  Object.assign(options, { codec: codec('the second') }, changes);
  return opening;
}

test('writers and readers are opened as their options were when that was called', async () => {
  const path = newPath();
  const made: WriterOptions<string> = { codec: codec('the first') };
  const { writer, crash } = await mortal(() => openedFirst(made, (options) => Writer.create(path, options)));
  writer.write('x');
  const read: ReaderOptions<string> = { codec: codec('the first'), from: 'oldest' };
  using reader = await openedFirst(read, (options) => Reader.open(path, options), { from: 'latest' });
  expect(reader.read()?.value).toBe(READ);
  const all: ManyOptions<string> = { codec: codec('the first'), from: 'oldest' };
  using many = await openedFirst(all, (options) => openAll(dirname(path), options), { from: 'latest' });
  expect(many.read()?.value).toBe(READ);
  crash();
  const resumed: WritingOptions<string> = { codec: codec('the first') };
  using successor = await openedFirst(resumed, (options) => Writer.resume(path, options));
  successor.write('x');
  expect(reader.read()?.value).toBe(READ);
});

test('and as the objects in them were', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { timestamps: true });
  for (const ms of [1, 2, 3]) writer.write('x', { timestamp: ms });
  const gate = { evictAfterMs: 50 };
  const record = { record: 1 };
  const time = { time: new Date(2) };
  const byNumber = Reader.open(path, { from: record, gate });
  const byTime = Reader.open(path, { from: time, gate });
  const all = openAll(dirname(path), { from: time, gate });
  Object.assign(gate, { evictAfterMs: 60 });
  Object.assign(record, { record: 2 });
  time.time.setTime(3);
  using first = await byNumber;
  using second = await byTime;
  using many = await all;
  expect([first, second, many].map((each) => each.read()?.record)).toEqual([1, 1, 1]);
  expect(writer.readers().map(({ evictAfterMs }) => evictAfterMs)).toEqual([50, 50, 50]);
});

test('who waits does so within the limits that were said then', async () => {
  using writer = await Writer.create(newPath());
  using reader = await Reader.open(writer.path);
  const limits = { timeoutMs: 20 };
  const waiting = reader.ready(limits);
  Object.assign(limits, { signal: AbortSignal.abort(), timeoutMs: 30 });
  expect(await failure(() => waiting)).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 20 });
});

test('and for the room that was said then', async () => {
  const path = newPath();
  let looked = 0;
  const idle: IdleStrategy = {
    idle(looks) {
      looked = looks;
      if (looks === 3) reader.readBatch(2);
      if (looks === 6) reader.readBatch(8);
      return 'yield';
    },
  };
  using writer = await Writer.create(path, { capacity: '64KiB', idle });
  using reader = await Reader.open(path, { gate: true });
  while (writer.tryWrite('x'.repeat(1000)) > 0);
  const much: { bytes?: number } = { bytes: 5000 };
  const waiting = writer.ready(much);
  much.bytes = undefined;
  await waiting;
  expect(looked).toBe(6);
});

test('so are channels that appear in a directory later', async () => {
  const path = newPath();
  const all: ManyOptions<string> = { codec: codec('the first') };
  using many = await openAll(dirname(path), all);
  all.codec = codec('the second');
  using writer = await Writer.create(path);
  writer.write(WRITTEN);
  await many.ready();
  expect(many.read()?.value).toBe(READ);
});

test('and streams', async () => {
  using writer = await Writer.create(newPath());
  const written: WritableOptions = { close: false };
  const sink = writable(writer, written);
  written.close = true;
  await new Promise<void>((resolve) => sink.end(WRITTEN, resolve));
  expect(writer.state).toBe('open');
  const reader = await Reader.open(writer.path, { from: 'oldest', codec: codec('the first') });
  const read: ReadableOptions = { objectMode: true, values: true };
  const source = readable(reader, read);
  read.objectMode = read.values = false;
  for await (const value of source) {
    expect(value).toBe(READ);
    break;
  }
});

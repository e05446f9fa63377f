import { dirname } from 'node:path';
import { expect, test } from 'vitest';
import {
  type Codec,
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

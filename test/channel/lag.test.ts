import { closeSync, openSync, writeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createWriter } from '../../lib/channel/ends/writer.js';
import * as L from '../../lib/channel/layout.js';
import { inspect, Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

/** So many records that marks lie between, or so few that there is none. */
const MARKED = 3000;
const UNMARKED = 50;

const lagsOf = (writer: Writer) =>
  Object.fromEntries(writer.readers().map(({ name, lagRecords }) => [name, lagRecords]));

describe.each([
  ['ring', true],
  ['ring', false],
  ['linear', true],
  ['linear', false],
] as const)('in a %s channel, timestamps: %s,', (mode, timestamps) => {
  const create = () => Writer.create(newPath(), { mode, timestamps, capacity: '1MiB' });

  test.each([MARKED, UNMARKED])('each reader is so many of %d records behind', async (count) => {
    using writer = await create();
    const places = [0, 1, 7, count >> 1, count - 1, count];
    const readers: Reader[] = [];
    for (const place of places) {
      readers.push(
        await Reader.open(writer.path, { from: 'oldest', gate: place % 2 === 0, name: `${place}` }),
      );
    }
    // Not all of one length, or the records could be counted by their bytes.
    for (let n = 0; n < count; n++) writer.write('x'.repeat((n * 37) % 200));
    for (const [i, place] of places.entries()) if (place > 0) readers[i].readBatch(place);
    writer.heartbeat();
    expect(lagsOf(writer)).toEqual(Object.fromEntries(places.map((place) => [place, count - place])));
    expect(inspect(writer.path).readers).toEqual(writer.readers());
    for (const reader of readers) reader.close();
    expect(writer.readers()).toEqual([]);
  });

  test('records of a batch count one by one, and one that is being read counts still', async () => {
    using writer = await create();
    using reader = await Reader.open(writer.path, { from: 'oldest', name: 'r' });
    writer.writeBatch(['a', 'b', 'c', 'd']);
    writer.heartbeat();
    expect(lagsOf(writer)).toEqual({ r: 4 });
    const lags: unknown[] = [];
    reader.poll(() => lags.push(lagsOf(writer).r), 3);
    expect(lags).toEqual([4, 4, 4]);
    expect(lagsOf(writer)).toEqual({ r: 1 });
  });

  test('none is behind by less than nothing, where the tail is not published yet', async () => {
    using writer = await create();
    using reader = await Reader.open(writer.path, { from: 'oldest', name: 'r' });
    for (let n = 0; n < 10; n++) writer.write('x');
    const { length } = reader.readBatch(10);
    expect(length).toBe(10);
    expect(inspect(writer.path).records).toBeLessThan(10);
    expect(lagsOf(writer)).toEqual({ r: 0 });
    writer.heartbeat();
    expect(lagsOf(writer)).toEqual({ r: 0 });
  });
});

test('over writers that resume one another they are counted on', async () => {
  const path = newPath();
  let mortals = await mortal(() => Writer.create(path, { capacity: '1MiB' }));
  using reader = await Reader.open(path, { from: 'oldest', name: 'r' });
  for (let round = 1; round <= 3; round++) {
    const { writer } = mortals;
    for (let n = 0; n < MARKED; n++) {
      writer.write('x');
      if (n % 3 < 2) reader.read();
    }
    writer.heartbeat();
    expect(lagsOf(writer)).toEqual({ r: (MARKED / 3) * round });
    mortals.crash();
    mortals = await mortal(() => Writer.resume(path));
    expect(lagsOf(mortals.writer)).toEqual({ r: (MARKED / 3) * round });
  }
  mortals.writer.close();
});

test('it is not said of a reader that was overtaken, until it has moved on', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: false, name: 'r' });
  for (let n = 0; n < 1000; n++) writer.write(Buffer.alloc(200));
  writer.heartbeat();
  const [info] = writer.readers();
  expect(info).toMatchObject({ lagBytes: writer.position, state: 'observing' });
  expect(info.lagRecords).toBeUndefined();
  expect((await failure(() => reader.read())).code).toBe('ERR_OVERTAKEN');
  reader.read();
  expect(lagsOf(writer)).toEqual({ r: 1000 - reader.recordNumber });
  expect(reader.recordNumber).toBeGreaterThan(700);
});

test.each([1, 2, 3, 7])(
  'it is exact for whoever holds the writer back, over many laps, where no mark lies before it (%i at a time)',
  async (atATime) => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { from: 'oldest', gate: true, name: 'r' });
    let written = 0;
    let read = 0;
    while (writer.position < 5 * 65536) {
      // Not all of one length, or the records could be counted by their bytes.
      while (writer.tryWrite(Buffer.alloc(500 + ((written * 37) % 1500))) > 0) written++;
      writer.heartbeat();
      expect(lagsOf(writer)).toEqual({ r: written - read });
      read += reader.readBatch(atATime).length;
      expect(lagsOf(writer)).toEqual({ r: written - read });
    }
  },
);

/** Where a position goes over into the next high part. */
const OVER = 2 ** 36;

test('a reader that died on the way back over 64 GiB is nowhere', async () => {
  const options = { capacity: '64KiB', readers: 1 };
  using writer = await createWriter(newPath(), options, { position: OVER - 65536, record: 0 });
  for (let n = 0; n < 300; n++) writer.write(Buffer.alloc(400));
  using reader = await Reader.open(writer.path, { from: 'latest', gate: false });
  expect(reader.position).toBeGreaterThan(OVER);
  writer.heartbeat();
  expect(writer.readers()).toMatchObject([{ position: reader.position, lagBytes: 0, lagRecords: 0 }]);
  // Before its low part is stored, and before its last one is.
  for (const words of [
    [0, 3000, 1],
    [0, -3000, 1],
  ]) {
    const position = Buffer.from(Int32Array.from(words).buffer);
    const file = openSync(writer.path, 'r+');
    writeSync(file, position, 0, position.length, L.HEADER_BYTES + L.SLOT_POSITION_OFFSET);
    closeSync(file);
    for (const [{ state, lagRecords }] of [writer.readers(), inspect(writer.path).readers]) {
      expect([state, lagRecords]).toEqual(['observing', undefined]);
    }
  }
});

import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createWriter } from '../../lib/channel/ends/writer.js';
import * as L from '../../lib/channel/layout.js';
import { type Claim, inspect, Reader, type ReaderRecord, Refusal, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure } from '../helpers/failure.js';
import { payloadOf } from '../helpers/payload.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

type Way = 'write' | 'claim' | 'batch';
const WAYS: readonly Way[] = ['write', 'claim', 'batch'];
const SMALL = [0, 1, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 255, 256, 257, 1000];

const headerOf = (timestamps: boolean) => (timestamps ? 32 : 16);
const frame = (payload: number, header: number) => (payload + header + 15) & -16;

/** Writes one record in this way; whether there was room. */
function put(writer: Writer, way: Way, record: number, length: number): boolean {
  const payload = payloadOf(record, length);
  const type = record & 0xffff;
  if (way === 'write') return writer.tryWrite(payload, type) > 0;
  if (way === 'batch') {
    const taken = writer.tryWriteBatch([{ data: payload, type }]);
    if (taken < 0) expect([Refusal.FULL, Refusal.BACK_PRESSURE]).toContain(taken);
    return taken > 0;
  }
  const claim: Claim | undefined = writer.claim(length, type);
  if (claim === undefined) return false;
  claim.bytes.set(payload, claim.start);
  claim.commit();
  return true;
}

/** Compares without a matcher each: there are very many of them. */
function isRecord(bytes: Buffer, start: number, end: number, type: number, record: number, length: number) {
  if (end - start === length && type === (record & 0xffff)) {
    if (payloadOf(record, length).compare(bytes, start, end) === 0) return;
  }
  expect({ record, length: end - start, type }).toEqual({ record, length, type: record & 0xffff });
  throw new Error(`Record ${record} of ${length} bytes has other content`);
}

/** Reads all there is with `poll` and holds it against the lengths written, from record `from` on. */
function expectRecords(
  reader: Reader,
  lengths: readonly number[],
  from = 0,
  copy = false,
  limit?: number,
): void {
  let seen = from;
  reader.poll(
    (bytes, start, end, type) => {
      isRecord(bytes, start, end, type, seen, lengths[seen]);
      seen++;
    },
    { copy, limit },
  );
  expect(seen).toBe(lengths.length);
}

const linearCapacities = Array.from({ length: 29 }, (_, n) => 16384 + n * 4096);
const ringCapacities = [65536, 131072, 262144, 524288, 1048576];

describe.each([false, true])('with timestamps: %s', (timestamps) => {
  const header = headerOf(timestamps);

  test.each(WAYS)('a linear channel of any capacity fills to the last byte by %s', async (way) => {
    for (const capacity of linearCapacities) {
      const path = newPath();
      const writer = await Writer.create(path, { mode: 'linear', capacity, timestamps, readers: 2 });
      const largest = capacity / 4;
      const lengths: number[] = [];
      const add = (length: number) => {
        if (!put(writer, way, lengths.length, length)) throw new Error(`${length} bytes did not fit`);
        lengths.push(length);
      };
      expect(writer.remaining).toBe(capacity - 64);
      add(largest);
      for (let i = capacity / 4096; writer.remaining > largest + header + 2048; i++) {
        const before = writer.remaining;
        const length = SMALL[i % SMALL.length];
        add(length);
        if (before - writer.remaining !== frame(length, header))
          expect(writer.remaining).toBe(before - frame(length, header));
      }
      // What is left, but one frame of nothing; then that, to the last byte.
      while (writer.remaining > header) {
        const fits = Math.min(largest, writer.remaining - header);
        const last = fits < largest;
        if (last) {
          expect(put(writer, way, lengths.length, fits + 1)).toBe(false);
          // A refusal changes nothing.
          expect(writer.remaining).toBe(fits + header);
        }
        add(fits);
      }
      expect(writer.remaining).toBeLessThan(header);
      expect(put(writer, way, lengths.length, 0)).toBe(false);
      expect(writer.stats().records).toBe(lengths.length);
      using live = await Reader.open(path);
      expectRecords(live, lengths);
      writer.close();
      expect(live.ended).toBe(true);
      using reader = await Reader.open(path, { from: 'oldest' });
      expectRecords(reader, lengths, 0, true);
      expect(reader.ended).toBe(true);
      expect(inspect(path)).toMatchObject({ records: lengths.length, finalPosition: reader.position });
    }
  });

  test.each(WAYS)('a ring of any capacity fills to the last byte by %s, lap after lap', async (way) => {
    for (const capacity of ringCapacities) {
      using writer = await Writer.create(newPath(), { capacity, timestamps, readers: 4 });
      using lent = await Reader.open(writer.path, { gate: true });
      using copied = await Reader.open(writer.path, { gate: true });
      using evictable = await Reader.open(writer.path);
      const largest = capacity / 8;
      const sizes = [...SMALL, largest - 1, largest, largest >> 1, 4093];
      const lengths: number[] = [];
      let read = 0;
      for (let lap = 0; lap < 4; lap++) {
        let length = sizes[lengths.length % sizes.length];
        while (put(writer, way, lengths.length, length)) {
          lengths.push(length);
          length = sizes[lengths.length % sizes.length];
        }
        // Held back. Now smaller ones to the brim: `remaining` says what fits where the lap does not end first.
        const { position } = writer;
        expect(put(writer, way, lengths.length, Math.min(largest, writer.remaining))).toBe(false);
        expect(writer.position).toBe(position);
        for (;;) {
          const lapLeft = capacity - (writer.position % capacity);
          const room = Math.min(writer.remaining, lapLeft);
          if (room < header) break;
          const fits = Math.min(largest, room - header);
          expect(put(writer, way, lengths.length, fits)).toBe(true);
          lengths.push(fits);
        }
        if (writer.remaining < header) expect(put(writer, way, lengths.length, 0)).toBe(false);
        expect(writer.position - lent.position).toBeGreaterThan(capacity - largest - header - 256);
        expect(writer.position - lent.position).toBeLessThanOrEqual(capacity - 64);
        expectRecords(lent, lengths, read);
        expectRecords(copied, lengths, read, true);
        expectRecords(evictable, lengths, read);
        read = lengths.length;
        expect(lent.position).toBe(writer.position);
        expect(writer.remaining).toBe(capacity - 64);
      }
      expect(writer.position).toBeGreaterThan(3 * capacity);
      expect(writer.stats()).toMatchObject({ evictions: 0, records: lengths.length });
    }
  });
});

describe.each(['ring', 'linear'] as const)('a %s channel', (mode) => {
  test('takes a record as large as it says, and not one byte more', async () => {
    const whole = mode === 'ring' ? 65536 / 8 : 65536 / 4;
    for (const maxRecord of [0, 1, 100, whole - 1, whole]) {
      using writer = await Writer.create(newPath(), { mode, capacity: 65536, maxRecord });
      using reader = await Reader.open(writer.path, { from: 'oldest' });
      writer.write(payloadOf(1, maxRecord));
      const tooLong = payloadOf(2, maxRecord + 1);
      expect(writer.tryWrite(tooLong)).toBe(Refusal.TOO_LARGE);
      const told = { code: 'ERR_RECORD_TOO_LARGE', size: maxRecord + 1, max: maxRecord, path: writer.path };
      expect(await failure(() => writer.write(tooLong))).toMatchObject(told);
      expect(await failure(() => writer.write(tooLong.toString('latin1').replace(/./gs, 'x')))).toMatchObject(
        told,
      );
      expect(await failure(() => writer.claim(maxRecord + 1))).toMatchObject(told);
      expect(await failure(() => writer.writeBatch(['', tooLong]))).toMatchObject(told);
      expect(await failure(() => writer.send(tooLong))).toMatchObject(told);
      expect(await failure(() => writer.ready({ bytes: maxRecord + 1 }))).toMatchObject(told);
      expect(reader.read()?.data.equals(payloadOf(1, maxRecord))).toBe(true);
      expect(reader.read()).toBeUndefined();
    }
  });

  test('takes a batch as large as it can, in one piece, and refuses a larger one whole', async () => {
    const capacity = 65536;
    using writer = await Writer.create(newPath(), { mode, capacity });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    writer.write('before');
    const most = mode === 'ring' ? capacity / 4 : writer.remaining;
    const records = Array.from({ length: most / 64 - 1 }, (_, i) => payloadOf(i, 48));
    records.push(payloadOf(records.length, 48 + (most % 64)));
    const { position } = writer;
    const tooMany = await failure(() => writer.writeBatch([...records, '']));
    expect(tooMany.code).toBe(mode === 'ring' ? 'ERR_RECORD_TOO_LARGE' : 'ERR_CHANNEL_FULL');
    expect(writer.position).toBe(position);
    expect(writer.writeBatch(records)).toBe(position);
    expect(writer.position).toBe(position + most);
    expect(reader.read()?.data.toString()).toBe('before');
    const batch = reader.readBatch(records.length + 1);
    expect(batch.length).toBe(records.length);
    for (let i = 0; i < batch.length; i++) expect(batch[i].data.equals(records[i])).toBe(true);
  });
});

/** Where numbers outgrow 31, 32, 36 and more bits; each is passed over while records are written. */
const HIGH_PLACES = {
  'an odd start': { position: 48, record: 5 },
  'position 2^31': { position: 2 ** 31 - 32768, record: 2 ** 31 - 40 },
  'position 2^32': { position: 2 ** 32 - 32768, record: 2 ** 32 - 40 },
  'position 2^35, where a stamp turns negative': { position: 2 ** 35 - 32768, record: 2 ** 33 - 40 },
  'position 2^36, where the high part of a split word changes': {
    position: 2 ** 36 - 32768,
    record: 2 ** 40,
  },
  'position 3 * 2^36': { position: 3 * 2 ** 36 - 16, record: 7 * 2 ** 32 - 1 },
  'position 2^52': { position: 2 ** 52 - 32768, record: 2 ** 52 - 40 },
};
const placed = Object.entries(HIGH_PLACES).flatMap(([name, base]) =>
  (['ring', 'linear'] as const).map((mode) => [mode, name, base] as const),
);

test.each(placed)(
  'a %s channel goes over %s: reading, seeking, backwards, resuming',
  async (mode, _, base) => {
    const path = newPath();
    const capacity = 131072;
    const options = { mode, capacity, timestamps: true };
    let { writer, crash } = await mortal(() => createWriter(path, options, base));
    expect(inspect(path)).toMatchObject({ basePosition: base.position, tail: base.position, records: 0 });
    using gating = await Reader.open(path, { gate: true, from: 'oldest' });
    using evictable = await Reader.open(path, { from: 'oldest' });
    using observer = await Reader.open(path, { gate: false, from: 'oldest', register: false });
    const readers = [gating, evictable, observer];
    const written: Known[] = [];
    const add = (records: number) => {
      for (let i = 0; i < records; i++) {
        const n = written.length;
        const data = payloadOf(n, (n * 37) % 400);
        const timestamp = 1_700_000_000_000_000 + n * 1000;
        written.push({
          position: writer.write(data, { timestamp: { us: timestamp } }),
          record: base.record + n,
          timestamp,
          data,
        });
      }
    };
    const expectNext = (reader: Reader, from: number, to: number) => {
      const batch = reader.readBatch(to - from);
      expect(batch.map(inWords)).toEqual(written.slice(from, to).map(inWords));
      expect(reader.position).toBe(to === written.length ? writer.position : written[to].position);
    };
    add(200);
    for (const reader of readers) expectNext(reader, 0, 200);
    add(150);
    crash();
    expect(inspect(path).status).toBe('dead');
    ({ writer, crash } = await mortal(() => Writer.resume(path)));
    expect(inspect(path)).toMatchObject({ records: 350, tail: writer.position });
    expect(writer.stats()).toMatchObject({ records: 350, bytes: writer.position - base.position });
    add(100);
    for (const reader of readers) expectNext(reader, 200, 450);
    expect(writer.position).toBeGreaterThan(base.position + 65536);
    for (const reader of readers) {
      for (const i of [0, 1, 50, 63, 64, 120, 150, 151, 152, 153, 199, 349, 350, 449]) {
        reader.seek(written[i].position);
        expectNext(reader, i, i + 1);
        reader.seek({ record: base.record + i });
        expectNext(reader, i, i + 1);
        reader.seek({ time: { us: (written[i].timestamp as number) - 500 } });
        expectNext(reader, i, i + 1);
      }
      reader.seek('oldest');
      expectNext(reader, 0, 1);
      reader.seek('latest');
      expect(reader.read()).toBeUndefined();
      expect(reader.recordNumber).toBe(base.record + 450);
      expect([...reader.backwards()].map(inWords)).toEqual(written.map(inWords).reverse());
      expect((await failure(() => reader.seek(base.position - 16))).code).toBe('ERR_INVALID_ARGUMENT');
      expect((await failure(() => reader.seek({ record: base.record - 1 }))).code).toBe(
        'ERR_INVALID_ARGUMENT',
      );
    }
    if (mode === 'ring') {
      // Round and round, so that all of it lies behind the place.
      for (const reader of readers) reader.seek('latest');
      for (let i = 0; i < 20; i++) {
        const from = written.length;
        add(100);
        for (const reader of readers) expectNext(reader, from, written.length);
      }
      expect((await failure(() => observer.seek(written[3].position))).code).toBe('ERR_OVERTAKEN');
      observer.seek('oldest');
      const oldest = written.findIndex(({ position }) => position === observer.position);
      expect(oldest).toBeGreaterThan(0);
      expect(observer.recordNumber).toBe(base.record + oldest);
      expectNext(observer, oldest, written.length);
      expect([...observer.backwards()].map(inWords)).toEqual(written.slice(oldest).map(inWords).reverse());
    }
    const state = mode === 'ring' ? 'gating' : 'observing';
    expect(writer.readers().map((reader) => [reader.position, reader.state])).toEqual([
      [gating.position, state],
      [evictable.position, state],
    ]);
    writer.close();
    for (const reader of readers) expect(reader.ended).toBe(true);
    expect(inspect(path)).toMatchObject({ finalPosition: writer.position, records: written.length });
  },
);

type Known = Pick<ReaderRecord, 'position' | 'record' | 'data'> & { timestamp?: number };

/** A record as one string: those compare quickly. */
function inWords({ position, record, timestamp, data }: Known): string {
  return `${record} at ${position}, ${timestamp}: ${data.toString('latin1')}`;
}

test('an observer that was stopped for exactly 64 GiB of stream is overtaken all the same', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: 65536 });
  for (let i = 0; i < 10; i++) writer.write(payloadOf(i, 100));
  using observer = await Reader.open(path, { gate: false, from: 'oldest' });
  expect(observer.read()?.record).toBe(0);
  // Nobody writes 64 GiB for a test: raise the high parts of limit, whose low part is then the same as before.
  const file = openSync(path, 'r+');
  for (const word of [L.LIMIT_OFFSET, L.LIMIT_OFFSET + 8, L.TAIL_OFFSET, L.TAIL_OFFSET + 8]) {
    writeSync(file, Buffer.from([1, 0, 0, 0]), 0, 4, word);
  }
  closeSync(file);
  expect(await failure(() => observer.read())).toMatchObject({ code: 'ERR_OVERTAKEN', from: 128 });
});

test.each(WAYS)(
  'a reader at the start of a lap holds a writer at its end back, however often that tries: %s',
  async (way) => {
    using writer = await Writer.create(newPath(), { capacity: 65536 });
    using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
    let written = 0;
    const write = () => put(writer, way, written, 48) && ++written;
    while (write());
    // Frames of 64 bytes: one that is read leaves room for the one that ends the lap.
    expectRecords(reader, [48], 0, false, 1);
    for (let tries = 0; tries < 5; tries++) write();
    expect(writer.position).toBe(65536);
    for (const length of [0, 48, 1000]) {
      for (const other of WAYS) expect(put(writer, other, written, length)).toBe(false);
    }
    expectRecords(reader, Array(written).fill(48), 1);
    expect(write()).toBeTruthy();
  },
);

test('a linear channel whose writer left not a byte free is resumed at its end', async () => {
  const path = newPath();
  const { writer, crash } = await mortal(() => Writer.create(path, { mode: 'linear', capacity: 16384 }));
  let records = 0;
  while (writer.tryWrite(payloadOf(records, 240)) > 0) records++;
  const at = writer.position;
  crash();
  // This writer keeps room for its END; another need not.
  const dataOffset = statSync(path).size - 16384;
  const frame = Buffer.alloc(16384 - at, 0x61);
  frame.writeInt32LE(frame.length, 0);
  frame.writeInt32LE(L.KIND_DATA, 4);
  frame.writeInt32LE(at / 16, 8);
  frame.writeInt32LE(0, 12);
  const file = openSync(path, 'r+');
  writeSync(file, frame, 0, frame.length, dataOffset + at);
  closeSync(file);
  const resumed = await Writer.resume(path);
  expect(resumed).toMatchObject({ position: 16384, remaining: 0 });
  expect(resumed.tryWrite('')).toBe(Refusal.FULL);
  expect(resumed.claim(0)).toBeUndefined();
  expect(resumed.tryWriteBatch([Buffer.alloc(0)])).toBe(Refusal.FULL);
  resumed.close();
  using reader = await Reader.open(path, { from: 'oldest' });
  const read = reader.readBatch(records + 9);
  expect(read.map(({ data }) => data)).toEqual([
    ...Array.from({ length: records }, (_, i) => payloadOf(i, 240)),
    frame.subarray(16),
  ]);
  expect([reader.ended, reader.status]).toEqual([true, 'closed']);
});

const GIB = 2 ** 30;
const space = statfsSync(dirname(newDirectory()));
const roomy = space.bavail * space.bsize > 1.25 * GIB;

describe.each(['ring', 'linear'] as const)('a %s channel of 1 GiB', (mode) => {
  test.skipIf(!roomy)(
    'is read back to its last byte (skipped where less than 1.25 GiB are free)',
    async () => {
      const path = newPath();
      const writer = await Writer.create(path, { mode, capacity: '1GiB', readers: 1 });
      try {
        using reader = await Reader.open(path, { from: 'oldest', gate: true });
        const largest = mode === 'ring' ? GIB / 8 : GIB / 4;
        const payload = Buffer.alloc(largest, 'millrace');
        const lengths: number[] = [];
        const write = (length: number) => {
          payload.writeUInt32LE(lengths.length);
          payload.writeUInt32LE(lengths.length, length - 4);
          writer.write(payload.subarray(0, length));
          lengths.push(length);
        };
        while (writer.remaining > largest + 16) write(largest);
        write(writer.remaining - 16 - 32);
        write(16);
        expect(writer.remaining).toBe(0);
        expect(writer.tryWrite('')).toBe(mode === 'ring' ? Refusal.BACK_PRESSURE : Refusal.FULL);
        let record = 0;
        reader.poll((bytes, start, end) => {
          expect([end - start, bytes.readUInt32LE(start), bytes.readUInt32LE(end - 4)]).toEqual([
            lengths[record],
            record,
            record,
          ]);
          record++;
        });
        expect(record).toBe(lengths.length);
        if (mode === 'ring') {
          write(100);
          expect(reader.read()).toMatchObject({ record, data: payload.subarray(0, 100) });
          expect(reader.position).toBeGreaterThan(GIB);
        }
      } finally {
        writer.close();
        rmSync(path);
      }
    },
  );
});

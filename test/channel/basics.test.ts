import { closeSync, existsSync, openSync, readdirSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import { planFile } from '../../lib/channel/file/header.js';
import { inspect, MillraceError, Reader, Refusal, sequenced, utf8, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

const text = (record: { data: Buffer } | undefined) => record?.data.toString();

async function failure(work: () => unknown): Promise<MillraceError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof MillraceError) return error;
    throw error;
  }
  throw new Error('It did not fail');
}

describe.each(['ring', 'linear'] as const)('a %s channel', (mode) => {
  test('carries what was written to a reader, in order, with type, position and number', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '64KiB' });
    using reader = await Reader.open(path, { from: 'oldest' });
    const first = writer.write('hello', 7);
    const second = writer.write(new Uint8Array([1, 2, 3]));
    const third = writer.write(['a', Buffer.from('b'), '√']);
    expect(reader.read()).toMatchObject({ type: 7, position: first, record: 0, data: Buffer.from('hello') });
    expect(reader.read()).toMatchObject({
      type: 0,
      position: second,
      record: 1,
      data: Buffer.from([1, 2, 3]),
    });
    expect(reader.read()).toMatchObject({ position: third, record: 2, data: Buffer.from('ab√') });
    expect(reader.read()).toBeUndefined();
    expect(reader.position).toBe(writer.position);
  });

  test('goes on after its writer closed, until the end', async () => {
    const path = newPath();
    const writer = await Writer.create(path, { mode, capacity: '64KiB' });
    const reader = await Reader.open(path, { from: 'oldest' });
    for (let i = 0; i < 100; i++) writer.write(`record ${i}`);
    writer.close();
    writer.close();
    const seen: string[] = [];
    for await (const record of reader) seen.push(record.data.toString());
    expect(seen).toEqual(Array.from({ length: 100 }, (_, i) => `record ${i}`));
    expect(reader.status).toBe('closed');
    expect(reader.ended).toBe(true);
    reader.close();
    reader.close();
    expect((await failure(() => reader.read())).code).toBe('ERR_CLOSED_HANDLE');
    expect((await failure(() => writer.write('x'))).code).toBe('ERR_CLOSED_HANDLE');
  });

  test('a batch is one commit, and all of it is there', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '64KiB' });
    using reader = await Reader.open(path, { from: 'oldest' });
    const at = writer.writeBatch(['a', { data: Buffer.from('b'), type: 9 }, ['c', 'd']]);
    const batch = reader.readBatch(10);
    expect(batch.map(text)).toEqual(['a', 'b', 'cd']);
    expect(batch.map((record) => record.type)).toEqual([0, 9, 0]);
    expect(batch[0].position).toBe(at);
    expect(writer.writeBatch([])).toBe(writer.position);
  });

  test('a claim shows nothing before its commit, and nothing after an abort', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '64KiB' });
    using reader = await Reader.open(path, { from: 'oldest' });
    const claim = writer.claim(100, 3);
    claim?.bytes.fill(0x61, claim.start, claim.end);
    expect(reader.read()).toBeUndefined();
    expect((await failure(() => writer.write('x'))).code).toBe('ERR_BUSY');
    claim?.commit(10);
    expect(reader.read()).toMatchObject({ type: 3, data: Buffer.alloc(10, 'a') });
    const position = writer.position;
    writer.claim(50)?.abort();
    expect(writer.position).toBe(position);
    expect(reader.read()).toBeUndefined();
    writer.write('after');
    expect(text(reader.read())).toBe('after');
  });

  test('timestamps and tags come back', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '64KiB', timestamps: true });
    using reader = await Reader.open(path, { from: 'oldest' });
    writer.write('x', { timestamp: { us: 1_700_000_000_123_456 }, tag: 2 ** 53 - 1, type: 65535 });
    const record = reader.read();
    expect(record).toMatchObject({ timestamp: 1_700_000_000_123_456, tag: 2 ** 53 - 1, type: 65535 });
    const before = Date.now() * 1000;
    writer.write('now');
    expect(reader.read()?.timestamp).toBeGreaterThanOrEqual(before);
  });

  test('seeks by position and record number, and reads backwards', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '256KiB' });
    using reader = await Reader.open(path, { from: 'oldest' });
    const positions: number[] = [];
    for (let i = 0; i < 5000; i++) positions.push(writer.write(String(i)));
    for (const i of [0, 1, 63, 64, 65, 777, 4998, 4999]) {
      reader.seek(positions[i]);
      expect(text(reader.read())).toBe(String(i));
      reader.seek({ record: i });
      expect(reader.read()).toMatchObject({ record: i, position: positions[i] });
    }
    reader.seek('latest');
    expect(reader.read()).toBeUndefined();
    expect([...reader.backwards()].map(text)).toEqual(
      Array.from({ length: 5000 }, (_, i) => String(4999 - i)),
    );
    reader.seek({ record: 2500 });
    expect(text([...reader.backwards()][0])).toBe('2499');
    expect((await failure(() => reader.seek(positions[10] + 16 * 3000 + 8))).code).toBe(
      'ERR_INVALID_ARGUMENT',
    );
    expect((await failure(() => reader.seek({ record: 5001 }))).code).toBe('ERR_INVALID_ARGUMENT');
  });

  test('inspect tells what is there without changing it', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { mode, capacity: '64KiB', metadata: { schema: 'orders' } });
    using _reader = await Reader.open(path, { name: 'billing' });
    writer.write('x');
    writer.heartbeat();
    expect(inspect(path)).toMatchObject({
      mode,
      status: 'alive',
      records: 1,
      metadata: { schema: 'orders' },
      readers: [{ name: 'billing', pid: process.pid, alive: true }],
    });
    writer.seal();
    expect(inspect(path)).toMatchObject({ status: 'sealed', finalPosition: writer.position });
  });
});

test('a linear channel refuses what does not fit, and keeps what did', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { mode: 'linear', capacity: '16KiB' });
  let written = 0;
  while (writer.tryWrite(Buffer.alloc(100)) > 0) written++;
  expect(writer.tryWrite(Buffer.alloc(100))).toBe(Refusal.FULL);
  expect((await failure(() => writer.write(Buffer.alloc(100)))).code).toBe('ERR_CHANNEL_FULL');
  expect(writer.tryWrite(Buffer.alloc(4097))).toBe(Refusal.TOO_LARGE);
  writer.close();
  using reader = await Reader.open(path);
  expect(reader.poll(() => {})).toBe(written);
  expect(reader.ended).toBe(true);
});

test('a ring wraps many times over; a gating reader misses nothing and holds the writer back', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: '64KiB' });
  using reader = await Reader.open(path, { gate: true });
  let written = 0;
  let read = 0;
  const payload = Buffer.alloc(4000);
  for (let round = 0; round < 2000; round++) {
    payload.writeUInt32LE(written);
    const length = 4 + ((round * 7919) % 3990);
    if (writer.tryWrite(payload.subarray(0, length)) > 0) written++;
    else expect(read).toBeLessThan(written);
    if (round % 3 === 0) {
      reader.poll((bytes, start) => {
        expect(bytes.readUInt32LE(start)).toBe(read++);
      }, 4);
    }
  }
  reader.poll((bytes, start) => expect(bytes.readUInt32LE(start)).toBe(read++));
  expect(read).toBe(written);
  expect(writer.position).toBeGreaterThan(10 * 65536);
});

test('an observer that is overtaken is told, and goes on at the oldest record', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: '64KiB' });
  using loud = await Reader.open(path, { gate: false, from: 'oldest' });
  using quiet = await Reader.open(path, { gate: false, from: 'oldest', onLost: 'skip' });
  for (let i = 0; i < 3000; i++) writer.write(String(i).padStart(84));
  const error = await failure(() => loud.read());
  expect(error).toMatchObject({ code: 'ERR_OVERTAKEN', from: 0 });
  const next = loud.read();
  expect(next?.record).toBe(error.lost);
  expect(text(next)?.trim()).toBe(String(error.lost));
  expect(quiet.read()?.record).toBe(quiet.lost);
  expect(quiet.lost).toBeGreaterThan(2000);
});

test('creating over a channel is refused, replacing an ended one is not', async () => {
  const path = newPath();
  const writer = await Writer.create(path, { capacity: '64KiB' });
  expect((await failure(() => Writer.create(path))).code).toBe('ERR_EXISTS');
  expect((await failure(() => Writer.create(path, { replace: true }))).code).toBe('ERR_WRITER_ACTIVE');
  expect((await failure(() => Writer.resume(path))).code).toBe('ERR_WRITER_ACTIVE');
  writer.close();
  expect((await failure(() => Writer.resume(path))).code).toBe('ERR_ENDED');
  using second = await Writer.create(path, { capacity: '64KiB', replace: true });
  second.write('new');
  using reader = await Reader.open(path, { from: 'oldest' });
  expect(text(reader.read())).toBe('new');
  expect(readdirSync(dirname(path))).toHaveLength(1);
  expect(existsSync(path)).toBe(true);
});

test('a position saved at the end of a lap is good to seek to when a PAD comes there', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { gate: true });
  while (65536 - writer.position > 2000) writer.write(Buffer.alloc(1000));
  const saved = writer.position;
  reader.poll(() => {});
  writer.write(Buffer.alloc(4000, 'p'));
  using late = await Reader.open(writer.path, { from: saved });
  expect(late.read()?.data).toEqual(Buffer.alloc(4000, 'p'));
});

test('a number that a sequence gave to a refused record is given again', async () => {
  using writer = await Writer.create(newPath(), {
    mode: 'linear',
    capacity: '16KiB',
    codec: sequenced(utf8),
  });
  let written = 0;
  while (writer.tryWrite('x'.repeat(500)) > 0) written++;
  writer.write('short');
  using reader = await Reader.open(writer.path, { codec: sequenced(utf8) });
  const values = reader.readBatch(1000).map((record) => record.value);
  expect(values.at(-1)).toEqual({ sequence: written, value: 'short' });
});

test('sends that wait for the same room are all sent', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { gate: true });
  const sends = Array.from({ length: 40 }, (_, i) => writer.send(Buffer.alloc(5000, i)));
  const seen: number[] = [];
  while (seen.length < 40) {
    reader.poll((bytes, start) => seen.push(bytes[start]), 3);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(sends);
  expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
});

test('what goes wrong in the middle of a batch is thrown by the next call, and nothing before it is lost', async () => {
  let decoded = 0;
  const codec = {
    encode: (text: string) => text,
    decode: (bytes: Buffer) => {
      if (++decoded === 6) throw new Error('sixth');
      return bytes.toString();
    },
  };
  using writer = await Writer.create(newPath(), { mode: 'linear', capacity: '16KiB', codec });
  using reader = await Reader.open(writer.path, { codec });
  for (let i = 0; i < 10; i++) writer.write(String(i));
  expect(reader.readBatch(10).map((record) => record.value)).toEqual(['0', '1', '2', '3', '4']);
  expect(() => reader.readBatch(10)).toThrow('sixth');
  expect(reader.readBatch(10).map((record) => record.value)).toEqual(['5', '6', '7', '8', '9']);
});

test('reading backwards hands out what is whole behind damage before it says so', async () => {
  const path = newPath();
  const writer = await Writer.create(path, { mode: 'linear', capacity: '64KiB' });
  const positions = Array.from({ length: 100 }, (_, i) => writer.write(String(i)));
  writer.close();
  const { dataOffset } = planFile('linear', 65536, 64);
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(4, 0xff), 0, 4, dataOffset + positions[50]);
  closeSync(file);
  using reader = await Reader.open(path, { from: positions[60] });
  const seen: string[] = [];
  const error = await failure(() => {
    for (const record of reader.backwards()) seen.push(record.data.toString());
  });
  expect(seen).toEqual(['59', '58', '57', '56', '55', '54', '53', '52', '51']);
  expect(error).toMatchObject({ code: 'ERR_CORRUPT', position: positions[50] });
});

test('ready() waits for room for what was refused, not for just any', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { gate: true });
  const record = Buffer.alloc(1000);
  const reading = setInterval(() => reader.poll(() => {}), 1);
  for (let i = 0; i < 500; i++) {
    if (writer.tryWrite(record) > 0) continue;
    await writer.ready();
    expect(writer.tryWrite(record)).toBeGreaterThan(0);
  }
  clearInterval(reading);
});

test('what was refused stays so whatever else ready() is asked about; what can never fit is told once', async () => {
  const record = Buffer.alloc(1000);
  for (const mode of ['ring', 'linear'] as const) {
    using writer = await Writer.create(newPath(), { mode, capacity: '64KiB', maxRecord: 2000 });
    using reader = await Reader.open(writer.path, { gate: true });
    while (writer.tryWrite(record) > 0);
    while (writer.tryWrite('') > 0);
    const refusals: [refuse: () => unknown, size: number, code: string | undefined][] = [
      [() => writer.tryWrite(record), 1000, undefined],
      [() => writer.tryWrite('y'.repeat(1001)), 1001, undefined],
      [() => writer.claim(1002), 1002, undefined],
      [() => writer.tryWriteBatch([record, record]), 2048, undefined],
      [() => writer.tryWrite(Buffer.alloc(2001)), 2001, 'ERR_RECORD_TOO_LARGE'],
      [() => writer.tryWriteBatch([Buffer.alloc(2001)]), 2001, 'ERR_RECORD_TOO_LARGE'],
    ];
    const noRoom = mode === 'ring' ? 'ERR_TIMEOUT' : 'ERR_CHANNEL_FULL';
    for (const [refuse, refused, code = noRoom] of refusals) {
      refuse();
      const asked: [bytes: number | undefined, code: string, size: number][] = [
        [3000, 'ERR_RECORD_TOO_LARGE', 3000],
        [10, noRoom, 10],
        [undefined, code, refused],
      ];
      // Whoever waits goes on waiting.
      if (code === 'ERR_TIMEOUT') asked.push([undefined, code, refused]);
      for (const [bytes, code, size] of asked) {
        const error = await failure(() => writer.ready({ bytes, timeoutMs: 1 }));
        expect([bytes, error.code]).toEqual([bytes, code]);
        if (code !== 'ERR_TIMEOUT') expect(error.size).toBe(size);
      }
    }
    // Who waits before each record is not held up for ever by one that was too large.
    expect(writer.tryWrite(Buffer.alloc(2001))).toBe(Refusal.TOO_LARGE);
    expect((await failure(() => writer.ready())).code).toBe('ERR_RECORD_TOO_LARGE');
    reader.poll(() => {}, 4);
    if (mode === 'ring') {
      await writer.ready();
      expect(writer.tryWrite('goes in')).toBeGreaterThan(0);
    }
    // Nothing is left of it once something else went in.
    if (mode === 'ring') {
      reader.poll(() => {}, 4);
      writer.write('');
      await writer.ready();
    }
  }
});

test('what a record holds can be looked at as numbers of up to 8 bytes', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest' });
  for (let round = 0; round < 3; round++) {
    for (let length = 0; length <= 40; length++) writer.write(Buffer.alloc(length, length));
  }
  const records = [...reader.readBatch(60)];
  for (let record = reader.read(); record !== undefined; record = reader.read()) records.push(record);
  expect(records.map(({ data }) => data.byteOffset % 8)).toEqual(records.map(() => 0));
  for (const [n, { data }] of records.entries()) expect(data).toEqual(Buffer.alloc(n % 41, n % 41));
  const [{ data }] = records.filter(({ data }) => data.length === 8);
  expect(new BigUint64Array(data.buffer, data.byteOffset, 1)[0]).toBe(0x0808080808080808n);
});

test('bytes and dates of another context are taken as one’s own', async () => {
  const bytes: Uint8Array = runInNewContext('Uint8Array.of(1, 2, 3)');
  const date: Date = runInNewContext('new Date(5)');
  expect([bytes instanceof Uint8Array, date instanceof Date]).toEqual([false, false]);
  using writer = await Writer.create(newPath(), { capacity: '64KiB', timestamps: true });
  using reader = await Reader.open(writer.path, { from: 'oldest' });
  writer.write(bytes);
  writer.write([bytes, 'x', bytes], { timestamp: date });
  await writer.send(bytes);
  writer.writeBatch([Uint8Array.of(9), bytes, { data: bytes, timestamp: date }]);
  const records = reader.readBatch(10);
  const one = '\x01\x02\x03';
  expect(records.map(({ data }) => data.toString())).toEqual([one, `${one}x${one}`, one, '\t', one, one]);
  expect(records.filter(({ timestamp }) => timestamp === 5000).map(({ record }) => record)).toEqual([1, 5]);
  reader.seek({ time: date });
  expect(reader.recordNumber).toBe(0);
  const encoding = { encode: () => bytes, decode: (data: Buffer) => data };
  using encoded = await Writer.create(newPath(), { capacity: '64KiB', codec: encoding });
  using decoded = await Reader.open(encoded.path, { from: 'oldest' });
  encoded.write('');
  encoded.writeBatch(['', '']);
  expect(decoded.readBatch(10).map(({ data }) => data.toString())).toEqual([one, one, one]);
});

test('each record of no bytes has a buffer of its own, to give away', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest' });
  for (let count = 0; count < 3; count++) writer.write('');
  for (let count = 0; count < 3; count++) {
    const { data } = reader.read() as { data: Buffer };
    expect(data).toEqual(Buffer.alloc(0));
    expect(structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] }).byteLength).toBe(0);
  }
});

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { declareAbandoned, inspect, Reader, verify, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import {
  afterRestart,
  flushWhileWriting,
  LINEAR,
  offsetOf,
  restoringAll,
  textsOf,
} from './linear-channel.js';

restoringAll();

describe('after the machine died', () => {
  async function synced(records: string[], unsynced: string[] = [], options = {}) {
    const { writer, crash } = await mortal(() =>
      Writer.create(newPath(), { ...LINEAR, sync: 'commit', ...options }),
    );
    for (const text of records) writer.write(text);
    await writer.flush();
    const durable = writer.position;
    for (const text of unsynced) writer.write(text);
    writer.heartbeat();
    return { path: writer.path, durable, crash };
  }

  test('a torn end is nothing yet for readers, and dropped by who resumes', async () => {
    const { path, durable, crash } = await synced(['one', 'two'], ['three', 'four']);
    const copy = afterRestart(path);
    crash();
    using reader = await Reader.open(copy);
    expect(textsOf(reader)).toEqual(['one', 'two']);
    expect([reader.status, reader.ended, reader.position]).toEqual(['dead', false, durable]);
    expect(await verify(copy)).toMatchObject({ sound: true, records: 2, cutOffAt: durable });
    using writer = await Writer.resume(copy);
    expect(writer.recovery).toMatchObject({ after: 'machine', position: durable, records: 2 });
    expect(writer.recovery?.dropped).toBeGreaterThan(32);
    expect(writer.durablePosition).toBe(durable);
    const bytes = readFileSync(copy);
    expect(bytes.subarray(offsetOf(bytes, durable)).every((byte) => byte === 0)).toBe(true);
    await writer.send('three, anew');
    expect(textsOf(reader)).toEqual(['three, anew']);
  });

  test('what had its checksum and reached the disk is kept, synced or not', async () => {
    const { path, crash } = await synced(['one', 'two']);
    const copy = afterRestart(path, (bytes) => bytes.fill(0, L.DURABLE_OFFSET, L.DURABLE_OFFSET + 12));
    crash();
    using writer = await Writer.resume(copy);
    expect(writer.recovery).toMatchObject({ records: 2, dropped: 0 });
  });

  test('what has the checksum of a frame, and is none of a linear channel, ends what is whole', async () => {
    const { path, crash } = await synced(['one', 'two', 'three']);
    for (const kind of [L.KIND_PAD, L.KIND_CHECKPOINT + 1]) {
      const copy = afterRestart(path, (bytes) => {
        bytes.fill(0, L.DURABLE_OFFSET, L.DURABLE_OFFSET + 12);
        const frame = bytes.subarray(offsetOf(bytes, 32), offsetOf(bytes, 64));
        frame[L.FRAME_KIND_OFFSET] = kind;
        frame.writeInt32LE(0, L.FRAME_CRC_OFFSET);
        const length = kind === L.KIND_PAD ? L.FRAME_HEADER : frame.readInt32LE(0);
        const { crc32c } = binding();
        const seed = crc32c(bytes, L.INCARNATION_OFFSET, L.INCARNATION_OFFSET + 4, 0);
        frame.writeInt32LE(crc32c(frame, 0, length, seed), L.FRAME_CRC_OFFSET);
      });
      using reader = await Reader.open(copy);
      expect(textsOf(reader)).toEqual(['one']);
      expect(await verify(copy)).toMatchObject({ sound: true, records: 1, cutOffAt: 32 });
      using writer = await Writer.resume(copy);
      expect(writer.recovery).toMatchObject({ records: 1, position: 32 });
      writer.write('two, anew');
      expect(textsOf(reader)).toEqual(['two, anew']);
    }
    crash();
  });

  test('what was synced and is not there is damage, and nothing is changed', async () => {
    const { path, crash } = await synced(['one', 'two', 'three']);
    const copy = afterRestart(path, (bytes) => {
      bytes[offsetOf(bytes, 32) + 17] ^= 1;
    });
    crash();
    const before = readFileSync(copy);
    expect(await failure(() => Writer.resume(copy))).toMatchObject({ code: 'ERR_CORRUPT', position: 32 });
    expect(readFileSync(copy).equals(before)).toBe(true);
    using reader = await Reader.open(copy);
    expect(reader.read()?.data.toString()).toBe('one');
    expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: 32 });
    expect(await verify(copy)).toMatchObject({ sound: false, faults: [{ position: 32, next: 64 }] });
    const torn = afterRestart(path, (bytes) => {
      bytes[offsetOf(bytes, 32) + 17] ^= 1;
      bytes.writeInt32LE(64 / 16, L.DURABLE_OFFSET + 4);
      bytes[offsetOf(bytes, 64) + 17] ^= 1;
    });
    expect((await verify(torn)).faults).toHaveLength(1);
  });

  test('a CHECKPOINT proves a sync that the header does not know of', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c' }));
    const big = 'x'.repeat(5000);
    writer.write(big);
    await flushWhileWriting(writer, 'second');
    const checkpointAt = 5024 + 32;
    expect(writer.position).toBe(checkpointAt + 32);
    writer.write('third');
    await writer.flush();
    const forget = (bytes: Buffer) => bytes.fill(0, L.DURABLE_OFFSET, L.DURABLE_OFFSET + 12);
    const torn = afterRestart(writer.path, (bytes) => {
      forget(bytes);
      bytes[offsetOf(bytes, checkpointAt + 32) + 20] ^= 1;
    });
    const damaged = afterRestart(writer.path, (bytes) => {
      forget(bytes);
      bytes[offsetOf(bytes, 0) + 20] ^= 1;
    });
    crash();
    // Behind the CHECKPOINT: it may not have been synced.
    using healed = await Writer.resume(torn);
    expect(healed.recovery).toMatchObject({ records: 2, position: checkpointAt + 32 });
    expect(await failure(() => Writer.resume(damaged))).toMatchObject({ code: 'ERR_CORRUPT', position: 0 });
    using reader = await Reader.open(damaged);
    expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: 0 });
  });

  test('a position that was taken where a CHECKPOINT came to be leads to the record behind it', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c' });
    writer.write('x'.repeat(5000));
    const taken = writer.position + 32;
    await flushWhileWriting(writer, 'second');
    expect(writer.position).toBeGreaterThan(taken);
    writer.write('third');
    using reader = await Reader.open(writer.path, { from: taken });
    expect(reader.read()?.data.toString()).toBe('third');
  });

  test('marks and record numbers are right again', async () => {
    const records = Array.from({ length: 3000 }, (_, i) => `record ${i}`);
    const { path, crash } = await synced(records, ['more']);
    const copy = afterRestart(path, (bytes) => {
      const marks = bytes.readInt32LE(L.MARKS_OFFSET_OFFSET);
      bytes.fill(0xff, marks, marks + 4 * L.MARK_BYTES);
    });
    crash();
    using writer = await Writer.resume(copy);
    using reader = await Reader.open(copy);
    for (const record of [0, 1234, 2999]) {
      reader.seek({ record });
      expect(reader.read()?.data.toString()).toBe(`record ${record}`);
    }
    expect((await verify(copy)).marks).toBeGreaterThan(5);
    expect((await verify(copy)).sound).toBe(true);
    expect(writer.stats().records).toBe(3000);
  });

  test('it can be abandoned: its readers come to the end of what is whole', async () => {
    const { path, durable, crash } = await synced(['one', 'two'], ['three']);
    const copy = afterRestart(path);
    crash();
    using reader = await Reader.open(copy);
    declareAbandoned(copy);
    expect(textsOf(reader)).toEqual(['one', 'two']);
    expect([reader.status, reader.ended, inspect(copy).finalPosition]).toEqual(['abandoned', true, durable]);
    expect((await verify(copy)).sound).toBe(true);
  });

  test('what had ended is ended', async () => {
    const writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    await writer.send('one');
    await writer[Symbol.asyncDispose]();
    const open = (bytes: Buffer) => bytes.writeInt32LE(L.STATE_OPEN, L.STATE_OFFSET);
    const copy = afterRestart(writer.path, open);
    expect(await failure(() => Writer.resume(copy))).toMatchObject({ code: 'ERR_ENDED', state: 'closed' });
    expect(inspect(copy)).toMatchObject({ status: 'closed', finalPosition: 32, records: 1 });
  });

  test('rings and channels without checksums can be read, and are not gone on with', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, checksum: 'none' }));
    writer.write('one');
    await writer.flush();
    const copy = afterRestart(writer.path);
    crash();
    const error = await failure(() => Writer.resume(copy));
    expect(error).toMatchObject({ code: 'ERR_ENDED', state: 'dead' });
    expect(error.message).toMatch(/checksum/);
    using reader = await Reader.open(copy);
    expect(textsOf(reader)).toEqual(['one']);
  });

  test('readers that were there go on, whoever heals or abandons it', async () => {
    const later = Array.from({ length: 40 }, (_, i) => `not synced ${i}`);
    const { path, durable, crash } = await synced(['one', 'two'], later);
    const [healed, abandoned] = [afterRestart(path), afterRestart(path)];
    crash();
    using reader = await Reader.open(healed);
    using second = await Reader.open(abandoned);
    expect([textsOf(reader), textsOf(second)]).toEqual([
      ['one', 'two'],
      ['one', 'two'],
    ]);
    using writer = await Writer.resume(healed);
    expect([reader.read(), reader.status, reader.position]).toEqual([undefined, 'alive', durable]);
    writer.write('three');
    expect([textsOf(reader), reader.read()]).toEqual([['three'], undefined]);
    declareAbandoned(abandoned);
    expect([second.read(), second.ended, second.status]).toEqual([undefined, true, 'abandoned']);
  });

  test('half a batch is no batch', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, sync: 'commit' }));
    writer.writeBatch(['before', 'it']);
    writer.writeBatch(Array.from({ length: 10 }, (_, i) => String(i).repeat(1000)));
    await writer.flush();
    const copy = afterRestart(writer.path, (bytes) => {
      bytes.fill(0, L.DURABLE_OFFSET, L.DURABLE_OFFSET + 12);
      bytes.fill(0, offsetOf(bytes, 4096), offsetOf(bytes, 8192));
    });
    crash();
    using reader = await Reader.open(copy);
    expect(textsOf(reader)).toEqual(['before', 'it']);
    expect(await verify(copy)).toMatchObject({ sound: true, records: 2, cutOffAt: 64 });
    using healed = await Writer.resume(copy);
    expect(healed.recovery).toMatchObject({ records: 2, position: 64 });
  });

  test('a page of what was synced that is gone is damage, also where nothing says that there was more', async () => {
    const { path, crash } = await synced(Array.from({ length: 300 }, (_, i) => `record ${i}`.padEnd(112)));
    const copy = afterRestart(path, (bytes) => {
      bytes.fill(0, L.TAIL_OFFSET, L.TAIL_OFFSET + 24);
      bytes.fill(0, offsetOf(bytes, 8192), offsetOf(bytes, 12_288));
    });
    crash();
    using reader = await Reader.open(copy);
    expect(reader.readBatch(1000)).toHaveLength(64);
    expect(await verify(copy)).toMatchObject({ sound: false, cutOffAt: undefined });
    expect(await failure(() => Writer.resume(copy))).toMatchObject({ code: 'ERR_CORRUPT', position: 8192 });
  });

  test('what was abandoned before that ends where it ended, and hands out nothing torn', async () => {
    const { path, crash } = await synced(['one', 'two'], ['three', 'x'.repeat(6000), 'four']);
    crash();
    declareAbandoned(path);
    const torn = afterRestart(path, (bytes) => {
      bytes.fill(0, offsetOf(bytes, 4096), offsetOf(bytes, 8192));
    });
    using reader = await Reader.open(torn, { verify: true });
    expect(reader.readBatch(3).map(({ data }) => data.toString())).toEqual(['one', 'two', 'three']);
    expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: 96 });
    expect((await verify(torn)).sound).toBe(false);
    // The 0 at its end did not reach the disk.
    const longer = afterRestart(path, (bytes) => {
      bytes.writeInt32LE(96 / 16, L.FINAL_POSITION_OFFSET + 4);
    });
    using bounded = await Reader.open(longer, { verify: true });
    expect([textsOf(bounded).length, bounded.ended]).toEqual([3, true]);
  });
});

describe('checksums', () => {
  test.each(['ring', 'linear'] as const)('of a %s channel tell a changed byte', async (mode) => {
    const writer = await Writer.create(newPath(), { mode, capacity: '64KiB', checksum: 'crc32c' });
    for (let i = 0; i < 200; i++) writer.write(`record ${i}`.padEnd(100));
    writer.close();
    const bytes = readFileSync(writer.path);
    bytes[offsetOf(bytes, 128 * 50) + 40] ^= 4;
    writeFileSync(writer.path, bytes);
    using checking = await Reader.open(writer.path, { from: 'oldest', gate: false, verify: true });
    expect(checking.readBatch(1000)).toHaveLength(50);
    expect(thrown(() => checking.read())).toMatchObject({ code: 'ERR_CORRUPT', position: 6400, next: 6528 });
    checking.seek(6528);
    expect(checking.readBatch(1000)).toHaveLength(149);
    using trusting = await Reader.open(writer.path, { from: 'oldest', gate: false, verify: false });
    expect(trusting.readBatch(1000)).toHaveLength(200);
    expect(await verify(writer.path)).toMatchObject({
      sound: false,
      records: 199,
      checked: 199,
      faults: [{ code: 'ERR_CORRUPT', position: 6400, next: 6528 }],
    });
  });

  test('are not made anew over what became of a record since: nobody goes on behind that', async () => {
    const { writer, crash } = await mortal(() =>
      Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c', sync: { everyMs: 60_000 } }),
    );
    writer.writeBatch(['one', 'two', 'three']);
    crash();
    const bytes = readFileSync(writer.path);
    // As a round leaves it whose sync failed to end before its writer did.
    bytes.writeInt32LE(0x5eed, offsetOf(bytes, 32) + L.FRAME_CRC_OFFSET);
    writeFileSync(writer.path, bytes);
    expect(await failure(() => Writer.resume(writer.path))).toMatchObject({
      code: 'ERR_CORRUPT',
      position: 32,
    });
    expect(readFileSync(writer.path).readInt32LE(offsetOf(bytes, 32) + L.FRAME_CRC_OFFSET)).toBe(0x5eed);
    expect(await verify(writer.path)).toMatchObject({ faults: [{ code: 'ERR_CORRUPT', position: 32 }] });
  });

  test('one that was wiped off a closed channel is missed', async () => {
    const writer = await Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c' });
    writer.writeBatch(['one', 'two']);
    writer.seal();
    const bytes = readFileSync(writer.path);
    bytes.writeInt32LE(0, offsetOf(bytes, 32) + L.FRAME_CRC_OFFSET);
    writeFileSync(writer.path, bytes);
    using reader = await Reader.open(writer.path, { verify: true });
    expect(reader.read()?.data.toString()).toBe('one');
    expect(thrown(() => reader.read())).toMatchObject({ code: 'ERR_CORRUPT', position: 32 });
  });

  test('are there for records of every size, over many regions of what is read', async () => {
    const writer = await Writer.create(newPath(), { mode: 'linear', capacity: '4MiB', checksum: 'crc32c' });
    let written = 0;
    while (writer.tryWrite(Buffer.alloc((written * 7919) % 200_000, written)) > 0) written++;
    writer.close();
    using reader = await Reader.open(writer.path, { verify: true });
    expect(reader.readBatch(1_000_000)).toHaveLength(written);
    expect(reader.ended).toBe(true);
    expect([...reader.backwards()]).toHaveLength(written);
    expect(await verify(writer.path)).toMatchObject({ sound: true, records: written, checked: written });
  });

  test('hold the writer of a ring up no longer than it takes, lap by lap', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB', checksum: 'crc32c' });
    using reader = await Reader.open(writer.path, { gate: true, verify: true });
    let seen = 0;
    for (let i = 0; i < 5000; i++) {
      while (writer.tryWrite(Buffer.alloc(i % 700, i)) < 0) {
        reader.poll((bytes, start, end) => {
          if (end - start > 0 && bytes[start] !== (seen & 0xff)) throw new Error(`record ${seen}`);
          seen++;
        });
      }
    }
    reader.poll(() => seen++);
    expect(seen).toBe(5000);
  });
});

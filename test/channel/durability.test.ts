import { readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/disk.js';
import * as L from '../../lib/channel/layout.js';
import { declareAbandoned, inspect, Reader, verify, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

const LINEAR = { mode: 'linear', capacity: '256KiB', heartbeatMs: 60_000 } as const;

afterEach(() => {
  vi.restoreAllMocks();
});

const textsOf = (reader: Reader) => reader.readBatch(1000).map(({ data }) => data.toString());

/** Syncs that were asked for, in their order. */
function watchSyncs() {
  const flush = disk.flushFrames;
  const syncs: { end: number; sync: boolean }[] = [];
  vi.spyOn(disk, 'flushFrames').mockImplementation((file, start, end, stamp, incarnation, sync) => {
    syncs.push({ end, sync });
    return flush(file, start, end, stamp, incarnation, sync);
  });
  return syncs;
}

/** Writes while the sync runs, so that there is something behind what it reached. */
async function flushWhileWriting(writer: Writer, text: string): Promise<void> {
  const flush = disk.flushFrames;
  vi.spyOn(disk, 'flushFrames').mockImplementationOnce((...given) => {
    const flushed = flush(...given);
    writer.write(text);
    return flushed;
  });
  const end = writer.position;
  expect(await writer.flush()).toBe(end);
}

/** The channel as another start of the machine finds it, somewhere else. */
function afterRestart(path: string, change: (bytes: Buffer) => void = () => {}): string {
  const bytes = readFileSync(path);
  bytes[L.WRITER_BOOT_OFFSET] ^= 1;
  change(bytes);
  const copy = newPath();
  writeFileSync(copy, bytes);
  return copy;
}

const offsetOf = (bytes: Buffer, position: number) => bytes.readInt32LE(L.DATA_OFFSET_OFFSET) + position;

describe('flush', () => {
  test('resolves with how far the disk has it, which readers see too', async () => {
    using writer = await Writer.create(newPath(), LINEAR);
    using reader = await Reader.open(writer.path);
    expect([writer.durablePosition, reader.durablePosition, inspect(writer.path).durable]).toEqual([0, 0, 0]);
    writer.write('one');
    const end = writer.position;
    await flushWhileWriting(writer, 'two');
    expect([writer.durablePosition, reader.durablePosition, inspect(writer.path).durable]).toEqual([
      end,
      end,
      end,
    ]);
    expect(await writer.flush()).toBe(writer.position);
  });

  test('is one sync for all who wait, and none where nothing came', async () => {
    using writer = await Writer.create(newPath(), LINEAR);
    const syncs = watchSyncs();
    const waiting = ['a', 'b', 'c', 'd'].map((text) => {
      writer.write(text);
      return writer.flush();
    });
    expect(await Promise.all(waiting)).toEqual(Array(4).fill(writer.position));
    await writer.flush();
    expect(syncs.map(({ sync }) => sync)).toEqual([true]);
  });

  test('brings the name to the disk, once', async () => {
    const names = vi.spyOn(disk, 'syncDirectory');
    using later = await Writer.create(newPath(), LINEAR);
    expect(names).not.toHaveBeenCalled();
    await later.flush();
    later.write('x');
    await later.flush();
    expect(names).toHaveBeenCalledTimes(1);
    using early = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    expect(names).toHaveBeenCalledTimes(2);
    await early.flush();
    expect(names).toHaveBeenCalledTimes(2);
  });

  test('can be waited for less long than it takes; it goes on', async () => {
    using writer = await Writer.create(newPath(), LINEAR);
    let finish = () => {};
    const flush = disk.flushFrames;
    vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return flush(...given);
    });
    writer.write('one');
    const gone = new AbortController();
    const aborted = failure(() => writer.flush({ signal: gone.signal }));
    const late = failure(() => writer.flush({ timeoutMs: 5 }));
    const patient = writer.flush({ timeoutMs: Number.POSITIVE_INFINITY });
    gone.abort();
    expect(await aborted).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError' });
    expect(await late).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 5 });
    expect(await failure(() => writer.flush({ signal: AbortSignal.abort() }))).toMatchObject({
      code: 'ERR_ABORTED',
    });
    expect(await failure(() => writer.flush({ timeoutMs: -1 }))).toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
    });
    finish();
    expect(await patient).toBe(writer.position);
  });

  test('that is under way when the writer closes still resolves; what nobody began does not', async () => {
    const writer = await Writer.create(newPath(), LINEAR);
    const syncs = watchSyncs();
    writer.write('one');
    const first = writer.flush();
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    writer.write('two');
    const second = failure(() => writer.flush());
    writer.close();
    expect(await first).toBe(32);
    expect(await second).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    expect(await failure(() => writer.flush())).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    expect((await verify(writer.path)).sound).toBe(true);
  });
});

describe('asyncDispose', () => {
  test('brings all of it to the disk, and whoever waited hears so', async () => {
    const writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    const sent = writer.send('there');
    const flushed = writer.flush();
    await writer[Symbol.asyncDispose]();
    expect([await sent, await flushed, writer.durablePosition]).toEqual([0, 32, 32]);
    await writer[Symbol.asyncDispose]();
  });

  test('does not resolve where a sync that is under way fails', async () => {
    const writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    const syncs: (() => void)[] = [];
    vi.spyOn(disk, 'flushFrames').mockImplementationOnce(
      () => new Promise((_, reject) => syncs.push(() => reject(new Error('EIO')))),
    );
    const sent = failure(() => writer.send('there'));
    await vi.waitFor(() => expect(syncs).toHaveLength(1));
    const disposed = failure(() => writer[Symbol.asyncDispose]());
    syncs[0]();
    expect(await sent).toMatchObject({ code: 'ERR_SYNC_FAILED', position: 0 });
    expect(await disposed).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(inspect(writer.path).status).toBe('closed');
  });
});

describe('levels', () => {
  test('commit: send resolves when it is on the disk, write at once', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    const syncs = watchSyncs();
    writer.write('not waited for');
    expect(writer.durablePosition).toBe(0);
    const position = await writer.send('waited for');
    expect(writer.durablePosition).toBe(position + 32);
    expect(syncs).toHaveLength(1);
    await Promise.all(Array.from({ length: 16 }, (_, i) => writer.send(`at once ${i}`)));
    expect(syncs.length).toBeLessThanOrEqual(3);
    expect(writer.durablePosition).toBe(writer.position);
  });

  test('commit: who stops waiting is told where the record is', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    vi.spyOn(disk, 'flushFrames').mockReturnValue(new Promise(() => {}));
    expect(await failure(() => writer.send('there all the same', { timeoutMs: 5 }))).toMatchObject({
      code: 'ERR_TIMEOUT',
      position: 0,
    });
    using reader = await Reader.open(writer.path);
    expect(textsOf(reader)).toEqual(['there all the same']);
  });

  test('each so many milliseconds, where something came', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: { everyMs: 5 } });
    const syncs = watchSyncs();
    writer.write('one');
    await vi.waitFor(() => expect(writer.durablePosition).toBe(writer.position));
    const before = syncs.length;
    writer.write('two');
    await vi.waitFor(() => expect(writer.durablePosition).toBe(writer.position));
    expect(syncs.length).toBe(before + 1);
  });

  test('each so many bytes', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: { everyBytes: '16KiB' } });
    const syncs = watchSyncs();
    for (let i = 0; i < 14; i++) writer.write(Buffer.alloc(1000));
    expect(syncs).toEqual([]);
    for (let i = 0; i < 10; i++) writer.write(Buffer.alloc(1000));
    await vi.waitFor(() => expect(writer.durablePosition).toBeGreaterThan(16_000));
    expect(syncs.map(({ sync }) => sync)).toEqual([true]);
  });

  test('each so many bytes, also those that came while a sync ran', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: { everyBytes: '16KiB' } });
    for (let i = 0; i < 200; i++) writer.write(Buffer.alloc(1000));
    await vi.waitFor(() => expect(writer.position - writer.durablePosition).toBeLessThan(16_384));
  });

  test('one round at a time, also where publishing the tail begins one', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: { everyBytes: 4096 } });
    const syncs = watchSyncs();
    writer.write(Buffer.alloc(5000));
    expect(await writer.flush()).toBe(writer.position);
    expect(syncs).toHaveLength(1);
  });

  test('none: checksums are filled in behind the writer all the same, and nothing is synced', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, capacity: '4MiB', checksum: 'crc32c' });
    const syncs = watchSyncs();
    while (writer.position < 2 ** 20 + 8192) writer.write(Buffer.alloc(1000, 1));
    await vi.waitFor(async () => expect((await verify(writer.path)).checked).toBeGreaterThan(1000));
    expect(syncs.map(({ sync }) => sync)).toEqual([false]);
    expect(writer.durablePosition).toBe(0);
  });

  test('are kept for whoever resumes', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, sync: 'commit' }));
    await writer.send('one');
    writer.write('two');
    crash();
    using successor = await Writer.resume(writer.path);
    expect(successor.recovery).toEqual({ after: 'process', position: 64, records: 2, dropped: 0 });
    expect([successor.durablePosition, inspect(writer.path).sync]).toEqual([32, 'commit']);
    await successor.send('three');
    expect(successor.durablePosition).toBe(96);
    expect((await verify(writer.path)).checked).toBe(3);
  });

  test('are refused where they can’t be', async () => {
    const wrong = (options: object) => failure(() => Writer.create(newPath(), options));
    const ring = await wrong({ sync: 'commit' });
    expect(ring).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    expect(ring.message).toMatch(/\blog\b/);
    using writer = await Writer.create(newPath());
    expect(writer.durablePosition).toBe(0);
    expect((await failure(() => writer.flush())).message).toMatch(/\blog\b/);
    for (const sync of ['always', {}, { everyMs: 0 }, { everyBytes: 100 }, { everyMS: 5 }, 7]) {
      expect(await wrong({ ...LINEAR, sync })).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect((await wrong({ ...LINEAR, sync: { everyMS: 5 } })).meant).toBe('everyMs');
    expect((await wrong({ ...LINEAR, sync: 'commit', checksum: 'none' })).message).toMatch(/checksum/);
    expect(await wrong({ ...LINEAR, checksum: 'md5' })).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });
});

describe('a sync that fails', () => {
  const broken = Object.assign(new Error('EIO: fdatasync'), { errno: -5, code: 'EIO', syscall: 'fdatasync' });

  test('is for ever, and told to everybody with its cause', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    await writer.send('safe');
    const failing = vi.spyOn(disk, 'flushFrames').mockRejectedValue(broken);
    const outcomes = await Promise.all([
      failure(() => writer.send('lost?')),
      failure(() => writer.send('lost, too?')),
      failure(() => writer.flush()),
    ]);
    for (const error of outcomes) {
      expect(error).toMatchObject({ code: 'ERR_SYNC_FAILED', path: writer.path, cause: broken });
    }
    failing.mockRestore();
    expect(await failure(() => writer.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(await failure(() => writer.send('more'))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(thrown(() => writer.write('more'))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(writer.tryWrite('more')).toBe(-4);
    expect(writer.durablePosition).toBe(32);
    // It still ends well.
    expect(await failure(() => writer[Symbol.asyncDispose]())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(inspect(writer.path).status).toBe('closed');
  });

  test('in the background is told at the next write', async () => {
    using writer = await Writer.create(newPath(), { ...LINEAR, sync: { everyMs: 5 } });
    vi.spyOn(disk, 'flushFrames').mockRejectedValue(broken);
    writer.write('one');
    await vi.waitFor(() =>
      expect(thrown(() => writer.write('two'))).toMatchObject({ code: 'ERR_SYNC_FAILED' }),
    );
  });

  test('lets nothing through that was begun before it', async () => {
    using writer = await Writer.create(newPath(), LINEAR);
    const claim = writer.claim(100);
    vi.spyOn(disk, 'flushFrames').mockRejectedValue(broken);
    expect(await failure(() => writer.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(thrown(() => claim?.commit())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(thrown(() => writer.write('x'))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    using reader = await Reader.open(writer.path);
    expect(reader.read()).toBeUndefined();
  });

  test('is not forgotten with its process: nobody goes on before the next start of the machine', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, sync: 'commit' }));
    await writer.send('safe');
    const failing = vi.spyOn(disk, 'flushFrames').mockRejectedValue(broken);
    expect(await failure(() => writer.send('lost?'))).toMatchObject({
      code: 'ERR_SYNC_FAILED',
      position: 32,
      cause: broken,
    });
    failing.mockRestore();
    const copy = afterRestart(writer.path, (bytes) => {
      bytes[L.SYNC_FAILED_BOOT_OFFSET] ^= 1;
    });
    crash();
    expect(await failure(() => Writer.resume(writer.path))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    using healed = await Writer.resume(copy);
    expect(healed.recovery).toMatchObject({ records: 1 });
  });

  test('while healing is no less one', async () => {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...LINEAR, sync: 'commit' }));
    await writer.send('safe');
    writer.write('not synced');
    const copy = afterRestart(writer.path);
    crash();
    const failing = vi.spyOn(disk, 'flushFrames').mockRejectedValue(broken);
    expect(await failure(() => Writer.resume(copy))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    failing.mockRestore();
    expect(await failure(() => Writer.resume(copy))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
  });

  test('when it is made leaves no file', async () => {
    vi.spyOn(disk, 'syncDirectory').mockRejectedValue(broken);
    const path = newPath();
    expect(await failure(() => Writer.create(path, { ...LINEAR, sync: 'commit' }))).toMatchObject({
      code: 'ERR_SYNC_FAILED',
    });
    expect(thrown(() => inspect(path))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});

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

  test('are not made anew by who goes on, over what became of a record since', async () => {
    const { writer, crash } = await mortal(() =>
      Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c', sync: { everyMs: 60_000 } }),
    );
    writer.writeBatch(['one', 'two', 'three']);
    crash();
    const bytes = readFileSync(writer.path);
    // As a round leaves it whose sync failed to end before its writer did.
    bytes.writeInt32LE(0x5eed, offsetOf(bytes, 32) + L.FRAME_CRC_OFFSET);
    writeFileSync(writer.path, bytes);
    using resumed = await Writer.resume(writer.path);
    await resumed.flush();
    resumed.close();
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

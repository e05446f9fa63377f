import { closeSync, existsSync, openSync, readFileSync, rmSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { disk } from '../../lib/channel/runtime/disk.js';
import { inspect, Reader, verify, Writer } from '../../lib/index.js';
import { binding } from '../../lib/native.js';
import { mortal } from '../helpers/crash.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { mappedKilobytes } from '../native/addon.js';
import {
  afterRestart,
  flushWhileWriting,
  LINEAR,
  offsetOf,
  restoringAll,
  textsOf,
  watchSyncs,
} from './linear-channel.js';

restoringAll();

test.each(['none', 'commit', { everyMs: 1000 }] as const)(
  'in RAM all of it is mapped from the start, with sync %j',
  async (sync) => {
    const directory = newDirectory();
    using writer = await Writer.create(join(directory, 'channel'), { ...LINEAR, sync });
    // Nothing less than what holds its records.
    expect(mappedKilobytes(directory).Rss).toBeGreaterThanOrEqual(writer.capacity / 1024);
  },
);

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
    const { path } = writer;
    expect(await aborted).toMatchObject({ code: 'ERR_ABORTED', name: 'AbortError', path });
    expect(await late).toMatchObject({ code: 'ERR_TIMEOUT', timeoutMs: 5, path });
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

  test('twice: who calls second hears no sooner, and nothing else, nor does who is told that it closes', async () => {
    const flush = disk.flushFrames;
    for (const outcome of ['there', new Error('EIO')]) {
      const all: Promise<unknown>[] = [];
      const debug = (_: string, facts: object) => {
        if ('state' in facts) dispose('told');
      };
      const logger = { debug, info: debug, warn: debug, error: debug };
      const writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit', logger });
      const begun: (() => void)[] = [];
      vi.spyOn(disk, 'flushFrames').mockImplementationOnce(async (...given) => {
        await new Promise<void>((resolve) => begun.push(resolve));
        if (outcome instanceof Error) throw outcome;
        return flush(...given);
      });
      writer.write('last');
      const told: unknown[] = [];
      const dispose = (who: string) => {
        const disposed = writer[Symbol.asyncDispose]().then(
          () => told.push([who, writer.durablePosition]),
          ({ code }) => told.push([who, code]),
        );
        all.push(disposed);
      };
      dispose('first');
      dispose('second');
      await vi.waitFor(() => expect(begun).toHaveLength(1));
      expect(told).toEqual([]);
      begun[0]();
      await Promise.all(all);
      const end = outcome === 'there' ? 32 : 'ERR_SYNC_FAILED';
      expect(told).toEqual([
        ['told', end],
        ['first', end],
        ['second', end],
      ]);
    }
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

test('a CHECKPOINT that finds no room, as a claim is open, is stored behind the next sync', async () => {
  using writer = await Writer.create(newPath(), { ...LINEAR, checksum: 'crc32c' });
  writer.write('one');
  const flush = disk.flushFrames;
  let claim: ReturnType<typeof writer.claim>;
  vi.spyOn(disk, 'flushFrames').mockImplementationOnce((...given) => {
    const flushed = flush(...given);
    writer.write('two');
    claim = writer.claim(16);
    return flushed;
  });
  await writer.flush();
  claim?.commit();
  expect(writer.position).toBe(3 * 32);
  await flushWhileWriting(writer, 'four');
  expect(writer.position).toBe(5 * 32);
  const bytes = readFileSync(writer.path);
  expect(bytes[offsetOf(bytes, 4 * 32) + L.FRAME_KIND_OFFSET]).toBe(L.KIND_CHECKPOINT);
});

describe('where its writer ends a channel of which a frame was damaged before it had its checksum', () => {
  async function damaged() {
    const writer = await Writer.create(newPath(), { ...LINEAR, sync: 'commit' });
    for (const text of ['one', 'two', 'three']) writer.write(text);
    const bytes = readFileSync(writer.path);
    const file = openSync(writer.path, 'r+');
    writeSync(file, Buffer.alloc(4, 0xff), 0, 4, offsetOf(bytes, 32) + L.FRAME_STAMP_OFFSET);
    closeSync(file);
    return writer;
  }
  const damage = { code: 'ERR_CORRUPT', position: 32 };

  test('who waits for the disk hears of that', async () => {
    using writer = await damaged();
    const flushed = failure(() => writer.flush());
    writer.close();
    expect(await flushed).toMatchObject({ ...damage, path: writer.path });
  });

  test('asyncDispose does not resolve', async () => {
    const writer = await damaged();
    const syncs = watchSyncs();
    expect(await failure(() => writer[Symbol.asyncDispose]())).toMatchObject(damage);
    expect(inspect(writer.path)).toMatchObject({ status: 'closed', durable: 0 });
    // What is whole beside it is on the disk all the same.
    expect(syncs).toHaveLength(1);
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
      const facts = { path: writer.path, cause: broken, errno: -5, syscall: 'fdatasync' };
      expect(error).toMatchObject({ code: 'ERR_SYNC_FAILED', ...facts });
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
    // Who sleeps begins with nothing: what is lost has no checksum.
    const idle = 'park';
    const { writer, crash } = await mortal(() =>
      Writer.create(newPath(), { ...LINEAR, sync: 'commit', idle }),
    );
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

  test.each(['flushFrames', 'syncDirectory'] as const)('when it is made leaves no file (%s)', async (way) => {
    vi.spyOn(disk, way).mockRejectedValue(broken);
    const path = newPath();
    expect(await failure(() => Writer.create(path, { ...LINEAR, sync: 'commit' }))).toMatchObject({
      code: 'ERR_SYNC_FAILED',
      path,
      cause: broken,
    });
    expect(thrown(() => inspect(path))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test.each(['sync_file_range', 'fdatasync'])('as its file is made is no less one (%s)', async (syscall) => {
    const cause = Object.assign(new Error('EIO'), { errno: -5, code: 'EIO', syscall });
    vi.spyOn(binding(), 'createFile').mockRejectedValue(cause);
    const path = newPath();
    expect(await failure(() => Writer.create(path, { ...LINEAR, sync: 'commit' }))).toMatchObject({
      code: 'ERR_SYNC_FAILED',
      path,
      cause,
    });
  });

  test('when it is made through a link leaves no file, whatever becomes of the link', async () => {
    const [near, link] = [newPath(), newPath()];
    (await Writer.create(near, LINEAR)).close();
    symlinkSync(near, link);
    vi.spyOn(disk, 'syncDirectory').mockImplementationOnce(async () => {
      rmSync(link);
      throw broken;
    });
    const options = { ...LINEAR, sync: 'commit', replace: true } as const;
    expect(await failure(() => Writer.create(link, options))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    expect(existsSync(near)).toBe(false);
  });
});

import { expect, test, vi } from 'vitest';
import { disk, turn } from '../../lib/channel/index.js';
import { verify, Writer, type WriterOptions } from '../../lib/index.js';
import { type Binding, binding, type FileHandle } from '../../lib/native.js';
import { newPath } from '../helpers/run-directory.js';
import { occupyPool } from '../native/frame-area.js';
import { restoringAll } from './linear-channel.js';

restoringAll();

const MIB = 2 ** 20;
const STEP_MS = 1;
const HANGS_MS = 20_000;

/** What a writer has others do of the checksums, and what it does itself. */
function watchSums() {
  const ahead: { file: FileHandle; start: number; end: number; sync: boolean }[] = [];
  const { flushFrames } = disk;
  vi.spyOn(disk, 'flushFrames').mockImplementation((file, start, end, stamp, incarnation, sync) => {
    ahead.push({ file, start, end, sync });
    return flushFrames(file, start, end, stamp, incarnation, sync);
  });
  const itself = vi.spyOn(binding(), 'sumFrames');
  return { ahead, itself };
}

function write(writer: Writer, bytes: number): void {
  const data = Buffer.alloc(1000, 1);
  for (const end = writer.position + bytes; writer.position < end; ) writer.write(data);
}

/** Blocks this thread until that job is done. */
function block(job: { file: FileHandle; end: number } | undefined): void {
  if (job === undefined) throw new Error('no job was begun');
  const still = new Int32Array(new SharedArrayBuffer(4));
  for (let ms = 0; binding().summedTo(job.file) < job.end; ms += STEP_MS) {
    if (ms > HANGS_MS) throw new Error('the job has come to a standstill');
    Atomics.wait(still, 0, 0, STEP_MS);
  }
}

const create = (sync: WriterOptions['sync']) =>
  Writer.create(newPath(), {
    mode: 'linear',
    capacity: '16MiB',
    checksum: 'crc32c',
    heartbeatMs: 60_000,
    sync,
  });

test.each<[WriterOptions['sync']]>([['none'], ['commit'], [{ everyMs: 60_000 }]])(
  'where a channel is filled within one turn of the event loop, its checksums are made by another thread meanwhile: sync %j',
  async (sync) => {
    const writer = await create(sync);
    const { ahead, itself } = watchSums();
    for (let times = 1; times <= 10; times++) {
      write(writer, MIB + 8192);
      expect(ahead).toHaveLength(times);
      block(ahead.at(-1));
    }
    expect(ahead.map((job) => job.sync)).not.toContain(true);
    for (const [i, { start }] of ahead.entries()) if (i > 0) expect(start).toBe(ahead[i - 1]?.end);
    writer.close();
    expect(itself).toHaveBeenCalledOnce();
    const [, start, end] = itself.mock.calls[0] as Parameters<Binding['sumFrames']>;
    expect(start).toBe(ahead.at(-1)?.end);
    expect(end - start).toBeLessThan(MIB);
    const { checked, records, faults } = await verify(writer.path);
    expect([checked, faults]).toEqual([records, []]);
  },
);

test('no second job is begun while one is under way, and the next one has all that came since', async () => {
  using writer = await create('none');
  const { ahead } = watchSums();
  const release = occupyPool();
  write(writer, 5 * MIB);
  expect(ahead).toHaveLength(1);
  await release();
  await vi.waitFor(() => expect(ahead).toHaveLength(2));
  const [first, second] = ahead;
  expect(second?.start).toBe(first?.end);
  expect((second?.end as number) - (first?.start as number)).toBeGreaterThan(4 * MIB);
});

test('syncing each so many bytes is as often as that, with checksums made in between', async () => {
  using writer = await create({ everyBytes: '2560KiB' });
  const { ahead } = watchSums();
  const begin = writer.position;
  while (!ahead.some(({ sync }) => sync)) write(writer, 4096);
  expect(ahead.filter(({ sync }) => !sync)).not.toEqual([]);
  expect(writer.position - begin).toBeGreaterThanOrEqual(2.5 * MIB);
  expect(writer.position - begin).toBeLessThan(2.5 * MIB + 3 * 8192);
  await vi.waitFor(() => expect(writer.durablePosition).toBeGreaterThanOrEqual(2.5 * MIB));
});

test('syncing each so many bytes is counted from where somebody asked for a sync', async () => {
  using writer = await create({ everyBytes: '64KiB' });
  const { ahead: syncs } = watchSums();
  for (const before of [8192, 32_768, 49_152]) {
    write(writer, before);
    const synced = await writer.flush();
    syncs.length = 0;
    write(writer, 65_536 - 8192);
    expect(syncs).toEqual([]);
    write(writer, synced + 65_536 + 8192 - writer.position);
    expect(syncs.map(({ sync }) => sync)).toEqual([true]);
  }
});

test('what was found damaged by a job ahead ends the writer, as by any other', async () => {
  using writer = await create('none');
  const { flushFrames } = disk;
  vi.spyOn(disk, 'flushFrames').mockImplementationOnce(async (...given) => {
    await flushFrames(...given);
    return given[1];
  });
  write(writer, MIB + 8192);
  await vi.waitFor(() => expect(() => writer.write('more')).toThrow(/damaged|corrupt/i));
});

test('that a sync failed stays said where a job ahead beside it finds damage', async () => {
  const writer = await create({ everyMs: 60_000 });
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  vi.spyOn(disk, 'flushFrames').mockImplementation(async (_file, start, _end, _stamp, _incarnation, sync) => {
    if (sync) throw new Error('EIO');
    await ended;
    return start;
  });
  write(writer, MIB + 8192);
  await expect(writer.flush()).rejects.toMatchObject({ code: 'ERR_SYNC_FAILED' });
  end();
  await turn();
  expect(() => writer.write('more')).toThrow(expect.objectContaining({ code: 'ERR_SYNC_FAILED' }));
  await expect(writer[Symbol.asyncDispose]()).rejects.toMatchObject({ code: 'ERR_SYNC_FAILED' });
});

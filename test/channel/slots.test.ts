import { afterEach, expect, test, vi } from 'vitest';
import { joinReaders } from '../../lib/channel/ends/joining.js';
import { openMapped } from '../../lib/channel/file/index.js';
import { gateFrom } from '../../lib/channel/presence/index.js';
import { Reader, Writer } from '../../lib/index.js';
import { binding, type FileHandle } from '../../lib/native.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

const ONE = { capacity: '64KiB', readers: 1 };
/** Of the only slot. */
const LOCK = 1;
/** How far who comes has got: it has the slot; it has registered in it, as the one before it had. */
const JOINED = ['joining', 'gating'];

afterEach(() => {
  vi.restoreAllMocks();
});

/** A reader that holds the writer back and ends as by `kill -9`: its lock is dropped, and nothing more is stored. */
async function dyingReader(path: string): Promise<() => void> {
  const { openFile } = binding();
  let file: FileHandle | undefined;
  const opening = vi.spyOn(binding(), 'openFile').mockImplementation((...given) => {
    file = openFile(...given);
    return file;
  });
  await Reader.open(path, { gate: true });
  opening.mockRestore();
  return () => binding().closeFile(file as FileHandle);
}

test('who comes as another reader leaves the only slot gets it; one that is stopped there keeps it', async () => {
  using writer = await Writer.create(newPath(), ONE);
  const native = binding();
  // Free already, and not unlocked yet.
  const leaving = native.openFile(writer.path, true);
  expect(native.lockByte(leaving, LOCK)).toBe(true);
  const { lockByte } = native;
  let refused = 0;
  let leavesAfter = Number.POSITIVE_INFINITY;
  vi.spyOn(native, 'lockByte').mockImplementation((file, byte) => {
    const isOurs = lockByte(file, byte);
    if (!isOurs && ++refused === leavesAfter) native.unlockByte(leaving, LOCK);
    return isOurs;
  });
  expect(await failure(() => Reader.open(writer.path))).toMatchObject({ code: 'ERR_NO_READER_SLOT' });
  // It was looked at as a free slot, as one of any, and then once more.
  leavesAfter = 3;
  refused = 0;
  using _ = await Reader.open(writer.path);
  expect(writer.readers()).toMatchObject([{ state: 'gating' }]);
  native.closeFile(leaving);
});

test.each(JOINED)('who comes (%s) as the writer frees the slot of a dead reader gets it', async (state) => {
  using writer = await Writer.create(newPath(), ONE);
  const crash = await dyingReader(writer.path);
  crash();
  const channel = openMapped(writer.path, 'write if allowed');
  const native = binding();
  native.allowWrites(channel.file, channel.header.dataOffset);
  let joined: number | undefined;
  const join = () => {
    vi.restoreAllMocks();
    joined = joinReaders(channel, { gate: true, name: 'new' }).slot as number;
    if (state === 'gating') gateFrom(channel, joined, writer.position, () => writer.position);
  };
  const { lockByte, isByteLocked } = native;
  // However it finds out that nobody has it any more.
  vi.spyOn(native, 'lockByte').mockImplementation((...given) => {
    const isOurs = lockByte(...given);
    join();
    return isOurs;
  });
  vi.spyOn(native, 'isByteLocked').mockImplementation((...given) => {
    const isLocked = isByteLocked(...given);
    join();
    return isLocked;
  });
  while (joined === undefined && writer.tryWrite(Buffer.alloc(4000)) > 0);
  expect(joined).toBe(0);
  expect(writer.readers()).toMatchObject([{ name: 'new', state, alive: true }]);
  native.closeFile(channel.file);
  // It has died, too: nothing of either holds the writer back.
  for (let n = 0; n < 100; n++) await writer.send(Buffer.alloc(4000));
});

import { expect, test } from 'vitest';
import { SegmentReader } from '../../lib/channel/index.js';
import { beginAnew, LockFile } from '../../lib/log/files/index.js';
import { Log } from '../../lib/log/index.js';
import { PACKED } from '../../lib/log/records/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { hasZstd, headed, TIME } from './batches.js';
import { DATA, fileOf, flip } from './damaging.js';

/** The tags and types of what can be read of a segment. */
function framesIn(path: string): [tag: number, type: number][] {
  const segment = SegmentReader.openNow(path, { readOnly: true });
  const frames: [number, number][] = [];
  segment.poll((_bytes, _start, _end, type) => void frames.push([segment.tag, type]), 100);
  segment.close();
  return frames;
}

test.runIf(!hasZstd)('batches that only another Node.js can unpack are no damage, and stay', async () => {
  const directory = newDirectory();
  await (await Log.open(directory)).close();
  const lock = LockFile.open(directory, false) as LockFile;
  const facts = { id: lock.id, base: 0, maxTimeUs: 0, generation: 0 };
  lock.close();
  const path = fileOf(directory, 0);
  const segment = await beginAnew(path, facts, { capacity: 65_536, sync: 'none' });
  for (const last of [39, 79]) {
    segment.append(headed(2, [40, 39, 0, 100], Buffer.alloc(50)), PACKED, last, TIME);
  }
  const at = segment.position;
  segment.append(Buffer.alloc(100), 0, 80, TIME);
  segment.append(Buffer.alloc(100), 0, 81, TIME);
  segment.close();
  expect(await Log.verify(directory)).toMatchObject({ sound: true, records: 82 });

  flip(path, DATA + at + 40);
  expect((await Log.verify(directory)).faults).toMatchObject([{ offset: 80, nextOffset: 81 }]);
  expect((await Log.repair(directory)).lost).toEqual([{ from: 80, to: 81 }]);
  expect(framesIn(path)).toEqual([
    [39, PACKED],
    [79, PACKED],
    [81, 0],
  ]);
});

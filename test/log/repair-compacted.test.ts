import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import {
  DATA,
  FRAME,
  fileOf,
  flip,
  overwrite,
  range,
  readable,
  shorten,
  textOf,
  without,
} from './damaging.js';

interface Compacted {
  directory: string;
  /** The offsets that the segments begin with. */
  bases: number[];
  /** Those of the records that compaction left. */
  kept: number[];
  next: number;
}

/** A log of four segments: in each but the last, most of the first records and the very last one were left out. */
async function compacted(): Promise<Compacted> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  while (log.segments().length < 4) {
    const isOver = log.next % 3 > 0 || log.segments().length < 3;
    log.append({ key: isOver ? 'over' : `stays ${log.next}`, value: textOf(log.next) });
  }
  for (let i = 0; i < 10; i++) log.append({ key: 'over', value: textOf(log.next) });
  await log.compact();
  const bases = log.segments().map(({ base }) => base);
  return { directory, bases, kept: await readable(directory), next: log.next };
}

const of = ({ bases, kept }: Compacted, number: number) =>
  kept.filter(
    (offset) => bases[number] <= offset && offset < (bases[number + 1] ?? Number.POSITIVE_INFINITY),
  );

const HARMS: [what: string, harm: (path: string) => void][] = [
  ['a bit of its magic', (path) => flip(path, 0)],
  ['a bit of its header', (path) => flip(path, 20)],
  ['a bit of its metadata', (path) => flip(path, L.HEADER_BYTES + 4)],
  ['all of its metadata', (path) => overwrite(path, L.HEADER_BYTES, Buffer.alloc(L.METADATA_BYTES, 0xa5))],
  ['all that is before its frames', (path) => overwrite(path, 0, Buffer.alloc(DATA, 0xa5))],
];

test.each(HARMS)(
  'a compacted segment that lost %s loses no record, and none is told as lost',
  async (_, harm) => {
    const log = await compacted();
    const { directory, bases, kept, next } = log;
    expect(of(log, 2).length).toBeGreaterThan(20);
    expect(of(log, 2)).not.toContain(bases[3] - 1);
    harm(fileOf(directory, bases[2]));
    const { lost, rewritten } = await Log.repair(directory);
    expect(rewritten).toHaveLength(1);
    expect(lost).toEqual([]);
    expect(await readable(directory)).toEqual(kept);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, next });
    await using again = await Log.open(directory);
    expect(again.append(textOf(next))).toBe(next);
  },
);

test('a record is damaged, too: that is lost, and what compaction left out beside it, and nothing else', async () => {
  const log = await compacted();
  const { directory, bases, kept } = log;
  const path = fileOf(directory, bases[2]);
  const [before, victim, behind] = of(log, 2).slice(10);
  flip(path, readFileSync(path).indexOf(textOf(victim)));
  flip(path, 20);
  const { lost } = await Log.repair(directory);
  expect(lost).toEqual([{ from: before + 1, to: behind }]);
  expect(await readable(directory)).toEqual(without(kept, victim));
});

test('nothing is left of the segment behind it: what that had is told as lost, and not what had been left out', async () => {
  const log = await compacted();
  const { directory, bases, kept, next } = log;
  flip(fileOf(directory, bases[2]), 20);
  writeFileSync(fileOf(directory, bases[3]), '');
  const { lost } = await Log.repair(directory);
  expect(lost).toEqual([{ from: bases[3], to: expect.any(Number) }]);
  expect(lost[0].to).toBeGreaterThanOrEqual(next);
  expect(await readable(directory)).toEqual(kept.filter((offset) => offset < bases[3]));
});

test('its end is gone: what is behind the last record that is left of it is lost', async () => {
  const log = await compacted();
  const { directory, bases, kept } = log;
  const path = fileOf(directory, bases[2]);
  const [last, victim] = of(log, 2).slice(-2);
  shorten(path, readFileSync(path).indexOf(textOf(victim)));
  flip(path, 20);
  const { lost } = await Log.repair(directory);
  expect(lost).toEqual([{ from: last + 1, to: bases[3] }]);
  expect(await readable(directory)).toEqual(without(kept, victim));
});

test('a gap before a frame without a checksum is none that compaction left: its offset is not believed', async () => {
  await using live = await Log.open(newDirectory(), { segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 5; i++) live.append(textOf(i));
  await live.flush();
  for (let i = 5; i < 10; i++) live.append(textOf(i));
  const directory = newDirectory();
  // In a copy nobody holds the locks: its writer is dead, before it had stored a checksum of the last ones.
  cpSync(live.path, directory, { recursive: true });
  const path = fileOf(directory, 0);
  const frame = DATA + 9 * FRAME;
  expect(readFileSync(path).readInt32LE(frame + L.FRAME_CRC_OFFSET)).toBe(0);
  flip(path, frame + L.FRAME_TAG_OFFSET + 1);
  flip(path, 20);
  await Log.repair(directory);
  expect(await readable(directory)).toEqual(range(0, 9));
});

import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import {
  type ChannelOptions,
  declareAbandoned,
  inspect,
  type MillraceError,
  Reader,
  verify,
  Writer,
} from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { newPath } from '../helpers/run-directory.js';
import { afterRestart, offsetOf, restoringAll } from './linear-channel.js';

restoringAll();

// Of each of them nothing but the first record was published when its writer died.
const RECORDS = Array.from({ length: 10 }, (_, i) => `record ${i}`);
const SIZE = 32;

async function dead(
  options: ChannelOptions,
  write = (writer: Writer) => {
    for (const text of RECORDS) writer.write(text);
  },
) {
  const { writer, crash } = await mortal(() =>
    Writer.create(newPath(), { capacity: '64KiB', heartbeatMs: 60_000, ...options }),
  );
  write(writer);
  crash();
  return writer.path;
}

function change(path: string, work: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  work(bytes);
  writeFileSync(path, bytes);
}

const open = (path: string, check: boolean) =>
  Reader.open(path, { from: 'oldest', gate: false, verify: check });

/** What a reader gets, and where it ends; damage is passed over. */
function readOn(reader: Reader) {
  const seen: string[] = [];
  const faults: number[] = [];
  for (;;) {
    try {
      const found = reader.read();
      if (found === undefined) return { seen, faults, ended: reader.ended, position: reader.position };
      expect(found.data.toString()).toBe(RECORDS[found.record]);
      seen.push(found.data.toString());
    } catch (error) {
      const { code, position, next } = error as MillraceError;
      expect([code, next]).toEqual(['ERR_CORRUPT', expect.any(Number)]);
      faults.push(position as number);
      reader.seek(next as number);
    }
  }
}

const MODES = ['ring', 'linear'] as const;
const CHECKSUMS = ['none', 'crc32c'] as const;
const SHAPES = MODES.flatMap((mode) => CHECKSUMS.map((checksum) => [{ mode, checksum }] as const));

describe.each(SHAPES)('%j: what was abandoned ends at the same record for all its readers', (options) => {
  test.each([
    ['a stamp', (bytes: Buffer, frame: number) => bytes.writeInt32LE(7, frame + L.FRAME_STAMP_OFFSET)],
    ['a length', (bytes: Buffer, frame: number) => bytes.writeInt32LE(-1, frame)],
    ['a kind', (bytes: Buffer, frame: number) => bytes.writeUInt8(99, frame + L.FRAME_KIND_OFFSET)],
  ])('where %s behind the tail is damaged', async (_, damage) => {
    const path = await dead(options);
    change(path, (bytes) => damage(bytes, offsetOf(bytes, 5 * SIZE)));
    using before = await open(path, false);
    before.read();
    const bytes = readFileSync(path);
    declareAbandoned(path);
    using after = await open(path, false);
    using checking = await open(path, true);
    const end = { faults: [], ended: true, position: 5 * SIZE };
    expect(readOn(before)).toEqual({ ...end, seen: RECORDS.slice(1, 5) });
    for (const reader of [after, checking]) {
      expect(readOn(reader)).toEqual({ ...end, seen: RECORDS.slice(0, 5) });
    }
    expect(inspect(path)).toMatchObject({ finalPosition: 5 * SIZE, tail: 5 * SIZE, records: 5 });
    // What is damaged is there yet, and is told.
    const from = offsetOf(bytes, 5 * SIZE);
    expect(readFileSync(path).subarray(from).equals(bytes.subarray(from))).toBe(true);
    const fault = { code: 'ERR_CORRUPT', position: 5 * SIZE, next: undefined };
    expect(await verify(path)).toMatchObject({ sound: false, faults: [fault], records: 5, end: 5 * SIZE });
  });

  test('where a published record is damaged: what is whole behind the tail is kept', async () => {
    const path = await dead(options, (writer) => {
      for (const text of RECORDS.slice(0, 5)) writer.write(text);
      writer.heartbeat();
      for (const text of RECORDS.slice(5)) writer.write(text);
    });
    change(path, (bytes) => bytes.writeInt32LE(7, offsetOf(bytes, 2 * SIZE) + L.FRAME_STAMP_OFFSET));
    using before = await open(path, false);
    declareAbandoned(path);
    using after = await open(path, false);
    using checking = await open(path, true);
    const seen = RECORDS.filter((_, i) => i !== 2);
    for (const reader of [before, after, checking]) {
      expect(readOn(reader)).toEqual({ seen, faults: [2 * SIZE], ended: true, position: 10 * SIZE });
    }
    expect((await verify(path)).faults).toMatchObject([{ position: 2 * SIZE, next: 3 * SIZE }]);
    // A later start of the machine believes of it what has a checksum only.
    using later = await open(afterRestart(path), true);
    expect(readOn(later).seen).toEqual(seen);
  });

  test('where the END behind the tail was stored: it was closed', async () => {
    const path = await dead(options, (writer) => {
      for (const text of RECORDS) writer.write(text);
      writer.close();
    });
    change(path, (bytes) => {
      bytes.writeInt32LE(L.STATE_OPEN, L.STATE_OFFSET);
      bytes.writeInt32LE(7, offsetOf(bytes, 2 * SIZE) + L.FRAME_STAMP_OFFSET);
    });
    declareAbandoned(path);
    using reader = await open(path, true);
    expect(readOn(reader)).toMatchObject({ faults: [2 * SIZE], ended: true, position: 10 * SIZE });
    expect(reader.status).toBe('closed');
    expect((await verify(path)).faults).toHaveLength(1);
  });
});

describe.each([
  { mode: 'ring', checksum: 'none' },
  { mode: 'ring', checksum: 'crc32c' },
  { mode: 'linear', checksum: 'none' },
] as const)('%j, left by an earlier start of the machine', (options) => {
  test('ends, abandoned, where its readers come to by themselves', async () => {
    const path = afterRestart(await dead(options));
    using before = await open(path, false);
    expect(before.readBatch(7)).toHaveLength(7);
    declareAbandoned(path);
    expect(readOn(before)).toMatchObject({ seen: RECORDS.slice(7), ended: true, position: 10 * SIZE });
    using after = await open(path, true);
    expect(readOn(after)).toMatchObject({ seen: RECORDS, faults: [], ended: true, position: 10 * SIZE });
    expect(await verify(path)).toMatchObject({ sound: true, records: 10, end: 10 * SIZE });
    expect(inspect(path)).toMatchObject({ finalPosition: 10 * SIZE, records: 10 });
  });

  test('and where a page of it did not reach the disk, before that', async () => {
    const path = afterRestart(await dead(options), (bytes) => {
      bytes.fill(0xff, offsetOf(bytes, 4 * SIZE), offsetOf(bytes, 6 * SIZE));
    });
    declareAbandoned(path);
    using reader = await open(path, false);
    expect(readOn(reader)).toMatchObject({ seen: RECORDS.slice(0, 4), ended: true, position: 4 * SIZE });
    expect((await verify(path)).sound).toBe(true);
  });
});

test('of what its machine cut off and is damaged, only what has its checksum comes behind the tail', async () => {
  const options = { mode: 'linear', checksum: 'crc32c', sync: 'commit' } as const;
  const { writer, crash } = await mortal(() =>
    Writer.create(newPath(), { capacity: '64KiB', heartbeatMs: 60_000, ...options }),
  );
  for (const text of RECORDS.slice(0, 6)) writer.write(text);
  await writer.flush();
  for (const text of RECORDS.slice(6)) writer.write(text);
  const path = afterRestart(writer.path, (bytes) => {
    bytes.writeInt32LE(7, offsetOf(bytes, 2 * SIZE) + L.FRAME_STAMP_OFFSET);
  });
  crash();
  declareAbandoned(path);
  using trusting = await open(path, false);
  using checking = await open(path, true);
  for (const reader of [trusting, checking]) {
    expect(readOn(reader)).toEqual({
      seen: RECORDS.slice(0, 6).filter((_, i) => i !== 2),
      faults: [2 * SIZE],
      ended: true,
      position: 6 * SIZE,
    });
  }
});

test('an end that lies within a record is told as damage of that, and nobody looks for the rest of it for ever', async () => {
  const path = await dead({ mode: 'linear', checksum: 'crc32c' });
  declareAbandoned(path);
  change(path, (bytes) => bytes.writeInt32LE((5 * SIZE) / 16 + 1, L.FINAL_POSITION_OFFSET + 4));
  using reader = await open(path, true);
  expect(readOn(reader)).toMatchObject({ seen: RECORDS.slice(0, 5), faults: [5 * SIZE] });
  expect((await verify(path)).faults[0]).toMatchObject({ code: 'ERR_CORRUPT', position: 5 * SIZE });
});

test('a damaged ring is not cut behind its limit, where the lap before stands yet', async () => {
  const path = await dead({ mode: 'ring' }, (writer) => {
    for (let i = 0; i < 3000; i++) writer.write(`record ${i % 10}`);
    writer.heartbeat();
  });
  change(path, (bytes) => {
    const [limit, tail] = [L.LIMIT_OFFSET, L.TAIL_OFFSET].map((at) => bytes.readInt32LE(at + 4));
    expect(limit).toBeGreaterThan(tail);
    bytes.writeInt32LE(tail, L.LIMIT_OFFSET + 4);
    bytes.writeInt32LE(7, offsetOf(bytes, (tail * 16 - 4 * SIZE) % 65536) + L.FRAME_STAMP_OFFSET);
    bytes.writeInt32LE(SIZE, offsetOf(bytes, (tail * 16) % 65536));
  });
  const before = readFileSync(path);
  declareAbandoned(path);
  const after = readFileSync(path);
  expect(after.subarray(offsetOf(after, 0)).equals(before.subarray(offsetOf(before, 0)))).toBe(true);
});

test.each([false, true])(
  'who follows goes over from a damaged one to the next, verify: %s',
  async (check) => {
    const path = await dead({ mode: 'linear', checksum: 'crc32c' });
    change(path, (bytes) => bytes.writeInt32LE(7, offsetOf(bytes, 5 * SIZE) + L.FRAME_STAMP_OFFSET));
    using reader = await Reader.open(path, { from: 'oldest', follow: true, onDeath: 'wait', verify: check });
    using writer = await Writer.create(path, { capacity: '64KiB', replace: true });
    writer.write('of the next one');
    const seen: string[] = [];
    for await (const { data } of reader) if (seen.push(data.toString()) === 6) break;
    expect(seen).toEqual([...RECORDS.slice(0, 5), 'of the next one']);
  },
);

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Marks } from '../../lib/channel/file/index.js';
import * as L from '../../lib/channel/layout.js';
import { type ChannelOptions, type MillraceError, Reader, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { newPath } from '../helpers/run-directory.js';
import { offsetOf } from './linear-channel.js';

afterEach(() => {
  vi.restoreAllMocks();
});

// 16 bytes each, behind a header of 16.
const text = (n: number) => `record ${n}`.padEnd(16);
const SIZE = 32;
const UNTOLD = { capacity: '64KiB', heartbeatMs: 60_000 };
const SHAPES = (['ring', 'linear'] as const).flatMap((mode) =>
  (['none', 'crc32c'] as const).map((checksum) => [{ mode, checksum }] as const),
);

/** Of the file that is mapped, not of another one. */
function patch(path: string, offset: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, offset);
  closeSync(file);
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** Holds each record against its number, and goes on behind what is damaged. */
function readOn(reader: Reader) {
  const found: number[] = [];
  const faults: (number | undefined)[][] = [];
  for (;;) {
    try {
      const one = reader.read();
      if (one === undefined) return { found, faults };
      expect([one.record, one.data.toString()]).toEqual([one.record, text(one.record)]);
      found.push(one.record);
    } catch (error) {
      const { code, position, next, record } = error as MillraceError;
      expect(code).toBe('ERR_CORRUPT');
      faults.push([position, next, record]);
      reader.seek(next as number);
    }
  }
}

describe.each(SHAPES)('%j: behind damage', (options: ChannelOptions) => {
  async function halfPublished() {
    const { writer, crash } = await mortal(() => Writer.create(newPath(), { ...UNTOLD, ...options }));
    for (let n = 0; n < 20; n++) writer.write(text(n));
    writer.heartbeat();
    for (let n = 20; n < 40; n++) writer.write(text(n));
    return { path: writer.path, writer, crash };
  }

  // What it died at tells of the count whether it is that of the tail.
  test.each([
    ['elsewhere', 20, 1],
    ['elsewhere', 20, 3],
    ['between record count and tail', 40, 1],
    ['between record count and tail', 40, 3],
  ])('the numbers are right, where the writer died %s: count %i, %i records gone', async (_, count, gone) => {
    const { path, crash } = await halfPublished();
    crash();
    const frame = offsetOf(readFileSync(path), 5 * SIZE);
    patch(path, L.RECORD_COUNT_OFFSET + 4, word(count));
    patch(path, frame, Buffer.alloc(gone * SIZE, 0xff));
    using reader = await Reader.open(path, { from: 'oldest', gate: false });
    const { found, faults } = readOn(reader);
    expect(faults).toEqual([[5 * SIZE, (5 + gone) * SIZE, 5 + gone]]);
    expect(found).toEqual(Array.from({ length: 40 }, (_, n) => n).filter((n) => n < 5 || n >= 5 + gone));
  });

  test('the numbers are right, where it publishes between two looks', async () => {
    const { path, writer } = await halfPublished();
    const frame = offsetOf(readFileSync(path), 5 * SIZE);
    patch(path, frame + L.FRAME_STAMP_OFFSET, word(7));
    using reader = await Reader.open(path, { from: 'oldest', gate: false });
    expect(reader.readBatch(5)).toHaveLength(5);
    const search = Marks.prototype.oldestAtOrAbove;
    vi.spyOn(Marks.prototype, 'oldestAtOrAbove').mockImplementationOnce(function (this: Marks, ...given) {
      const mark = search.apply(this, given);
      writer.heartbeat();
      return mark;
    });
    expect(readOn(reader).faults).toEqual([[5 * SIZE, 6 * SIZE, 6]]);
    writer.close();
  });
});

test('where a ring has no mark left that can be read, the tail has its own number, whatever is published meanwhile', async () => {
  using writer = await Writer.create(newPath(), UNTOLD);
  for (let n = 0; n < 3000; n++) writer.write(text(n));
  writer.heartbeat();
  for (let n = 3000; n < 3010; n++) writer.write(text(n));
  const bytes = readFileSync(writer.path);
  const [marks, count] = [L.MARKS_OFFSET_OFFSET, L.MARK_COUNT_OFFSET].map((at) => bytes.readInt32LE(at));
  patch(writer.path, marks, Buffer.alloc(count * L.MARK_BYTES));
  const search = Marks.prototype.oldestAtOrAbove;
  vi.spyOn(Marks.prototype, 'oldestAtOrAbove').mockImplementationOnce(function (this: Marks, ...given) {
    const mark = search.apply(this, given);
    writer.heartbeat();
    return mark;
  });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: false });
  writer.write(text(3010));
  const found = reader.read();
  expect(found?.data.toString()).toBe(text(found?.record as number));
});

test('what a reader lags behind is counted right, whatever is published meanwhile', async () => {
  using writer = await Writer.create(newPath(), UNTOLD);
  for (let n = 0; n < 20; n++) writer.write(text(n));
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
  expect(reader.readBatch(5)).toHaveLength(5);
  writer.heartbeat();
  for (let n = 20; n < 40; n++) writer.write(text(n));
  const search = Marks.prototype.oldestAtOrAbove;
  vi.spyOn(Marks.prototype, 'oldestAtOrAbove').mockImplementationOnce(function (this: Marks, ...given) {
    const mark = search.apply(this, given);
    writer.heartbeat();
    return mark;
  });
  expect(writer.readers()[0].lagRecords).toBe(15);
});

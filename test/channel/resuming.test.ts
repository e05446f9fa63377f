import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Marks } from '../../lib/channel/file/index.js';
import * as L from '../../lib/channel/layout.js';
import { declareAbandoned, Reader, verify, Writer } from '../../lib/index.js';
import { newPath } from '../helpers/run-directory.js';

afterEach(() => {
  vi.restoreAllMocks();
});

const MODES = ['ring', 'linear'] as const;
const UNTOLD = { capacity: '64KiB', heartbeatMs: 60_000 } as const;
const TIME = Date.UTC(2026, 0, 1);

/** What a channel is left as, if its writer dies now. */
function leave(path: string): string {
  const copy = newPath();
  copyFileSync(path, copy);
  return copy;
}

/** What is left by a writer that dies in `work` before it has set its `nth` mark from then on. */
function dyingAtMark(path: string, nth: number, work: () => void): string {
  const write = Marks.prototype.write;
  let [copy, marks] = ['', 0];
  vi.spyOn(Marks.prototype, 'write').mockImplementation(function (this: Marks, ...given) {
    if (++marks === nth) copy = leave(path);
    write.apply(this, given);
  });
  work();
  vi.restoreAllMocks();
  expect(copy).not.toBe('');
  return copy;
}

describe.each(MODES)('a %s channel whose first mark was not set', (mode) => {
  const create = () => Writer.create(newPath(), { mode, timestamps: true, ...UNTOLD });

  test('has its largest time from its records, also where who resumed it wrote nothing', async () => {
    using first = await create();
    const dead = dyingAtMark(first.path, 1, () =>
      first.write(Buffer.alloc(6000), { timestamp: TIME, tag: 1 }),
    );
    using second = await Writer.resume(dead);
    const deadAgain = leave(second.path);
    using third = await Writer.resume(deadAgain);
    for (let n = 2; n < 12; n++) third.write(Buffer.alloc(1000), { timestamp: TIME + n, tag: n });
    third.heartbeat();
    using reader = await Reader.open(deadAgain, { from: { time: TIME }, gate: false });
    expect(reader.read()?.tag).toBe(1);
    expect(await verify(deadAgain)).toMatchObject({ sound: true, records: 11 });
  });

  test('has the number of its records from them, also where who resumed it died before it stored the tail', async () => {
    using first = await create();
    const dead = dyingAtMark(first.path, 1, () => first.write('first'));
    const bytes = readFileSync(dead);
    bytes.writeInt32LE(1, L.RECORD_COUNT_OFFSET + 4);
    writeFileSync(dead, bytes);
    using writer = await Writer.resume(dead);
    expect(writer.recovery?.records).toBe(1);
    writer.write('second');
    using reader = await Reader.open(dead, { from: 'latest', gate: false });
    expect(reader.recordNumber).toBe(2);
  });
});

/** All marks, as they are read. */
function marksOf(path: string) {
  const bytes = readFileSync(path);
  const [from, count] = [L.MARKS_OFFSET_OFFSET, L.MARK_COUNT_OFFSET].map((at) => bytes.readInt32LE(at));
  return Array.from({ length: count }, (_, slot) => {
    const at = from + slot * L.MARK_BYTES;
    // Its sequence tells how often it was set.
    return [bytes[at] & 1, ...[4, 12, 20].map((word) => Number(bytes.readBigUInt64LE(at + word)))];
  });
}

describe.each(MODES)('a %s channel whose writer died between a batch and its marks', (mode) => {
  // A batch over many strides, which on a ring begins a lap.
  const before = mode === 'ring' ? 122 : 3;
  const batch = Array.from({ length: 450 }, (_, n) => Buffer.alloc(n % 7 === 0 ? 900 : 400, n));

  async function filled(): Promise<Writer> {
    const writer = await Writer.create(newPath(), {
      mode,
      timestamps: true,
      capacity: '1MiB',
      heartbeatMs: 60_000,
    });
    for (let n = 0; n < before; n++) writer.write(Buffer.alloc(8000), { timestamp: TIME + n });
    return writer;
  }

  test.each([1, 2, 3])('has the marks that it would have set, behind number %i', async (nth) => {
    using writer = await filled();
    const dead = dyingAtMark(writer.path, nth, () => writer.writeBatch(batch));
    const abandoned = leave(dead);
    declareAbandoned(abandoned);
    expect(marksOf(abandoned)).toEqual(marksOf(writer.path));
    expect((await verify(abandoned)).sound).toBe(true);
    using resumed = await Writer.resume(dead);
    expect(marksOf(dead)).toEqual(marksOf(writer.path));
    for (const one of [writer, resumed]) {
      for (let n = 0; n < 20; n++) one.write(Buffer.alloc(n * 900), { timestamp: TIME + 1e9 + n });
      one.heartbeat();
    }
    expect(marksOf(dead)).toEqual(marksOf(writer.path));
  });

  // On a ring the record begins a lap.
  if (mode === 'ring') return;
  test('has them after a large record, too, of which no frame starts in the strides that it covers', async () => {
    using writer = await filled();
    writer.heartbeat();
    const large = Buffer.alloc(120_000);
    writer.write(large, { timestamp: TIME + 1000 });
    const dead = leave(writer.path);
    using resumed = await Writer.resume(dead);
    for (const one of [writer, resumed]) {
      one.write('behind it', { timestamp: TIME + 2000 });
      one.heartbeat();
    }
    expect(marksOf(dead)).toEqual(marksOf(writer.path));
  });
});

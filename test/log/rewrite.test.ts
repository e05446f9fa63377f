import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SegmentReader, SegmentWriter, segmentBytes, verify } from '../../lib/channel/index.js';
import { rewriteSegment } from '../../lib/log/files/rewrite.js';
import { Log } from '../../lib/log/index.js';
import { pack, unpack } from '../../lib/log/records/packing.js';
import { PACKED } from '../../lib/log/records/record.js';
import { binding, PAGES } from '../../lib/native.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const KIB = 1024;

/** A log of three segments or more, whose records say their offsets. */
async function someLog(directory: string): Promise<Log> {
  const log = await Log.open(directory, { segment: '64KiB', sync: 'none' });
  while (log.segments().length < 3) log.append(String(log.next).padEnd(500, '.'));
  return log;
}

const textOf = (offset: number) => String(offset).padEnd(500, '.');

test('what is kept is all that is read afterwards, in its place in the log, from a file that is just large enough', async () => {
  const directory = newDirectory();
  const log = await someLog(directory);
  const [, { base, path }, { base: next }] = log.segments();
  const asked: number[] = [];
  const rewritten = await rewriteSegment(path, {
    keep: (_bytes, _start, _end, _type, offset) => {
      asked.push(offset);
      return offset % 10 === 0;
    },
  });
  const inSegment = Array.from({ length: next - base }, (_, i) => base + i);
  expect(asked).toEqual(inSegment);
  const kept = inSegment.filter((offset) => offset % 10 === 0);
  expect(rewritten).toEqual({
    kept: kept.length,
    dropped: inSegment.length - kept.length,
    bytes: segmentBytes(16 * KIB),
  });
  expect(statSync(path).size).toBe(segmentBytes(16 * KIB));
  expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);

  const left = [];
  for await (const { offset, value } of log.read()) {
    expect(String(value)).toBe(textOf(offset));
    left.push(offset);
  }
  const elsewhere = Array.from({ length: log.next }, (_, i) => i).filter((i) => i < base || i >= next);
  expect(left).toEqual([...elsewhere, ...kept].sort((a, b) => a - b));
  const verification = await verify(path);
  expect(verification).toMatchObject({ sound: true, status: 'sealed', checked: kept.length });
  const reader = SegmentReader.openNow(path, { readOnly: true });
  expect(reader.metadata).toMatchObject({ log: { base, generation: 1 } });
  expect(reader.baseRecord).toBe(base);
  reader.seekLatest();
  expect(reader.link()).toMatchObject({ position: 0, record: next });
  reader.close();
  await log.close();
});

test('who has the old file open reads on in it', async () => {
  const log = await someLog(newDirectory());
  const [{ path }, second] = log.segments();
  const tail = log.tail({ from: 0 });
  expect(tail.readBatch(3).map(({ offset }) => offset)).toEqual([0, 1, 2]);
  await rewriteSegment(path, { keep: () => false });
  expect(tail.readBatch(second.base - 3).map(({ offset }) => offset)).toEqual(
    Array.from({ length: second.base - 3 }, (_, i) => i + 3),
  );
  expect(tail.read()?.offset).toBe(second.base);
  expect(log.tail({ from: 0 }).read()?.offset).toBe(second.base);
  await log.close();
});

test('a segment of which nothing is kept keeps its place', async () => {
  const log = await someLog(newDirectory());
  const [{ path, base }] = log.segments();
  const { kept } = await rewriteSegment(path, { keep: () => false });
  expect(kept).toBe(0);
  expect((await verify(path)).sound).toBe(true);
  expect(log.earliest).toBe(base);
  await log.close();
});

/** A sealed segment of compressed batches of ten records each, tagged from 0 on. */
async function packedSegment(path: string, batches: number): Promise<void> {
  const capacity = 64 * KIB;
  const file = await binding().createFile(join(path, '..'), segmentBytes(capacity), 0o600, PAGES.DIRTY);
  const facts = { id: 'some', base: 0, maxTimeUs: 0, generation: 0 };
  const segment = SegmentWriter.begin(
    path,
    file,
    { capacity, sync: 'none', metadata: { log: facts }, baseRecord: 0 },
    async () => {},
  );
  segment.name();
  for (let batch = 0; batch < batches; batch++) {
    const records = Array.from({ length: 10 }, (_, i) => {
      const data = Buffer.from(textOf(batch * 10 + i));
      return { data, length: data.length, type: 0, tag: batch * 10 + i, timeUs: 1000 + i };
    });
    const packed = pack(records, 'deflate');
    if (packed === undefined) throw new Error('It takes no less when it is packed');
    segment.append(packed.data, packed.type, packed.tag, packed.timeUs);
  }
  segment.seal({ position: 0, record: batches * 10, incarnation: 0 });
  await segment.settle(false);
}

test('compressed batches stay as they are, go, or are packed again without what is not kept', async () => {
  const path = join(newDirectory(), '00000000000000000000.mr');
  await packedSegment(path, 3);
  const wanted = (offset: number) => offset < 10 || (offset >= 20 && offset % 2 === 0);
  const { kept, dropped } = await rewriteSegment(path, {
    keep: (_bytes, _start, _end, _type, offset) => wanted(offset),
  });
  expect([kept, dropped]).toEqual([15, 15]);
  const reader = SegmentReader.openNow(path, { readOnly: true });
  const frames: number[][] = [];
  reader.poll((bytes, start, end, type) => {
    expect(type).toBe(PACKED);
    const records = unpack(bytes, start, end, reader.tag, reader.timeUs);
    for (const { offset, value } of records) expect(String(value)).toBe(textOf(offset));
    frames.push(records.map(({ offset }) => offset));
  }, 100);
  reader.close();
  expect(frames).toEqual([
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [20, 22, 24, 26, 28],
  ]);
});

test('a segment that is still written is left alone', async () => {
  const log = await someLog(newDirectory());
  const path = log.segments().at(-1)?.path as string;
  const { ino } = statSync(path);
  expect((await failure(() => rewriteSegment(path))).code).toBe('ERR_BUSY');
  expect(statSync(path).ino).toBe(ino);
  await log.close();
});

test('what is thrown on the way leaves the old file, and no other', async () => {
  const directory = newDirectory();
  const log = await someLog(directory);
  const [{ path }] = log.segments();
  const { ino } = statSync(path);
  const names = readdirSync(directory);
  const abort = new AbortController();
  abort.abort();
  expect((await failure(() => rewriteSegment(path, { signal: abort.signal }))).code).toBe('ERR_ABORTED');
  const mine = new Error('mine');
  const failing = rewriteSegment(path, {
    keep: () => {
      throw mine;
    },
  });
  await expect(failing).rejects.toBe(mine);
  expect(statSync(path).ino).toBe(ino);
  expect(readdirSync(directory)).toEqual(names);
  expect(existsSync(path)).toBe(true);
  await log.close();
});

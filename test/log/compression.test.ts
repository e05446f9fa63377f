import { afterEach, expect, test } from 'vitest';
import { SegmentReader } from '../../lib/channel/index.js';
import type { ErrorCode } from '../../lib/errors.js';
import { Log, type LogOptions, type LogWhere } from '../../lib/log/index.js';
import { PACKED } from '../../lib/log/records/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { fillTo } from './retained.js';

const opened: Log[] = [];

async function open(options: LogOptions): Promise<Log> {
  const log = await Log.open(newDirectory(), { sync: 'none', ...options });
  opened.push(log);
  return log;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

const COMPRESSION = 'deflate';
const batches = Array.from({ length: 20 }, (_, batch) =>
  Array.from({ length: 50 }, (_, i) => ({
    key: `key ${i % 7}`,
    value: `{"batch":${batch},"number":${i},"text":"the same again and again"}`,
    timestamp: 1_000_000 + batch * 100 + i,
  })),
);
const expected = batches.flat().map(({ value }, offset) => [offset, value]);
const seen = (records: { offset: number; value: Buffer }[]) =>
  records.map(({ offset, value }) => [offset, value.toString()]);

test('compressed batches take less, and are read as any others: forwards, backwards, from anywhere, by time', async () => {
  const plain = await open({});
  const log = await open({ compression: COMPRESSION });
  for (const batch of batches) {
    plain.appendBatch(batch);
    log.appendBatch(batch);
  }
  expect(log.next).toBe(1000);
  expect(log.stats().bytes).toBeLessThan(plain.stats().bytes / 3);
  expect(seen(await collect(log.read()))).toEqual(expected);
  expect(seen(await collect(log.read({ reverse: true })))).toEqual(expected.toReversed());
  for (const from of [0, 1, 49, 50, 51, 333, 999, 1000]) {
    expect(seen(await collect(log.read({ from })))).toEqual(expected.slice(from));
    const upTo = expected.slice(0, from + 1).toReversed();
    expect(seen(await collect(log.read({ from, reverse: true })))).toEqual(upTo);
  }
  for (const time of [0, 1_000_025, 1_000_060, 1_001_000, 1_001_949, 1_001_950]) {
    const first = batches.flat().findIndex(({ timestamp }) => timestamp >= time);
    const [record] = await collect(log.read({ from: { time }, limit: 1 }));
    expect(record?.offset ?? -1).toBe(first);
  }
});

test('a poll hands out as many of a compressed batch as it may, and the next one goes on there', async () => {
  const log = await open({ compression: COMPRESSION });
  log.append('before');
  log.appendBatch(batches[0]);
  log.append('behind');
  const tail = log.tail({ from: 'earliest' });
  const offsets: number[] = [];
  const handler = () => {
    offsets.push(tail.offset);
  };
  expect(tail.poll(handler, 1)).toBe(1);
  expect(tail.poll(handler, 7)).toBe(7);
  expect(tail.offset).toBe(8);
  const stop = () =>
    tail.poll(() => {
      throw new Error(`at ${tail.offset}`);
    });
  expect(stop).toThrow('at 8');
  while (tail.poll(handler, 10) > 0);
  expect(offsets).toEqual(Array.from({ length: 52 }, (_, i) => i));
});

test('a seek that fails leaves a tail where it stood, also within a compressed batch', async () => {
  const log = await open({ compression: COMPRESSION });
  log.appendBatch(batches[0]);
  const wrong: [LogWhere, ErrorCode][] = [
    [51, 'ERR_OFFSET_OUT_OF_RANGE'],
    [-1, 'ERR_INVALID_ARGUMENT'],
    ['first' as 'earliest', 'ERR_INVALID_ARGUMENT'],
    [{ time: 'noon' as never }, 'ERR_INVALID_ARGUMENT'],
  ];
  const reading = log.tail({ from: 'earliest' });
  expect(reading.read()?.offset).toBe(0);
  const sought = log.tail({ from: 30 });
  const soughtByTime = log.tail({ from: { time: 1_000_040 } });
  for (const [where, code] of wrong) {
    for (const tail of [reading, sought, soughtByTime]) {
      expect(thrown(() => tail.seek(where))).toMatchObject({ code });
    }
  }
  expect([reading.offset, sought.offset, soughtByTime.offset]).toEqual([1, 30, 40]);
  for (const tail of [reading, sought, soughtByTime]) {
    const { offset } = tail;
    expect(seen(tail.readBatch(50))).toEqual(expected.slice(offset, 50));
  }
});

test('a seek that succeeds forgets the rest of a compressed batch', async () => {
  const log = await open({ compression: COMPRESSION });
  for (const batch of batches) log.appendBatch(batch);
  const tail = log.tail({ from: 30 });
  expect(tail.read()?.offset).toBe(30);
  tail.seek('latest');
  expect(tail.read()).toBeUndefined();
  tail.seek('earliest');
  expect(seen(tail.readBatch(1000))).toEqual(expected);
});

test('after a reopening the log goes on behind a compressed batch', async () => {
  const log = await open({ compression: COMPRESSION });
  log.appendBatch(batches[0]);
  await log.close();
  const again = await Log.open(log.path, { compression: { algorithm: COMPRESSION, level: 9 } });
  opened.push(again);
  expect(again.append('next')).toBe(50);
  expect((await collect(again.read({ from: 48 }))).map(({ offset }) => offset)).toEqual([48, 49, 50]);
});

test('what is left of a batch is packed again as the log packs others', async () => {
  /** How many bytes it takes. */
  const packedAgain = async (level: number) => {
    const log = await open({ compression: { algorithm: COMPRESSION, level }, segment: '64KiB' });
    log.appendBatch(
      batches
        .slice(0, 4)
        .flat()
        .map((record, i) => ({ ...record, key: `key ${i}` })),
    );
    log.append({ key: 'key 100', value: 'new' });
    fillTo(log, 2);
    expect(await log.compact()).toMatchObject({ segments: 1, records: 1 });
    let bytes = 0;
    const segment = SegmentReader.openNow(log.segments()[0].path, { readOnly: true });
    segment.poll((_bytes, start, end, type) => {
      if (type === PACKED) bytes += end - start;
    }, 100);
    segment.close();
    return bytes;
  };
  expect(await packedAgain(9)).toBeLessThan(await packedAgain(1));
});

test('a level that is changed in its object later is no concern of the log', async () => {
  const compression = { algorithm: COMPRESSION as 'deflate', level: 9 };
  const log = await open({ compression });
  compression.level = 99;
  expect(log.appendBatch(batches[0])).toBe(0);
});

test('what is not smaller compressed is left as it is', async () => {
  const log = await open({ compression: COMPRESSION });
  const [a, b] = [Buffer.from([1, 200, 3, 77]), Buffer.from([250, 0, 9])];
  log.appendBatch([a]);
  log.appendBatch([b]);
  expect((await collect(log.read())).map(({ value }) => value)).toEqual([a, b]);
  expect(log.stats().bytes).toBe(96);
});

test.each([['gzip'], [{ algorithm: 'deflate', level: 99 }], [{ algo: 'deflate' }]])(
  'compression %j is refused in words',
  async (compression) => {
    const opening = Log.open(newDirectory(), { compression } as LogOptions);
    expect(await failure(() => opening)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  },
);

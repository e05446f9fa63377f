import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Algorithm } from '../../lib/channel/records/compression.js';
import {
  type EncodedRecord,
  pack,
  packAll,
  packedHead,
  unpack,
  unpackEach,
} from '../../lib/log/records/packing.js';
import { frameBytes, PACKED } from '../../lib/log/records/record.js';
import { thrown } from '../helpers/failure.js';
import {
  ALGORITHMS,
  alike,
  anyPlan,
  batchOf,
  fixed,
  hasZstd,
  headed,
  MIB,
  noise,
  RUNS,
  record,
  TIME,
  unpacked,
} from './batches.js';
import { expected, shown } from './records.js';

describe.each(ALGORITHMS)('a batch packed with %s', (algorithm) => {
  test('is read back as the records it was made of, and is smaller', () => {
    let packedOnes = 0;
    fc.assert(
      fc.property(anyPlan, fc.nat(2 ** 40), (given, first) => {
        const { plans, batch } = batchOf(given, first);
        const packed = pack(batch, algorithm);
        if (packed === undefined) return;
        packedOnes++;
        const { tag } = batch[batch.length - 1];
        const latest = Math.max(...plans.map(({ timeUs }) => timeUs));
        expect(packed).toMatchObject({ type: PACKED, tag, timeUs: latest, length: packed.data.length });
        expect(frameBytes(packed.length)).toBeLessThan(
          batch.reduce((sum, { length }) => sum + frameBytes(length), 0),
        );
        const records = plans.map(({ input, timeUs }, i) => expected(input, batch[i].tag, timeUs));
        expect(unpacked(packed).map(shown)).toEqual(records.map(shown));
        const head = packedHead(packed.data as Buffer, 0, packed.length, tag, latest);
        expect(head).toMatchObject({ count: batch.length, first: batch[0].tag, firstUs: plans[0].timeUs });
      }),
      fixed,
    );
    expect(packedOnes).toBeGreaterThan(RUNS / 2);
  });

  test('hands its records out as they were encoded', () => {
    const batch = [
      record({ key: 'k', value: 'v'.repeat(99) }, 5),
      ...alike(30).map((one) => ({ ...one, tag: one.tag + 9 })),
    ];
    const packed = pack(batch, algorithm) as EncodedRecord;
    const seen: EncodedRecord[] = [];
    unpackEach(
      packed.data as Buffer,
      0,
      packed.length,
      packed.tag,
      packed.timeUs,
      (bytes, start, end, type, tag, timeUs) => {
        seen.push({ data: Buffer.from(bytes.subarray(start, end)), length: end - start, type, tag, timeUs });
      },
    );
    expect(seen).toEqual(batch);
  });

  test('is refused in a frame of another offset or timestamp', () => {
    const { data, length } = pack(alike(40), algorithm) as EncodedRecord;
    const read = (tag: number, timeUs: number) => unpack(data as Buffer, 0, length, tag, timeUs);
    expect(read(39, TIME)).toHaveLength(40);
    expect(thrown(() => read(38, TIME))).toMatchObject({ code: 'ERR_CORRUPT', offset: 38 });
    // The batch tells offsets from the last one, and times from the latest, which may be others: then it is another batch.
    expect(read(50, TIME + 7).map(({ offset, timestamp }) => [offset, timestamp])).toEqual(
      Array.from({ length: 40 }, (_, i) => [i + 11, TIME + 7]),
    );
  });

  test('may be as good as nothing, and comes back', () => {
    const zeros = [record(Buffer.alloc(MIB - 20), 0)];
    const packed = pack(zeros, algorithm) as EncodedRecord;
    expect(packed.length).toBeLessThan(MIB / 200);
    expect(unpacked(packed)[0].value.equals(Buffer.alloc(MIB - 20))).toBe(true);
  });

  test('is never what would not be unpacked', () => {
    // More than 1024 times smaller than two MiB, as zlib and zstd have it; one that is not so good; too many; too much.
    const good = pack([record(Buffer.alloc(2 * MIB), 0)], algorithm);
    if (good !== undefined) expect(unpacked(good)).toHaveLength(1);
    const mixed = Buffer.alloc(2 * MIB);
    const random = noise(MIB);
    for (let at = 0; at + 30 < mixed.length; at += 1000) mixed.set(random.subarray(at / 2, at / 2 + 30), at);
    expect(unpacked(pack([record(mixed, 0)], algorithm) as EncodedRecord)[0].value.equals(mixed)).toBe(true);
    const most = Array.from({ length: 65_537 }, (_, i) => record('', i));
    expect(pack(most, algorithm)).toBeUndefined();
    expect(unpacked(pack(most.slice(1), algorithm) as EncodedRecord)).toHaveLength(65_536);
    expect(pack([record(Buffer.alloc(65 * MIB), 0)], algorithm)).toBeUndefined();
  });

  test('is none where that would not be smaller', () => {
    expect(pack([record(noise(200), 0)], algorithm)).toBeUndefined();
    expect(pack([record('ab', 0)], algorithm)).toBeUndefined();
    expect(pack([], algorithm)).toBeUndefined();
  });

  test('in chunks: those that can be packed are, those that cannot are as they were', () => {
    const batch = [
      ...alike(6000),
      record(noise(40_000), 6000),
      ...alike(2000).map((one) => ({ ...one, tag: one.tag + 6001 })),
      record(Buffer.alloc(700_000), 9000),
    ];
    const result = packAll(batch, MIB, algorithm);
    const all = result.flatMap((one) =>
      one.type === PACKED ? unpacked(one).map(({ offset }) => offset) : [one.tag],
    );
    expect(all).toEqual(batch.map(({ tag }) => tag));
    expect(result.length).toBeLessThan(10);
    const sizes = result.map((one) =>
      one.type === PACKED ? unpacked(one).reduce((sum, { value }) => sum + value.length, 0) : one.length,
    );
    // A chunk is no longer than 256 KiB, unless one record is.
    expect(sizes.filter((size) => size > 256 * 1024)).toEqual([700_000]);
  });

  test('in chunks: none is larger than a record may be', () => {
    const random = noise(30_000);
    const batch = Array.from({ length: 300 }, (_, i) => record(random.subarray(i * 100, i * 100 + 100), i));
    for (const largest of [100, 1000, 5000]) {
      const result = packAll(batch, largest, algorithm);
      expect(Math.max(...result.map(({ length }) => length))).toBeLessThanOrEqual(largest);
      const counts = result.map((one) => (one.type === PACKED ? unpacked(one).length : 1));
      expect(counts.reduce((sum, count) => sum + count)).toBe(300);
    }
    // Two that just fit, which nothing makes shorter: one head less, but more than they are themselves.
    for (let largest = 60; largest < 200; largest++) {
      const two = [0, 1].map((i) => record(random.subarray(i * 100, i * 100 + largest / 2 - 8), i));
      expect(Math.max(...packAll(two, largest, algorithm).map(({ length }) => length))).toBeLessThanOrEqual(
        largest,
      );
    }
    expect(packAll([], 1000, algorithm)).toEqual([]);
  });

  test('takes a level', () => {
    const random = noise(5000);
    const batch = Array.from({ length: 2500 }, (_, i) => {
      const order = { user: random.readUInt16LE(i) % 1000, item: random[i] % 50, paid: random[i * 2] < 128 };
      return record(JSON.stringify(order), i);
    });
    const high = algorithm === 'deflate' ? 9 : 19;
    const [low, best] = [1, high].map((level) => pack(batch, algorithm, level) as EncodedRecord);
    expect(best.length).toBeLessThan(low.length);
    expect(unpacked(best)).toEqual(unpacked(low));
    const wrong = algorithm === 'deflate' ? [0, 10, 1.5, '1'] : [0, 23, -1];
    for (const level of wrong) {
      expect(thrown(() => pack(batch, algorithm, level as number)).code).toBe('ERR_INVALID_ARGUMENT');
    }
  });
});

test('what can not be packed', () => {
  const batch = alike(3);
  const refused = (records: EncodedRecord[]) => thrown(() => pack(records, 'deflate')).message;
  expect(refused([batch[1], batch[0]])).toMatch(/Record 0 can't follow record 1/);
  expect(refused([batch[1], batch[1]])).toMatch(/Record 1 can't follow record 1/);
  expect(refused([{ ...batch[0], type: PACKED }])).toMatch(/type 16 can't be packed/);
  const error = thrown(() => pack(batch, 'gzip' as Algorithm));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  expect(error.message).toBe("compression must be 'deflate' or 'zstd', not 'gzip'");
});

describe.runIf(!hasZstd)('where Node.js has no zstd', () => {
  const NEEDS = /zstd needs Node\.js 22\.15, 23\.8 or newer, and this is v/;

  test('asking for it is refused', () => {
    const error = thrown(() => pack(alike(3), 'zstd'));
    expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    expect(error.message).toMatch(NEEDS);
  });

  test('what was packed with it elsewhere is not read', () => {
    // As Node.js 24 packs forty records that are alike.
    const error = thrown(() => unpack(headed(2, [40, 39, 0, 100], Buffer.alloc(50)), 0, 55, 39, TIME));
    expect(error).toMatchObject({ code: 'ERR_FORMAT', offset: 39, compression: 2 });
    expect(error.message).toMatch(NEEDS);
  });
});

import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../lib/index.js';
import type { Algorithm } from '../../lib/log/compression.js';
import { type EncodedRecord, pack, packAll, packedHead, unpack, unpackEach } from '../../lib/log/packing.js';
import { frameBytes, KEY, type LogRecord, PACKED, TOMBSTONE } from '../../lib/log/record.js';
import { writeSigned, writeVarint } from '../../lib/log/varint.js';
import { thrown } from '../helpers/failure.js';
import { anyInput, encode, expected, type Input, shown } from './records.js';

/** A failure prints the seed and the smallest batch that leads to it; PACKING_SEED and PACKING_RUNS give others, and more. */
const SEED = Number(process.env.PACKING_SEED ?? 16_180);
const RUNS = Number(process.env.PACKING_RUNS ?? 300);
const fixed = { seed: SEED, numRuns: RUNS };

const MIB = 2 ** 20;
const TIME = 1_700_000_000_000_000;
const LATEST = Number.MAX_SAFE_INTEGER;
const hasZstd = 'zstdCompressSync' in zlib;
const ALGORITHMS: Algorithm[] = hasZstd ? ['deflate', 'zstd'] : ['deflate'];

function record(input: Input, tag: number, timeUs = TIME): EncodedRecord {
  const { payload, type } = encode(input);
  return { data: payload, length: payload.length, type, tag, timeUs };
}

/** So many records alike, which are well worth packing. */
function alike(count: number, bytes = 100): EncodedRecord[] {
  return Array.from({ length: count }, (_, i) =>
    record(`${'a'.repeat(bytes - 6)}${String(i).padStart(6)}`, i),
  );
}

/** Bytes that nothing makes shorter. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function unpacked(packed: EncodedRecord): LogRecord[] {
  const memory = Buffer.concat([Buffer.alloc(3, 0xff), packed.data, Buffer.alloc(5, 0xff)]);
  return unpack(memory, 3, 3 + packed.length, packed.tag, packed.timeUs);
}

interface Plan {
  input: Input;
  gap: number;
  timeUs: number;
}

const anyTime = fc.oneof(
  fc.constant(TIME),
  fc.integer({ min: TIME - 1000, max: TIME + 1000 }),
  fc.nat(LATEST),
);
const anyGap = fc.oneof(fc.constant(0), fc.nat(5), fc.nat(2 ** 40));
const anyPlan: fc.Arbitrary<Plan[]> = fc.array(fc.record({ input: anyInput, gap: anyGap, timeUs: anyTime }), {
  minLength: 1,
  maxLength: 30,
});

/** Something that packs well is among them, so that most batches are worth it. */
function batchOf(plans: readonly Plan[], first: number): { plans: Plan[]; batch: EncodedRecord[] } {
  const all = [...plans, { input: Buffer.alloc(1000), gap: 0, timeUs: TIME }];
  let tag = first - 1;
  const batch = all.map(({ input, gap, timeUs }) => {
    tag += 1 + gap;
    return record(input, tag, timeUs);
  });
  return { plans: all, batch };
}

/** What `work` gives, or undefined where it is refused as damage is. */
function tried<T>(work: () => T, tag: number): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    expect(['ERR_CORRUPT', 'ERR_FORMAT']).toContain(error.code);
    expect(error.offset).toBeLessThanOrEqual(tag);
    return undefined;
  }
}

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

  test('is refused, or other records, where a byte of it is changed', () => {
    fc.assert(
      fc.property(anyPlan, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, at, flip) => {
        const packed = pack(batchOf(given, 0).batch, algorithm);
        if (packed === undefined) return;
        const data = Buffer.from(packed.data);
        // The head is as long as all the rest here: half of the time that is where it is changed.
        data[at % 2 === 0 ? at % 20 : at % data.length] ^= flip;
        tried(() => unpack(data, 0, data.length, packed.tag, packed.timeUs), packed.tag);
      }),
      fixed,
    );
  });

  test('is refused wherever it is cut, and with anything behind it', () => {
    const packed = pack(alike(40), algorithm) as EncodedRecord;
    const data = packed.data as Buffer;
    for (let length = 0; length < data.length; length++) {
      const error = thrown(() => unpack(data, 0, length, packed.tag, packed.timeUs));
      expect(error).toMatchObject({ code: 'ERR_CORRUPT', offset: 39 });
    }
    const longer = Buffer.concat([data, Buffer.alloc(1)]);
    expect(thrown(() => unpack(longer, 0, longer.length, 39, TIME)).code).toBe('ERR_CORRUPT');
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

/** Where nothing is compressed, all bytes are known: one stored block of RFC 1951. */
function stored(inner: Buffer): Buffer {
  const block = Buffer.from([1, 0, 0, 0, 0]);
  block.writeUInt16LE(inner.length, 1);
  block.writeUInt16LE(inner.length ^ 0xffff, 3);
  return Buffer.concat([block, inner]);
}

function headed(algorithm: number, numbers: readonly number[], packed: Buffer): Buffer {
  const head = Buffer.alloc(60);
  head[0] = algorithm;
  let at = 1;
  for (const number of numbers) at = writeVarint(head, at, number);
  return Buffer.concat([head.subarray(0, at), packed]);
}

test('what a batch is, byte by byte', () => {
  const bytes = Buffer.from(
    [
      '01 03 0a 02 14', // deflate; 3 records, the last 10 offsets and the latest 2 µs after the first; 20 bytes:
      '01 1400 ebff', // stored as they are
      '02 05 016b616263', // the key k and the value abc
      '00 04 00 03 646566', // no offset is left out, 2 µs later: the value def
      '08 01 0a 02 016b', // 8 offsets are left out, 1 µs earlier: k is gone
    ]
      .join('')
      .replaceAll(' ', ''),
    'hex',
  );
  const key = Buffer.from('k');
  expect(unpack(bytes, 0, bytes.length, 15, TIME)).toEqual([
    { offset: 5, timestamp: TIME - 2, key, value: Buffer.from('abc') },
    { offset: 6, timestamp: TIME, value: Buffer.from('def') },
    { offset: 15, timestamp: TIME - 1, key, value: Buffer.alloc(0), tombstone: true },
  ]);
});

describe('what is unpacked may be damaged', () => {
  const unpackAll = (bytes: Buffer, tag: number, timeUs = TIME) =>
    unpack(bytes, 0, bytes.length, tag, timeUs);

  test('any bytes are records or an error', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 80 }),
        fc.nat(1000),
        fc.constantFrom(1, 2, undefined),
        (array, tag, first) => {
          const bytes = Buffer.from(array);
          if (first !== undefined && bytes.length > 0) bytes[0] = first;
          tried(() => unpackAll(bytes, tag), tag);
        },
      ),
      { ...fixed, numRuns: RUNS * 10 },
    );
  });

  test('a batch that is packed well, but says anything, is records in order, or an error', () => {
    const piece = fc.record({
      leftOut: fc.nat(2),
      later: fc.nat(4),
      type: fc.constantFrom(0, 0, 0, KEY, KEY | TOMBSTONE),
      data: fc.uint8Array({ maxLength: 4 }),
    });
    const mostly = (otherwise: fc.Arbitrary<number>) =>
      fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: otherwise });
    const off = mostly(fc.integer({ min: -2, max: 2 }));
    const heads = fc.record({
      count: off,
      span: off,
      later: fc.nat(3),
      at: fc.nat(),
      flip: mostly(fc.nat(255)),
    });
    let batches = 0;
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 5 }),
        heads,
        (pieces, { at, flip, ...wrong }) => {
          const bytes = pieces.flatMap(({ leftOut, later, type, data }, i) => [
            ...(i === 0 ? [] : [leftOut, later]),
            type,
            data.length,
            ...data,
          ]);
          bytes[at % bytes.length] ^= flip;
          const count = Math.max(0, pieces.length + wrong.count);
          const truly = pieces.slice(1).reduce((sum, { leftOut }) => sum + 1 + leftOut, 0);
          const span = Math.max(0, truly + wrong.span);
          const numbers = [count, span, wrong.later, bytes.length];
          const records = tried(() => unpackAll(headed(1, numbers, stored(Buffer.from(bytes))), 100), 100);
          if (records === undefined) return;
          batches++;
          expect(records).toHaveLength(count);
          const offsets = records.map(({ offset }) => offset);
          expect(offsets).toEqual([...new Set(offsets)].sort((a, b) => a - b));
          expect([offsets[0], offsets[count - 1]]).toEqual([100 - span, 100]);
          const times = records.map(({ timestamp }) => timestamp);
          expect([times[0], Math.max(...times)]).toEqual([TIME - wrong.later, TIME]);
        },
      ),
      { ...fixed, numRuns: RUNS * 10 },
    );
    expect(batches).toBeGreaterThan(RUNS / 2);
    expect(batches).toBeLessThan(RUNS * 9);
  });

  const inner = Buffer.from('0003616263', 'hex');
  const good = [1, 0, 0, inner.length];

  test('one that is whole, for comparison', () => {
    expect(unpackAll(headed(1, good, stored(inner)), 7)).toEqual([
      { offset: 7, timestamp: TIME, value: Buffer.from('abc') },
    ]);
  });

  test.each<[string, readonly number[], string]>([
    ['no records', [0, 0, 0, 5], '0003616263'],
    ['more records than offsets', [2, 0, 0, 5], '0000 0000'],
    ['offsets below 0', [1, 8, 0, 5], '0003616263'],
    ['times below 0', [1, 0, TIME + 1, 5], '0003616263'],
    ['another length', [1, 0, 0, 4], '0003616263'],
    ['another length', [1, 0, 0, 6], '0003616263'],
    ['a record that ends behind it', [1, 0, 0, 5], '0004616263'],
    ['bytes behind the last record', [1, 0, 0, 5], '0002616263'],
    ['fewer records than it says', [2, 1, 0, 5], '0003616263'],
    [
      'records that do not reach the last offset',
      [2, 5, 0, 10],
      '0003616263 00000001 63'.replaceAll(' ', ''),
    ],
    ['records that go beyond the last offset', [2, 1, 0, 10], '0003616263 0100000163'.replaceAll(' ', '')],
    ['a time later than the latest', [2, 1, 0, 10], '0003616263 0002000163'.replaceAll(' ', '')],
    ['no record of the latest time', [1, 0, 3, 5], '0003616263'],
    ['a batch in a batch', [1, 0, 0, 5], '1003616263'],
    ['a record that is none', [1, 0, 0, 5], '0205616263'],
  ])('%s (%#)', (_, numbers, hex) => {
    const bytes = headed(1, numbers, stored(Buffer.from(hex, 'hex')));
    const error = thrown(() => unpackAll(bytes, 7));
    expect(error).toMatchObject({ code: 'ERR_CORRUPT', offset: 7 });
    expect(error.message).toMatch(/record 7/i);
  });

  test('a record from before 1970', () => {
    const later = (us: number) => {
      const two = Buffer.alloc(30);
      const length = writeSigned(two, inner.copy(two) + 1, us) + 2;
      return headed(1, [2, 1, 0, length], stored(two.subarray(0, length)));
    };
    expect(unpackAll(later(-TIME), 7)[1]).toMatchObject({ offset: 7, timestamp: 0 });
    const error = thrown(() => unpackAll(later(-TIME - 1), 7));
    expect(error.message).toMatch(/its record 1 has an offset or a timestamp that can't be/);
  });

  test('a type of a later version', () => {
    const bytes = headed(1, good, stored(Buffer.from('4003616263', 'hex')));
    expect(thrown(() => unpackAll(bytes, 7))).toMatchObject({ code: 'ERR_FORMAT', offset: 7, type: 64 });
  });

  test.each([0, 3, 255])('a compression of a later version: %i', (number) => {
    const error = thrown(() => unpackAll(headed(number, good, stored(inner)), 7));
    expect(error).toMatchObject({ code: 'ERR_FORMAT', offset: 7, compression: number });
  });

  test.each<[string, number, number]>([
    ['more than 64 MiB', 64 * MIB + 1, 80_000],
    ['more than 1024 times its bytes', 30 * MIB, 20_000],
    ['more than there are numbers for', LATEST, 80_000],
  ])('no memory is taken for what would be %s', (_, length, packed) => {
    const bytes = headed(1, [1, 0, 0, length], Buffer.alloc(packed));
    const before = process.memoryUsage().arrayBuffers;
    const error = thrown(() => unpackAll(bytes, 7));
    expect(error.code).toBe('ERR_CORRUPT');
    expect(error.message).toContain(`${packed} bytes can't be 1 records in ${length} bytes`);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
  });

  test('no more memory is taken than it says, whatever comes of it', () => {
    const bomb = zlib.deflateRawSync(Buffer.alloc(60_000_000));
    const bytes = headed(1, [1, 0, 0, 1000], bomb);
    const before = process.memoryUsage().arrayBuffers;
    expect(thrown(() => unpackAll(bytes, 7)).code).toBe('ERR_CORRUPT');
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MIB);
  });

  test('more records than a batch may have', () => {
    const zeros = Buffer.alloc(4 * 70_000 - 2);
    const bytes = headed(1, [70_000, 69_999, 0, zeros.length], zlib.deflateRawSync(zeros));
    expect(thrown(() => unpackAll(bytes, 69_999)).message).toMatch(/can't have 70000 records/);
  });

  test.runIf(hasZstd)('a window larger than what comes of it is refused', () => {
    const { zstdCompressSync, constants } = zlib as unknown as {
      zstdCompressSync(bytes: Buffer, options: object): Buffer;
      constants: Record<string, number>;
    };
    const value = Buffer.alloc(100_000, 'abc');
    const inner = Buffer.alloc(4 + value.length);
    inner.set(value, writeVarint(inner, 1, value.length));
    const { ZSTD_c_windowLog, ZSTD_c_contentSizeFlag } = constants;
    const params = { [ZSTD_c_windowLog]: 17, [ZSTD_c_contentSizeFlag]: 0 };
    const bytes = headed(2, [1, 0, 0, inner.length], zstdCompressSync(inner, { params }));
    expect(unpackAll(bytes, 7)[0].value.equals(value)).toBe(true);
    // The byte behind magic number and descriptor of the frame: the window's power of two, less ten, times eight.
    const at = bytes.indexOf('28b52ffd', 0, 'hex') + 5;
    expect(bytes[at]).toBe((17 - 10) << 3);
    bytes[at] = (18 - 10) << 3;
    expect(thrown(() => unpackAll(bytes, 7)).code).toBe('ERR_CORRUPT');
  });

  test.runIf(hasZstd)('frames of zstd that hold nothing are not passed over', () => {
    const skippable = Buffer.from('502a4d1804000000aaaaaaaa', 'hex');
    const packed = pack(alike(40), 'zstd') as EncodedRecord;
    const head = packedHead(packed.data as Buffer, 0, packed.length, packed.tag, packed.timeUs);
    const bytes = Buffer.concat([packed.data.subarray(0, head.at), skippable, packed.data.subarray(head.at)]);
    expect(thrown(() => unpackAll(bytes, packed.tag)).code).toBe('ERR_CORRUPT');
  });
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

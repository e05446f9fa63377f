import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../lib/index.js';
import { type EncodedRecord, pack, packedHead, unpack } from '../../lib/log/records/packing.js';
import { KEY, TOMBSTONE } from '../../lib/log/records/record.js';
import { writeSigned, writeVarint } from '../../lib/log/records/varint.js';
import { thrown } from '../helpers/failure.js';
import {
  ALGORITHMS,
  alike,
  anyPlan,
  batchOf,
  fixed,
  hasZstd,
  headed,
  LATEST,
  MIB,
  RUNS,
  stored,
  TIME,
} from './batches.js';

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
});

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
    const { at } = packedHead(packed.data as Buffer, 0, packed.length, packed.tag, packed.timeUs);
    const [head, frame] = [packed.data.subarray(0, at), packed.data.subarray(at)];
    expect(unpackAll(Buffer.concat([head, frame]), packed.tag)).toHaveLength(40);
    for (const frames of [
      [skippable, frame],
      [frame, skippable],
      [frame, frame],
    ]) {
      expect(thrown(() => unpackAll(Buffer.concat([head, ...frames]), packed.tag)).code).toBe('ERR_CORRUPT');
    }
  });
});

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Copier } from '../../lib/channel/index.js';
import { MillraceError } from '../../lib/index.js';
import { EXPIRES, frameBytes, HEADERS, KEY, PACKED, TOMBSTONE } from '../../lib/log/records/record.js';
import { decodeRecord, fromPool, NO_KEY, RecordParts } from '../../lib/log/records/record-decoder.js';
import { NO_TIME, RecordEncoder } from '../../lib/log/records/record-encoder.js';
import { thrown } from '../helpers/failure.js';
import { cutOff, transferred } from '../helpers/gone.js';
import { anyInput, decode, encode, expected, type Input, shown } from './records.js';

/** A failure prints the seed and the shortest record that leads to it; RECORD_SEED and RECORD_RUNS give others, and more. */
const SEED = Number(process.env.RECORD_SEED ?? 27_182);
const RUNS = Number(process.env.RECORD_RUNS ?? 1000);
const fixed = { seed: SEED, numRuns: RUNS };

const CHILD = fileURLToPath(new URL('fixtures/encoding-child.js', import.meta.url));
const LATEST = Number.MAX_SAFE_INTEGER;
const TIME = 1_700_000_000_000_000;
const anyType = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 15 }) },
  { weight: 1, arbitrary: fc.integer({ min: 16, max: 65535 }) },
);

describe('what a record is, byte by byte', () => {
  test.each<[string, Input, number, string]>([
    ['a value', 'abc', 0, '616263'],
    ['a value of bytes', Uint8Array.of(0, 255), 0, '00ff'],
    ['an empty value', '', 0, ''],
    ['a described value', { value: 'abc' }, 0, '616263'],
    ['headers that are none', { value: 'abc', headers: {} }, 0, '616263'],
    ['a key', { key: 'k1', value: 'abc' }, KEY, '02 6b31 616263'],
    ['an empty key', { key: '', value: 'abc' }, KEY, '00 616263'],
    ['a key of 128 bytes', { key: 'k'.repeat(128), value: '' }, KEY, `8001 ${'6b'.repeat(128)}`],
    ['a time to live', { value: 'abc', ttlMs: 60_000 }, EXPIRES, 'e0d403 616263'],
    ['the longest time to live', { value: '', ttlMs: 3_155_760_000_000 }, EXPIRES, '80d8d08fec5b'],
    ['a header', { value: 'abc', headers: { h: 'x' } }, HEADERS, '01 0168 0178 616263'],
    [
      'headers of the same name, in order',
      {
        value: 'abc',
        headers: [
          ['b', ''],
          ['a', Uint8Array.of(1)],
          ['b', 'ü'],
        ],
      },
      HEADERS,
      '03 0162 00 0161 0101 0162 02c3bc 616263',
    ],
    ['a tombstone', { key: 'k1', value: null }, KEY | TOMBSTONE, '02 6b31'],
    [
      'all of it',
      { ttlMs: 1, headers: { h: 'x' }, value: 'v', key: 'k', timestamp: 5 },
      EXPIRES | KEY | HEADERS,
      '01 016b 01 0168 0178 76',
    ],
  ])('%s', (_, input, type, hex) => {
    const { payload, type: is } = encode(input);
    expect(payload.toString('hex')).toBe(hex.replaceAll(' ', ''));
    expect(is).toBe(type);
  });

  test('a value of 25 bytes takes 64 bytes of a segment', () => {
    const { payload, type } = encode(Buffer.alloc(25));
    expect([payload.length, type, frameBytes(payload.length)]).toEqual([25, 0, 64]);
  });
});

describe('what can not be appended', () => {
  const of = (input: unknown) => thrown(() => new RecordEncoder().measure(input as Input));

  test.each<[unknown, RegExp]>([
    [undefined, /A record must be .*, not undefined/],
    [null, /A record must be .*, not null/],
    [5, /A record must be .*, not 5/],
    [['a', 'b'], /A record must be .*, not Array/],
    [new Uint16Array(2), /needs a value|no option/],
    [new Map([['value', 'x']]), /needs a value/],
    [{}, /needs a value; null/],
    [{ value: undefined, key: 'k' }, /needs a value/],
    [{ value: 5 }, /The value of a record must be a Uint8Array or a string, not 5/],
    [{ value: ['a'] }, /The value .*, not Array/],
    [transferred(), /The memory of a Uint8Array is gone/],
    [{ value: cutOff() }, /The memory of a Uint8Array is gone/],
    [{ key: transferred(), value: 'x' }, /The memory of a Uint8Array is gone/],
    [{ value: 'x', headers: { a: cutOff() } }, /The memory of a Uint8Array is gone/],
    [{ value: new ArrayBuffer(4) }, /The value .*, not ArrayBuffer/],
    [{ value: null }, /null needs a key/],
    [{ key: null, value: 'x' }, /The key of a record must be a Uint8Array or a string, not null/],
    [{ key: 7, value: 'x' }, /The key .*, not 7/],
    [{ key: 7, value: null }, /The key .*, not 7/],
    [{ value: 'x', timestamp: 'today' }, /timestamp must be .*, not 'today'/],
    [{ value: 'x', timestamp: -1 }, /timestamp must be .*, not -1/],
    [{ value: 'x', timestamp: null }, /timestamp must be .*, not null/],
    [{ value: 'x', ttlMs: 0 }, /ttlMs must be .* from 1 to 3155760000000, or left out, not 0/],
    [{ value: 'x', ttlMs: 1.5 }, /ttlMs .*, not 1.5/],
    [{ value: 'x', ttlMs: -1 }, /ttlMs .*, not -1/],
    [{ value: 'x', ttlMs: '5' }, /ttlMs .*, not '5'/],
    [{ value: 'x', ttlMs: Number.NaN }, /ttlMs .*, not NaN/],
    [{ value: 'x', ttlMs: Number.POSITIVE_INFINITY }, /ttlMs .*, not Infinity/],
    [{ value: 'x', ttlMs: 3_155_760_000_001 }, /ttlMs .*, not 3155760000001/],
    [{ value: 'x', headers: null }, /headers must be .*, not null/],
    [{ value: 'x', headers: 'a' }, /headers must be .*, not 'a'/],
    [{ value: 'x', headers: new Map([['a', 'b']]) }, /headers must be .*, not Map/],
    [{ value: 'x', headers: new Headers({ a: 'b' }) }, /headers must be .*, not Headers/],
    [{ value: 'x', headers: Buffer.from('a') }, /headers must be .*, not Buffer/],
    [{ value: 'x', headers: ['ab'] }, /A header must be a pair of name and value, not 'ab'/],
    [{ value: 'x', headers: [['a']] }, /A header must be a pair/],
    [{ value: 'x', headers: [['a', 'b', 'c']] }, /A header must be a pair/],
    // biome-ignore lint/suspicious/noSparseArray: that is what it is about.
    [{ value: 'x', headers: [, ['a', 'b']] }, /A header must be a pair of name and value, not undefined/],
    [{ value: 'x', headers: [['', 'b']] }, /The name of a header must be .* not empty, not ''/],
    [{ value: 'x', headers: { '': 'b' } }, /The name of a header/],
    [{ value: 'x', headers: [[1, 'b']] }, /The name of a header .*, not 1/],
    [{ value: 'x', headers: { a: 1 } }, /The header 'a' of a record must be a Uint8Array or a string, not 1/],
    [{ value: 'x', headers: { a: undefined } }, /The header 'a' .*, not undefined/],
    [{ value: 'x', headers: { a: null } }, /The header 'a' .*, not null/],
  ])('%#: %o', (input, message) => {
    const error = of(input);
    expect(error.code).toBe('ERR_INVALID_ARGUMENT');
    expect(error.message).toMatch(message);
  });

  test.each([
    [{ value: 'x', ttl: 5 }, 'ttl', 'ttlMs'],
    [{ value: 'x', header: {} }, 'header', 'headers'],
    [{ vaule: 'x' }, 'vaule', 'value'],
    [{ value: 'x', offset: 3 }, 'offset', undefined],
  ])('%o: a field that there is not', (input, option, meant) => {
    expect(of(input)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', option, meant });
  });

  test('fields that are inherited are not looked at', () => {
    const inheriting = Object.create({ other: 1 }, { value: { value: 'x', enumerable: true } });
    expect(encode(inheriting).payload.toString()).toBe('x');
  });
});

describe('any record', () => {
  test('is read back as it was, wherever it is written, and nothing beside it is touched', () => {
    const encoder = new RecordEncoder();
    fc.assert(
      fc.property(anyInput, fc.nat(40), fc.nat(LATEST), fc.nat(LATEST), (input, at, offset, time) => {
        const length = encoder.measure(input);
        const { type } = encoder;
        expect(encoder.timeUs).toBe(NO_TIME);
        const memory = Buffer.alloc(at + length + 50, 0xa5);
        encoder.write(memory, at);
        expect(memory.subarray(0, at).every((byte) => byte === 0xa5)).toBe(true);
        expect(memory.subarray(at + length).every((byte) => byte === 0xa5)).toBe(true);
        const copies = at % 2 === 0 ? fromPool : new Copier();
        const record = decodeRecord(memory, at, at + length, type, offset, time, copies);
        memory.fill(0);
        expect(shown(record)).toEqual(shown(expected(input, offset, time)));
      }),
      fixed,
    );
  });

  test('has parts that are found in place, where decoding finds them', () => {
    const parts = new RecordParts();
    fc.assert(
      fc.property(anyInput, fc.nat(20), (input, at) => {
        const { payload, type } = encode(input);
        const memory = Buffer.concat([Buffer.alloc(at, 0xff), payload, Buffer.alloc(9, 0xff)]);
        const end = at + payload.length;
        const { key, value, expiresAt } = expected(input, 3, TIME);
        parts.find(memory, at, end, type, 3, TIME);
        expect(parts.expiresAtUs).toBe(expiresAt ?? Number.POSITIVE_INFINITY);
        if (key === undefined) expect([parts.keyStart, parts.keyEnd]).toEqual([NO_KEY, NO_KEY]);
        else expect(memory.subarray(parts.keyStart, parts.keyEnd).equals(key)).toBe(true);
        parts.findValue(memory, end, type, 3);
        expect(memory.subarray(parts.rest, end).equals(value)).toBe(true);
      }),
      fixed,
    );
  });

  test('has the timestamp it was given', () => {
    expect(encode({ value: '', timestamp: 1.5 }).timeUs).toBe(1500);
    expect(encode({ value: '', timestamp: new Date(7) }).timeUs).toBe(7000);
    expect(encode({ value: '', timestamp: { us: 3 } }).timeUs).toBe(3);
    expect(encode({ value: '', timestamp: 0 }).timeUs).toBe(0);
    expect(encode({ value: '', timestamp: runInNewContext('new Date(7)') }).timeUs).toBe(7000);
  });

  test('takes bytes of another context as its own', () => {
    const bytes: Uint8Array = runInNewContext('Uint8Array.of(1, 2)');
    const own = Uint8Array.of(1, 2);
    for (const made of [
      (of: Uint8Array) => of,
      (of: Uint8Array) => ({ key: of, value: of, headers: { of } }),
    ]) {
      expect(encode(made(bytes))).toEqual(encode(made(own)));
    }
  });

  test('keeps nothing of the one that the encoder had before', () => {
    const all = { key: 'k', value: 'v', ttlMs: 5, timestamp: 9, headers: { a: 'b' } };
    const encoder = new RecordEncoder();
    encoder.measure(all);
    expect(() => encoder.measure({ value: 'x', headers: { a: 'b', c: 1 as unknown as string } })).toThrow();
    expect(encoder.measure('next')).toBe(4);
    expect([encoder.type, encoder.timeUs]).toEqual([0, NO_TIME]);
    const target = Buffer.alloc(5);
    encoder.write(target, 0);
    expect(target.toString()).toBe('next\0');
    encoder.measure({ value: 'x', headers: { e: 'f' } });
    const headers = Buffer.alloc(6);
    encoder.write(headers, 0);
    expect(headers.toString('hex')).toBe('010165016678');
  });

  test('is written as it was measured, whatever its fields say when they are asked again', () => {
    let asked = 0;
    const sly = {
      get value() {
        asked++;
        return asked === 1 ? 'short' : 'much longer than before';
      },
    };
    const target = Buffer.alloc(40);
    const encoder = new RecordEncoder();
    expect(encoder.measure(sly)).toBe(5);
    encoder.write(target, 0);
    expect(target.toString('latin1', 0, 6)).toBe('short\0');
  });
});

describe('what is read may be damaged', () => {
  /** A record, or undefined where it was refused as it should be. */
  function tryDecode(payload: Buffer, type: number) {
    try {
      return decode(payload, type, 77, TIME);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      expect(error.code).toBe((type & ~15) === 0 ? 'ERR_CORRUPT' : 'ERR_FORMAT');
      expect(error.offset).toBe(77);
      return undefined;
    }
  }

  test('any bytes are a record whose only spelling they are, or an error', () => {
    let records = 0;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60, size: 'max' }), anyType, (array, type) => {
        const payload = Buffer.from(array);
        const record = tryDecode(payload, type);
        if (record === undefined) return;
        if (type !== 0) records++;
        const { key, value, headers, expiresAt, tombstone } = record;
        const ttlMs = expiresAt === undefined ? undefined : (expiresAt - TIME) / 1000;
        const again = encode({ key, value: tombstone ? null : value, headers, ttlMs });
        expect([again.type, again.payload.toString('hex')]).toEqual([type, payload.toString('hex')]);
      }),
      { ...fixed, numRuns: RUNS * 5 },
    );
    expect(records).toBeGreaterThan(RUNS / 20);
  });

  test('nothing is looked at beyond the bytes that a record has', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        anyType,
        fc.nat(9),
        fc.nat(255),
        (array, type, at, fill) => {
          const payload = Buffer.from(array);
          const within = Buffer.concat([Buffer.alloc(at, fill), payload, Buffer.alloc(300, fill)]);
          let alone: unknown;
          let inside: unknown;
          const [start, end] = [at, at + payload.length];
          try {
            alone = decode(payload, type);
          } catch (error) {
            alone = String(error);
          }
          try {
            inside = decodeRecord(within, start, end, type, 0, 0, {
              copy: (bytes, from) => bytes.subarray(from, end),
            });
          } catch (error) {
            inside = String(error);
          }
          expect(inside).toEqual(alone);
        },
      ),
      fixed,
    );
  });

  test('a record that is cut short is refused, or has a shorter value', () => {
    fc.assert(
      fc.property(anyInput, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (input, share) => {
        const { payload, type } = encode(input);
        const { value } = expected(input, 77, TIME);
        const length = Math.floor(payload.length * share);
        const record = tryDecode(payload.subarray(0, length), type);
        const lost = payload.length - length;
        if (lost > value.length) expect(record).toBeUndefined();
        else expect(record?.value.equals(value.subarray(0, value.length - lost))).toBe(true);
      }),
      fixed,
    );
  });

  test('a record with a byte changed, or with another type, is refused or is another one', () => {
    fc.assert(
      fc.property(anyInput, fc.nat(), fc.integer({ min: 1, max: 255 }), anyType, (input, at, flip, type) => {
        const { payload, type: right } = encode(input);
        tryDecode(payload, type);
        if (payload.length === 0) return;
        const before = Buffer.from(payload);
        payload[at % payload.length] ^= flip;
        const record = tryDecode(payload, right);
        if (record === undefined) return;
        expect(shown(record)).not.toEqual(shown(decode(before, right, 77, TIME)));
      }),
      fixed,
    );
  });

  test.each<[string, number, string]>([
    ['a key that ends behind it', KEY, '05 6b31'],
    ['no length of the key', KEY, ''],
    ['a length that goes on behind it', KEY, '80'],
    ['a length of more bytes than it needs', KEY, '8000'],
    ['a length beyond all bounds', KEY, 'ffffffffffffff7f'],
    ['a length that never ends', KEY, 'ffffffffffffffffffffffff'],
    ['a time to live of 0', EXPIRES, '00'],
    ['a time to live that is too long', EXPIRES, '81d8d08fec5b'],
    ['a time to live that is cut', EXPIRES, '80d8d0'],
    ['no count of headers', HEADERS, ''],
    ['a count of no headers', HEADERS, '00 61'],
    ['more headers than have room', HEADERS, 'ffffffff0f 0161 0162'],
    ['a header without a name', HEADERS, '01 00 0162'],
    ['a header without a value', HEADERS, '01 0361 6161'],
    ['a header whose value ends behind it', HEADERS, '01 0161 0562'],
    ['a name that is no UTF-8', HEADERS, '01 02c328 0162'],
    ['a tombstone without a key', TOMBSTONE, ''],
    ['a tombstone with a value', KEY | TOMBSTONE, '0161 62'],
  ])('%s', (_, type, hex) => {
    const error = thrown(() => decode(Buffer.from(hex.replaceAll(' ', ''), 'hex'), type, 12, TIME));
    expect(error).toMatchObject({ code: 'ERR_CORRUPT', offset: 12 });
    expect(error.message).toMatch(/^Record 12 is damaged: /);
  });

  test('a mark that stands for what is no UTF-8 may be in a name by right', () => {
    const { payload, type } = encode({ value: '', headers: { 'a\ufffdb': '' } });
    expect(decode(payload, type).headers).toEqual([['a\ufffdb', Buffer.alloc(0)]]);
  });

  test.each([PACKED, 32, 0x8000, KEY | 64])('a type that is not known: %i', (type) => {
    const payload = Buffer.from('0161', 'hex');
    const known = { code: 'ERR_FORMAT', offset: 12, type };
    expect(thrown(() => decode(payload, type, 12))).toMatchObject(known);
    expect(thrown(() => new RecordParts().find(payload, 0, 2, type, 12, 0))).toMatchObject(known);
  });
});

test.each([
  ['keys and values that are bytes', 'bytes', 0, 1],
  ['keys and headers that are short strings', 'strings', 0, 1],
  // So it would be seen.
  ['records that are made anew, and kept', 'kept', 30, Number.POSITIVE_INFINITY],
])('encoding allocates so many bytes for %s', async (_, what, least, most) => {
  // Room enough that nothing is collected on the way.
  const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, CHILD, what]);
  const bytes = JSON.parse(stdout);
  expect(bytes).toBeGreaterThanOrEqual(least);
  expect(bytes).toBeLessThan(most);
});

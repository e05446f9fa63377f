import zlib from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Codec,
  compressed,
  json,
  type MillraceError,
  Reader,
  sequenced,
  timestamped,
  utf8,
  Writer,
} from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { LIARS } from '../helpers/lying.js';
import { newPath } from '../helpers/run-directory.js';

const HAS_ZSTD = 'zstdCompressSync' in zlib;
const LONG = 'again and '.repeat(1000);
const raw: Codec<Buffer> = { encode: (bytes) => bytes, decode: (bytes) => bytes };
const parts: Codec<string[], string> = {
  encode: (texts) => texts.map((text, i) => (i % 2 === 0 ? text : Buffer.from(text))),
  decode: (bytes) => bytes.toString(),
};

/** What goes through both ends of a codec. */
function through<In, Out>(codec: Codec<In, Out>, value: In): { size: number; value: Out } {
  const encoded = [codec.encode(value)].flat() as (Uint8Array | string)[];
  const bytes = Buffer.concat(encoded.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return { size: bytes.length, value: codec.decode(bytes) };
}

describe.each(HAS_ZSTD ? (['deflate', 'zstd'] as const) : (['deflate'] as const))('by %s', (algorithm) => {
  test('a record becomes smaller where it can, and one byte larger where it can’t', () => {
    const codec = compressed(utf8, { algorithm, level: 5 });
    expect(through(codec, LONG)).toMatchObject({ value: LONG });
    expect(through(codec, LONG).size).toBeLessThan(200);
    for (const text of ['', 'x', 'äöü']) {
      expect(through(codec, text)).toEqual({ size: Buffer.byteLength(text) + 1, value: text });
    }
  });

  test('whatever the inner codec makes comes out again', () => {
    const value = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.constantFrom(0, 1), { maxLength: 3000 }),
    );
    fc.assert(
      fc.property(value, (some) => {
        const bytes = Buffer.from(some);
        expect(through(compressed(raw, algorithm), bytes).value.equals(bytes)).toBe(true);
      }),
      { seed: 5 },
    );
    expect(through(compressed(parts, algorithm), ['a', LONG, 'b']).value).toBe(`a${LONG}b`);
  });
});

test('it composes with others, outside and inside, through a channel', async () => {
  const codecs = [() => compressed(sequenced(json)), () => sequenced(timestamped(compressed(json)))] as const;
  for (const codec of codecs) {
    using writer = await Writer.create(newPath(), { codec: codec() as Codec<unknown> });
    using reader = await Reader.open(writer.path, { codec: codec() as Codec<unknown> });
    writer.writeBatch([{ LONG }, 'short']);
    await writer.send(null);
    const read = reader.readBatch(10).map(({ value }) => value as { sequence: number });
    expect(read.map(({ sequence }) => sequence)).toEqual([0, 1, 2]);
  }
});

test('what is more than a reader unpacks is refused, and the codec within is told that nothing of it went in', () => {
  const codec = compressed(sequenced(utf8), { maxBytes: 100 });
  expect(through(codec, 'a').value.sequence).toBe(0);
  expect(thrown(() => codec.encode('x'.repeat(93)))).toMatchObject({
    code: 'ERR_RECORD_TOO_LARGE',
    size: 101,
    max: 100,
  });
  expect(through(codec, 'x'.repeat(92)).value.sequence).toBe(1);
});

test('what is no data is refused as by any writer', async () => {
  for (const bad of [5, ['a', 5]]) {
    const broken = compressed({ ...utf8, encode: () => bad as never });
    using writer = await Writer.create(newPath(), { codec: broken });
    expect(thrown(() => writer.write('x')).code).toBe('ERR_INVALID_ARGUMENT');
  }
});

test.each(Object.entries(LIARS))(
  'so is what %s, and the codec within is told that nothing of it went in',
  async (_, make) => {
    const counting = () => compressed(sequenced(raw as Codec<Uint8Array, Buffer>));
    for (const codec of [counting, () => compressed(raw as Codec<Uint8Array, Buffer>)]) {
      using writer = await Writer.create<Uint8Array>(newPath(), { codec: codec() });
      using reader = await Reader.open<unknown>(writer.path, { codec: codec() });
      expect(thrown(() => writer.write(make())).code).toBe('ERR_INVALID_ARGUMENT');
      expect(thrown(() => writer.writeBatch([Buffer.from('x'), make()])).code).toBe('ERR_INVALID_ARGUMENT');
      writer.write(Buffer.from('whole'));
      const value = Buffer.from('whole');
      const read = reader.readBatch(10).map((record) => record.value);
      expect(read).toEqual([codec === counting ? { sequence: 0, value } : value]);
    }
  },
);

describe('damage', () => {
  const codec = compressed(utf8, { maxBytes: LONG.length });
  const whole = Buffer.concat(([codec.encode(LONG)].flat() as Buffer[]).map((part) => Buffer.from(part)));
  const claiming = (length: number) => {
    const bytes = Buffer.from(whole);
    bytes.writeUInt32LE(length, 1);
    return bytes;
  };

  test('of every byte is an error, or was none', () => {
    expect(codec.decode(whole)).toBe(LONG);
    for (let at = 0; at < whole.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        let code: string | undefined;
        try {
          codec.decode(bytes);
        } catch (error) {
          code = (error as MillraceError).code;
          expect(['ERR_CORRUPT', 'ERR_FORMAT']).toContain(code);
        }
        if (at >= 1 && at < 5) expect(code).toBe('ERR_CORRUPT');
      }
    }
  });

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['too few bytes', whole.subarray(0, 4)],
    ['a part', whole.subarray(0, whole.length - 1)],
    ['more than all', Buffer.concat([whole, Buffer.of(0)])],
    ['a claim of nothing', claiming(0)],
    ['a claim of more than is allowed', claiming(LONG.length + 1)],
    ['a claim of all the memory there is', claiming(0xffffffff)],
  ])('%s is ERR_CORRUPT', (_, bytes) => {
    expect(thrown(() => codec.decode(bytes)).code).toBe('ERR_CORRUPT');
  });

  test('a way of packing that nobody knows is ERR_FORMAT, with its number', () => {
    const bytes = Buffer.from(whole);
    bytes[0] = 77;
    expect(thrown(() => codec.decode(bytes))).toMatchObject({ code: 'ERR_FORMAT', compression: 77 });
  });
});

test('options that can’t be are refused by name', async () => {
  const wrong: unknown[] = [
    null,
    7,
    'gzip',
    { algorithm: 'lz4' },
    { level: 10 },
    { maxBytes: 0 },
    { maxBytes: '2GiB' },
  ];
  for (const options of wrong) {
    expect(thrown(() => compressed(utf8, options as never)).code, JSON.stringify(options)).toBe(
      'ERR_INVALID_ARGUMENT',
    );
  }
  expect(thrown(() => compressed(utf8, { maxbytes: 1 } as never)).message).toContain('maxBytes');
  for (const inner of [undefined, null, {}, { encode: () => '' }]) {
    expect((await failure(async () => compressed(inner as never))).code).toBe('ERR_INVALID_ARGUMENT');
  }
  if (!HAS_ZSTD) expect(thrown(() => compressed(utf8, 'zstd')).message).toContain('22.15');
});

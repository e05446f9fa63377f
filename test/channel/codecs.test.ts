import { describe, expect, test } from 'vitest';
import {
  type Codec,
  type Decoder,
  type Encoder,
  json,
  jsonOf,
  Reader,
  Refusal,
  type Sequenced,
  sequenced,
  timestamped,
  utf8,
  Writer,
} from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

async function pair<In, Out>(codec: Codec<In, Out>, capacity = '64KiB') {
  const writer = await Writer.create<In>(newPath(), { mode: 'linear', capacity, codec });
  const reader = await Reader.open<Out>(writer.path, { codec });
  return { writer, reader, values: () => reader.readBatch(1000).map(({ value }) => value) };
}

const TEXTS = ['', 'plain', 'Größe', '√2 ≈ 1,414', '😀', '\0', 'line\nbreak', 'x'.repeat(5000)];

test('text goes through as it is', async () => {
  const { writer, reader, values } = await pair(utf8);
  for (const text of TEXTS) writer.write(text);
  writer.writeBatch(TEXTS);
  expect(values()).toEqual([...TEXTS, ...TEXTS]);
  writer.write(TEXTS[2]);
  expect(reader.read()).toMatchObject({ value: TEXTS[2], data: Buffer.from(TEXTS[2]) });
  writer.close();
  reader.close();
});

test('what is no codec is refused when it is given', async () => {
  const refused = async (codec: unknown) => {
    for (const open of [Writer.create, Reader.open] as ((
      path: string,
      options: object,
    ) => Promise<unknown>)[]) {
      expect(await failure(() => open(newPath(), { codec }))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
  };
  for (const codec of [null, 'utf8', {}, 7]) await refused(codec);
  for (const inner of [undefined, null, {}, { encode: () => '' }]) {
    for (const wrap of [sequenced, timestamped]) {
      expect(thrown(() => wrap(inner as unknown as Codec<string>)).code).toBe('ERR_INVALID_ARGUMENT');
    }
  }
  expect(thrown(() => sequenced(utf8, 'x' as never)).code).toBe('ERR_INVALID_ARGUMENT');
  const { writer } = await pair(sequenced(utf8));
  expect(thrown(() => writer.write(5 as never)).code).toBe('ERR_INVALID_ARGUMENT');
  writer.close();
});

test('a codec may use one buffer for all it encodes', async () => {
  const scratch = Buffer.alloc(4);
  const numbers: Codec<number> = {
    encode: (value) => {
      scratch.writeInt32LE(value);
      return scratch;
    },
    decode: (bytes) => bytes.readInt32LE(),
  };
  const { writer, values } = await pair(numbers);
  writer.write(1);
  writer.writeBatch([2, 3, 4]);
  writer.tryWrite(5);
  await writer.send(6);
  expect(values()).toEqual([1, 2, 3, 4, 5, 6]);
  writer.close();
  // Also within others, which make arrays of it.
  const outer = await pair(sequenced(numbers));
  outer.writer.writeBatch([7, 8, 9]);
  expect(outer.values().map(({ sequence, value }) => [sequence, value])).toEqual([
    [0, 7],
    [1, 8],
    [2, 9],
  ]);
  outer.writer.close();
});

test('a codec that makes no data is told that nothing of it went in', async () => {
  const halfBroken: Codec<string> = { ...utf8, encode: (text) => (text === 'bad' ? (5 as never) : text) };
  const { writer, values } = await pair(sequenced(halfBroken));
  writer.write('a');
  const uses = [
    () => writer.write('bad'),
    () => writer.writeBatch(['b', 'bad']),
    () => writer.tryWriteBatch(['bad']),
  ];
  for (const use of uses) expect(thrown(use).code).toBe('ERR_INVALID_ARGUMENT');
  expect((await failure(() => writer.send('bad'))).code).toBe('ERR_INVALID_ARGUMENT');
  writer.write('c');
  expect(values().map(({ sequence, value }) => `${sequence}${value}`)).toEqual(['0a', '1c']);
  writer.close();
});

test('JSON of anything goes through, by every way of writing', async () => {
  const things = [null, true, 0, -1.5, '', '√', [], [1, [2]], {}, { data: 'x' }, { a: { b: [null] } }];
  const { writer, values } = await pair(json);
  for (const thing of things) {
    writer.write(thing);
    expect(writer.tryWrite(thing)).toBeGreaterThan(0);
    await writer.send(thing);
  }
  writer.writeBatch(things);
  expect(values()).toEqual([...things.flatMap((thing) => [thing, thing, thing]), ...things]);
  for (const none of [undefined, () => {}, Symbol('x')]) {
    expect(thrown(() => writer.write(none)).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.writeBatch([1, none])).code).toBe('ERR_INVALID_ARGUMENT');
  }
  expect(() => writer.write(1n)).toThrow(TypeError);
  expect(values()).toEqual([]);
});

test('options go beside a value, and a codec that is resumed with goes on', async () => {
  interface Order {
    id: number;
    lines: string[];
  }
  const orders = jsonOf<Order>();
  using writer = await Writer.create<Order>(newPath(), {
    capacity: '64KiB',
    timestamps: true,
    codec: orders,
  });
  using reader = await Reader.open(writer.path, { from: 'oldest', codec: orders });
  writer.write({ id: 1, lines: ['a'] }, { type: 7, tag: 9, timestamp: { us: 5 } });
  await writer.send({ id: 2, lines: [] }, { type: 8, tag: 10 });
  expect(reader.read()).toMatchObject({ value: { id: 1, lines: ['a'] }, type: 7, tag: 9, timestamp: 5 });
  const second = reader.read();
  expect(second?.value.id).toBe(2);
  expect(second).toMatchObject({ type: 8, tag: 10 });
  expect(reader.read()).toBeUndefined();
});

test('a reader without a codec sees bytes; so does one who polls', async () => {
  const { writer } = await pair(json);
  using plain = await Reader.open(writer.path);
  using decoding = await Reader.open(writer.path, { codec: json });
  writer.write({ a: 1 });
  expect(plain.read()?.value).toEqual(Buffer.from('{"a":1}'));
  decoding.poll((bytes, start, end) => expect(bytes.toString('utf8', start, end)).toBe('{"a":1}'));
});

describe('a sequence', () => {
  test('numbers what is written, from where it is told to', async () => {
    const { writer, values } = await pair(sequenced(json, 100));
    writer.write('a');
    writer.writeBatch(['b', ['c']]);
    await writer.send({ d: 1 });
    expect(values()).toEqual([
      { sequence: 100, value: 'a' },
      { sequence: 101, value: 'b' },
      { sequence: 102, value: ['c'] },
      { sequence: 103, value: { d: 1 } },
    ]);
  });

  test('has no gap where a write was refused, or its value or options were wrong', async () => {
    const { writer, reader, values } = await pair(sequenced(json), '16KiB');
    const large = 'x'.repeat(4000);
    writer.write(0);
    expect(thrown(() => writer.write('x'.repeat(5000))).code).toBe('ERR_RECORD_TOO_LARGE');
    expect(writer.tryWrite('x'.repeat(5000))).toBe(Refusal.TOO_LARGE);
    expect(thrown(() => writer.write(() => {})).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.write('x', -1)).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.write('x', { type: 65536 })).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.write('x', { tag: 1 })).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.tryWrite('x', 1.5)).code).toBe('ERR_INVALID_ARGUMENT');
    expect((await failure(() => writer.send('x', { tag: 1 }))).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => writer.writeBatch([1, () => {}])).code).toBe('ERR_INVALID_ARGUMENT');
    writer.write('x'.repeat(300));
    expect(thrown(() => writer.writeBatch([large, large, large, large])).code).toBe('ERR_CHANNEL_FULL');
    while (writer.tryWrite(large) > 0);
    expect((await failure(() => writer.send(large))).code).toBe('ERR_CHANNEL_FULL');
    writer.write('last');
    const seen = values() as Sequenced<unknown>[];
    expect(seen.map(({ sequence }) => sequence)).toEqual(seen.map((_, i) => i));
    expect(seen.at(-1)?.value).toBe('last');
    reader.close();
  });
});

test('codecs compose: a time around a number around text', async () => {
  const before = Date.now() * 1000;
  const { writer, values } = await pair(timestamped(sequenced(utf8)));
  writer.writeBatch(['a', '√']);
  const [first, second] = values();
  expect([first.value, second.value]).toEqual([
    { sequence: 0, value: 'a' },
    { sequence: 1, value: '√' },
  ]);
  for (const { timestamp } of [first, second]) {
    expect(timestamp).toBeGreaterThanOrEqual(before);
    expect(timestamp).toBeLessThanOrEqual(Date.now() * 1000);
  }
});

test('a record that a codec cannot read is an error, and is not skipped in silence', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using numbered = await Reader.open(writer.path, { from: 'oldest', codec: sequenced(utf8) });
  using parsed = await Reader.open(writer.path, { from: 'oldest', codec: json });
  writer.write('short');
  const bad = writer.position;
  writer.write('{ not JSON');
  for (let twice = 0; twice < 2; twice++) {
    expect(thrown(() => numbered.read())).toMatchObject({ code: 'ERR_CORRUPT', size: 5 });
    expect(numbered.position).toBe(0);
  }
  expect(() => parsed.read()).toThrow(SyntaxError);
  numbered.seek(bad);
  expect(numbered.read()?.position).toBe(bad);
});

test('what a codec decodes is its own to keep', async () => {
  const bytes: Codec<Uint8Array, Buffer> = { encode: (data) => data, decode: (data) => data };
  using writer = await Writer.create<Uint8Array>(newPath(), { capacity: '64KiB', codec: bytes });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: true, codec: bytes });
  const kept: Buffer[] = [];
  for (let i = 0; i < 2000; i++) {
    writer.write(Buffer.alloc(100, i));
    kept.push(...reader.readBatch(10).map(({ value }) => value));
  }
  expect(kept.length).toBe(2000);
  expect(kept.every((value, i) => value.equals(Buffer.alloc(100, i)))).toBe(true);
  kept[0].fill(0);
});

test('a writer needs only what encodes, a reader only what decodes', async () => {
  const encoder: Encoder<number> = { encode: (value) => String(value) };
  const decoder: Decoder<number> = { decode: (bytes) => Number(bytes) };
  using writer = await Writer.create(newPath(), { capacity: '64KiB', codec: encoder });
  using reader = await Reader.open(writer.path, { from: 'oldest', codec: decoder });
  writer.writeBatch([1, 2]);
  const sum: number = reader.readBatch(10).reduce((sofar, { value }) => sofar + value, 0);
  expect(sum).toBe(3);
  expect([...reader.backwards()].map(({ value }) => value)).toEqual([2, 1]);
});

test('a codec may close its reader while that reads backwards', async () => {
  using writer = await Writer.create(newPath());
  for (const text of TEXTS) writer.write(text);
  let decoded = 0;
  const reader: Reader<Buffer> = await Reader.open(writer.path, {
    codec: {
      encode: (bytes: never) => bytes,
      decode(bytes: Buffer) {
        if (++decoded === 2) reader.close();
        return bytes;
      },
    },
  });
  const read: string[] = [];
  const readAll = () => {
    for (const { value } of reader.backwards()) read.push(`${value}`);
  };
  expect(thrown(readAll)).toMatchObject({ code: 'ERR_CLOSED_HANDLE', path: writer.path });
  expect(read).toEqual(TEXTS.slice(-2).reverse());
});

test.each([
  ['by an error of its own', jsonOf<string>(), '"', { name: 'SyntaxError' }],
  ['by the code of damage', sequenced(utf8), 'short', { code: 'ERR_CORRUPT', size: 5 }],
])(
  'reading backwards gives all that lies behind a record that a codec cannot read, refused %s',
  async (_, codec, bad, error) => {
    using writer = await Writer.create(newPath());
    const add = (text: string) => writer.write(codec.encode(text));
    for (const text of ['before', 'it']) add(text);
    const place = writer.write(bad);
    for (const text of ['behind', 'that']) add(text);
    using reader = await Reader.open<unknown>(writer.path, { codec });
    const records: number[] = [];
    const readAll = () => {
      for (const { record } of reader.backwards()) records.push(record);
    };
    expect(readAll).toThrow(expect.objectContaining(error));
    expect(records).toEqual([4, 3]);
    reader.seek(place);
    readAll();
    expect(records).toEqual([4, 3, 1, 0]);
  },
);

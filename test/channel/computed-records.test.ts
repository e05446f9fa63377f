import { describe, expect, test } from 'vitest';
import {
  type BatchRecord,
  type Claim,
  type Data,
  Reader,
  Refusal,
  utf8,
  verify,
  Writer,
} from '../../lib/index.js';
import { failure } from '../helpers/failure.js';
import { LIARS, lying } from '../helpers/lying.js';
import { resizable } from '../helpers/resizable.js';
import { newPath } from '../helpers/run-directory.js';

const FILLING = 4000;
const SHORT = 100;
const LONG = 16_000;

/** Gives the first answer to so many looks, and another to each that comes later. */
function changing<T>(looks: number, first: T, later: T): () => T {
  let asked = 0;
  return () => (asked++ < looks ? first : later);
}

/** An array whose first element is computed each time that it is looked at. */
function computed<T>(elements: T[], first: () => T): T[] {
  return new Proxy(elements, { get: (array, key) => (key === '0' ? first() : Reflect.get(array, key)) });
}

/**
 * Calls `write` where there is room for a short record, and behind that lie some that a reader has yet to read. Returns the
 * lengths of what it then reads of that; all others have to be as they were written.
 */
async function besideUnread(write: (writer: Writer) => number): Promise<number[]> {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
  const filling = Buffer.alloc(FILLING, 'A');
  const fill = () => {
    while (writer.tryWrite(filling) > 0);
  };
  fill();
  reader.readBatch(8);
  fill();
  reader.readBatch(1);
  const lengths: number[] = [];
  try {
    write(writer);
  } finally {
    let whole = 0;
    for (const { data } of reader.readBatch(1000)) {
      if (filling.equals(data)) whole++;
      else lengths.push(data.length);
    }
    expect(whole).toBeGreaterThan(10);
  }
  return lengths;
}

const long = () => Buffer.alloc(LONG, 'x');
const short = () => Buffer.alloc(SHORT, 'y');

test('what data is when it is asked for again does not matter', async () => {
  for (const [first, later, looks] of [1, 2, 3, 4].flatMap((looks) => [
    [short(), long(), looks] as const,
    [long(), short(), looks] as const,
  ])) {
    const data = changing(looks, first, later);
    const record = {
      get data() {
        return data();
      },
    };
    const lengths = await besideUnread((writer) => writer.tryWriteBatch([record]));
    expect([[], [SHORT]]).toContainEqual(lengths);
  }
});

test('nor does what its tag and time are then', async () => {
  for (const looks of [1, 2, 3, 4, 5, 6, 7]) {
    using writer = await Writer.create(newPath(), { timestamps: true });
    using reader = await Reader.open(writer.path);
    const make = () => {
      const tag = changing(looks, 7, -1);
      const timestamp = changing(looks, { us: 8 }, { us: -1 });
      return {
        get tag() {
          return tag();
        },
        get timestamp() {
          return timestamp();
        },
      };
    };
    const outcome = async (write: () => number) => {
      try {
        write();
        const { tag, timestamp } = reader.read() ?? {};
        return { tag, timestamp };
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const written = { tag: 7, timestamp: 8 };
    expect([written, 'ERR_INVALID_ARGUMENT']).toContainEqual(await outcome(() => writer.write('x', make())));
    const record = () => Object.defineProperty(make(), 'data', { value: 'x', enumerable: true });
    const batch = () => writer.writeBatch([record() as unknown as BatchRecord]);
    expect([written, 'ERR_INVALID_ARGUMENT']).toContainEqual(await outcome(batch));
  }
});

test.each(['ring', 'linear'] as const)(
  'in a %s nothing is written of a batch of which an element closes the writer',
  async (mode) => {
    for (const looks of [1, 2, 3, 4, 5, 6]) {
      const writer = await Writer.create(newPath(), { mode });
      writer.write('first');
      let asked = 0;
      const batch = new Proxy([short(), short(), short()], {
        get: (array, key) => {
          if (/^[0-2]$/.test(String(key)) && ++asked === looks) writer.close();
          return Reflect.get(array, key);
        },
      });
      expect(await failure(() => writer.writeBatch(batch))).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
      expect((await verify(writer.path)).sound).toBe(true);
      using reader = await Reader.open(writer.path, { from: 'oldest' });
      expect(reader.readBatch(9).map(({ data }) => data.toString())).toEqual(['first']);
    }
  },
);

test('an element of a batch that writes a record of its own is refused, and that record is whole', async () => {
  for (const at of [0, 1, 2]) {
    using writer = await Writer.create(newPath());
    using reader = await Reader.open(writer.path);
    // From then on there is room that it need not ask for.
    writer.write('first');
    let looks = 0;
    const batch = new Proxy([short(), short(), short()], {
      get: (array, key) => {
        // The first three looks only see what they are.
        if (/^[0-2]$/.test(String(key)) && ++looks === 4 + at) writer.write('its own');
        return Reflect.get(array, key);
      },
    });
    expect(await failure(() => writer.writeBatch(batch))).toMatchObject({
      code: 'ERR_BUSY',
      path: writer.path,
    });
    writer.write('the next');
    expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(['first', 'its own', 'the next']);
  }
});

test.each([false, true])(
  'what is there of a batch is what did not throw (timestamps: %s)',
  async (timestamps) => {
    const LOOKS = 20;
    const outcomes = new Set<boolean>();
    for (let at = 1; at <= LOOKS; at++) {
      using writer = await Writer.create(newPath(), { timestamps });
      using reader = await Reader.open(writer.path);
      let looks = 0;
      const batch = new Proxy([short(), short()], {
        get: (array, key) => {
          if (/^[0-1]$/.test(String(key)) && ++looks === at) throw new RangeError('odd');
          return Reflect.get(array, key);
        },
      });
      let written = true;
      try {
        writer.writeBatch(batch);
      } catch {
        written = false;
      }
      outcomes.add(written);
      expect(reader.readBatch(10)).toHaveLength(written ? 2 : 0);
    }
    expect(outcomes).toEqual(new Set([false, true]));
  },
);

test('an element of a batch that opens a claim has that batch refused, and what was filled in by then stays', async () => {
  for (const at of [0, 1, 2]) {
    using writer = await Writer.create(newPath());
    using reader = await Reader.open(writer.path);
    writer.write('first');
    const claims: Claim[] = [];
    const open = () => {
      const claim = writer.claim(500) as Claim;
      claim.bytes.fill('c', claim.start, claim.end);
      claims.push(claim);
    };
    let looks = 0;
    const batch = new Proxy([short(), short(), short()], {
      get: (array, key) => {
        // The first three looks only see what they are.
        if (/^[0-2]$/.test(String(key)) && ++looks === 4 + at) open();
        return Reflect.get(array, key);
      },
    });
    expect(await failure(() => writer.writeBatch(batch))).toMatchObject({
      code: 'ERR_BUSY',
      path: writer.path,
    });
    claims[0].commit();
    writer.write('the next');
    const read = reader.readBatch(10).map(({ data }) => data.toString());
    expect(read).toEqual(['first', 'c'.repeat(500), 'the next']);
  }
});

const endings: Record<string, (writer: Writer) => unknown> = {
  closes: (writer) => writer.close(),
  seals: (writer) => writer.seal(),
  'disposes of': (writer) => writer[Symbol.asyncDispose](),
};

test.each(Object.keys(endings))(
  'an element of a batch that %s its writer has it refused, and the end is whole',
  async (how) => {
    for (const at of [0, 1, 2]) {
      const writer = await Writer.create(newPath(), { mode: 'linear', sync: 'commit', capacity: '64KiB' });
      using reader = await Reader.open(writer.path);
      writer.write('first');
      let ended: unknown;
      let looks = 0;
      const batch = new Proxy([short(), short(), short()], {
        get: (array, key) => {
          // The first three looks only see what they are.
          if (/^[0-2]$/.test(String(key)) && ++looks === 4 + at) ended = endings[how](writer);
          return Reflect.get(array, key);
        },
      });
      expect(writer.tryWriteBatch(batch)).toBe(Refusal.ENDED);
      expect(await failure(() => writer.writeBatch(batch))).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
      await ended;
      expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(['first']);
      expect(reader.ended).toBe(true);
      expect(await verify(writer.path)).toMatchObject({ sound: true, records: 1 });
    }
  },
);

test('nor do the elements of an array', async () => {
  for (const looks of [1, 2, 3, 4]) {
    const first = () => changing<Buffer>(looks, short(), long());
    const parts = (): Data => computed([short(), Buffer.from('z')], first());
    for (const write of [
      (writer: Writer) => writer.tryWriteBatch(computed([short(), Buffer.from('z')], first())),
      (writer: Writer) => writer.tryWriteBatch(computed<Data>([short(), 'z'], first())),
      (writer: Writer) => writer.tryWrite(parts()),
      (writer: Writer) => writer.tryWriteBatch([parts()]),
      (writer: Writer) => writer.tryWriteBatch([{ data: parts() }]),
    ]) {
      expect([[], [SHORT, 1], [SHORT + 1]]).toContainEqual(await besideUnread(write));
    }
  }
});

test.each([
  ['longer', LONG],
  ['shorter', 3],
])('a record of a batch that another one makes %s is refused', async (_, length) => {
  const batches = (): BatchRecord[][] =>
    [(data: Uint8Array): Data => data, (data: Uint8Array): Data => ['a', data, 'b']].map((as) => {
      const { data, resize } = resizable(SHORT, LONG);
      const other = {
        get data() {
          resize(length);
          return 'z';
        },
      };
      return [{ data: as(data) }, other];
    });
  for (const batch of batches()) {
    let path = '';
    const error = await failure(() =>
      besideUnread((writer) => {
        path = writer.path;
        return writer.tryWriteBatch(batch);
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    expect(error.message).toContain('longer or shorter');
  }
  for (const batch of batches()) {
    using writer = await Writer.create(newPath(), { mode: 'linear', capacity: 16384 });
    using reader = await Reader.open(writer.path);
    await failure(() => writer.writeBatch(batch));
    writer.write('next');
    expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(['next']);
  }
});

const WAYS: Record<string, (writer: Writer, data: Uint8Array) => number> = {
  'by write': (writer, data) => writer.write(data),
  'by tryWrite': (writer, data) => writer.tryWrite(data),
  'as a part': (writer, data) => writer.write(['a', data]),
  'with a type': (writer, data) => writer.write(data, { type: 3 }),
  'in a batch': (writer, data) => writer.writeBatch([short(), data]),
  'first in a batch': (writer, data) => writer.writeBatch([data, short()]),
  'described in a batch': (writer, data) => writer.writeBatch([{ data, type: 3 }]),
  'as a part in a batch': (writer, data) => writer.writeBatch([[data]]),
};

describe.each(Object.keys(LIARS))('an array of bytes that %s', (kind) => {
  test.each(Object.keys(WAYS))('is refused %s', async (way) => {
    let path = '';
    const error = await failure(() =>
      besideUnread((writer) => {
        path = writer.path;
        return WAYS[way](writer, LIARS[kind]());
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    expect(await verify(path)).toMatchObject({ sound: true });
  });

  test('is refused by send, and from a codec', async () => {
    const encoder = { encode: () => LIARS[kind]() };
    using writer = await Writer.create(newPath());
    using encoding = await Writer.create(newPath(), { codec: { ...utf8, ...encoder } });
    for (const write of [
      () => writer.send(LIARS[kind]()),
      () => encoding.write('x'),
      () => encoding.writeBatch(['x']),
    ]) {
      expect(await failure(write)).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    expect([writer.position, encoding.position]).toEqual([0, 0]);
  });
});

test.each(Object.keys(WAYS))(
  'what writes a record as its length is asked for %s comes behind that, or is refused',
  async (way) => {
    for (const looks of [1, 2, 3, 4]) {
      using writer = await Writer.create(newPath());
      using reader = await Reader.open(writer.path);
      writer.write('first');
      let asked = 0;
      const data = lying(7, () => {
        if (++asked === looks) writer.write('its own');
        return 7;
      });
      let written = true;
      try {
        WAYS[way](writer, data);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_BUSY', path: writer.path });
        written = false;
      }
      writer.write('the next');
      const read = reader.readBatch(10).map((record) => record.data.toString());
      const isOfIt = (text: string) => /^[axy]+$/.test(text);
      const its = asked < looks ? [] : ['its own'];
      expect(read.filter((text) => !isOfIt(text))).toEqual(['first', ...its, 'the next']);
      expect(read.some(isOfIt)).toBe(written);
    }
  },
);

test('a batch whose elements turn out to be others than bytes when they are asked for again is refused', async () => {
  const texts = { data: 'x'.repeat(LONG), length: 4, type: 0, tag: 0, timeUs: undefined };
  const negative = { ...texts, data: '', length: -100 };
  for (const later of [texts, negative, [short()], 'text', 7, null, undefined]) {
    const element = changing<unknown>(1, short(), later);
    let path = '';
    const error = await failure(() =>
      besideUnread((writer) => {
        path = writer.path;
        return writer.writeBatch(computed([short(), short()], element as () => Buffer));
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    expect(await verify(path)).toMatchObject({ sound: true });
  }
});

test.each([0.5, 1.5, '1', -1, Number.NaN])(
  'a batch whose length is %o when it is asked for again is whole, or refused',
  async (length) => {
    for (const looks of [0, 1, 2, 3, 4]) {
      using writer = await Writer.create(newPath());
      using reader = await Reader.open(writer.path);
      const says = changing<unknown>(looks, 2, length);
      const batch = new Proxy([short(), short()], {
        get: (array, key) => (key === 'length' ? says() : Reflect.get(array, key)),
      });
      try {
        writer.writeBatch(batch);
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path: writer.path });
      }
      writer.write('the next');
      const read = reader.readBatch(10);
      expect(read.at(-1)?.data.toString()).toBe('the next');
      expect(writer.stats().records).toBe(read.length);
      writer.close();
      expect(await verify(writer.path)).toMatchObject({ sound: true, records: read.length });
    }
  },
);

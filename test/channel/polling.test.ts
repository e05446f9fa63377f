import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

async function tenRecords(
  mode: 'ring' | 'linear' = 'linear',
  options: Parameters<typeof Reader.open>[1] = {},
) {
  const writer = await Writer.create(newPath(), { mode, capacity: '64KiB', timestamps: true });
  const reader = await Reader.open(writer.path, { from: 'oldest', ...options });
  for (let i = 0; i < 10; i++)
    writer.write(`record ${i}`, { type: i, tag: 100 + i, timestamp: { us: 1000 + i } });
  return { writer, reader };
}

test('a handler is lent bytes, where its record is, and what it carries', async () => {
  const { writer, reader } = await tenRecords();
  const seen: unknown[] = [];
  const count = reader.poll((bytes, start, end, type) => {
    seen.push([
      bytes.toString('utf8', start, end),
      type,
      reader.recordPosition,
      reader.recordNumber,
      reader.recordTimestamp,
      reader.recordTag,
    ]);
  });
  expect(count).toBe(10);
  expect(seen).toEqual(
    Array.from({ length: 10 }, (_, i) => [`record ${i}`, i, i * 48, i, 1000 + i, 100 + i]),
  );
  expect(reader.recordPosition).toBe(writer.position);
  reader.close();
  writer.close();
});

test('as many as it is told, and no more than there are', async () => {
  const { writer, reader } = await tenRecords();
  for (const [limit, count] of [
    [0, 0],
    [3, 3],
    [{ limit: 2 }, 2],
    [{ limit: 0 }, 0],
    [{}, 5],
    [undefined, 0],
  ] as const) {
    expect(reader.poll(() => {}, limit)).toBe(count);
  }
  writer.write('one');
  expect(reader.poll(() => {}, Number.POSITIVE_INFINITY)).toBe(1);
  expect(reader.stats().records).toBe(11);
});

describe('what is lent', () => {
  test('is the mapping where nobody can overwrite it, and a copy where that was asked for', async () => {
    for (const options of [{ mode: 'linear' }, { mode: 'ring', gate: true }] as const) {
      const { mode, ...rest } = options;
      const { writer, reader } = await tenRecords(mode, rest);
      const places = new Set<ArrayBufferLike>();
      reader.poll((bytes) => places.add(bytes.buffer), 1);
      const [mapping] = places;
      expect(mapping.byteLength).toBeGreaterThan(65536);
      reader.poll(
        (bytes, start, end) => {
          expect(bytes.buffer).not.toBe(mapping);
          expect(bytes.toString('utf8', start, end)).toBe(`record ${reader.recordNumber}`);
          bytes.fill(0, start, end);
        },
        { limit: 5, copy: true },
      );
      // For that call only.
      reader.poll((bytes, start, end) => {
        expect(bytes.buffer).toBe(mapping);
        expect(bytes.toString('utf8', start, end)).toBe(`record ${reader.recordNumber}`);
      });
      // What was done to the copies was done to copies.
      reader.seek('oldest');
      expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(
        Array.from({ length: 10 }, (_, i) => `record ${i}`),
      );
      reader.poll((bytes) => expect(bytes.buffer).toBe(mapping), { copy: false });
      reader.close();
      writer.close();
    }
  });

  test('is a copy for whoever can be overtaken or evicted', async () => {
    for (const gate of [undefined, false, { evictAfterMs: 1000 }] as const) {
      const { writer, reader } = await tenRecords('ring', { gate });
      let lent: Buffer | undefined;
      reader.poll((bytes, start, end) => {
        bytes.fill(0, start, end);
        lent = bytes;
      });
      reader.close();
      // A scratch buffer, no view of the channel.
      expect(lent?.length).toBeGreaterThan(0);
      using other = await Reader.open(writer.path, { from: 'oldest' });
      expect(other.read()?.data.toString()).toBe('record 0');
      writer.close();
    }
  });

  test('what is read is kept, whatever the writer does next', async () => {
    const { writer, reader } = await tenRecords('ring', { gate: true });
    const kept = reader.readBatch(10);
    for (let i = 0; i < 3000; i++) {
      writer.write('overwritten '.repeat(8));
      reader.poll(() => {});
    }
    reader.close();
    writer.close();
    expect(kept.map(({ data }) => data.toString())).toEqual(
      Array.from({ length: 10 }, (_, i) => `record ${i}`),
    );
  });
});

test.each([{ gate: true }, { gate: false }, {}])(
  'a writer that never stops does not hold a poll by %o for ever',
  async (options) => {
    const { writer, reader } = await tenRecords('ring', options);
    let written = 10;
    const answer = () => {
      writer.write(Buffer.alloc(1000));
      written++;
    };
    const count = reader.poll(answer);
    // More than was there when it began, but not more than a ring can hold.
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(65536 / 1000 + 20);
    expect(reader.lag).toBeGreaterThanOrEqual(0);
    expect(reader.poll(() => {})).toBe(written - count);
    reader.close();
    writer.close();
  },
);

test('of the filling at the end of a lap a reader that is lent copies copies nothing', async () => {
  using writer = await Writer.create(newPath(), { capacity: '8MiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest' });
  const lent = new Set<number>();
  const handle = (bytes: Buffer) => lent.add(bytes.length);
  const item = Buffer.alloc(65536);
  // A batch lies in one piece: the second one finds less than its 2 MiB left of the lap, and fills that.
  const batch = Array.from({ length: 31 }, () => item);
  for (let i = 0; i < 9; i++) {
    expect(writer.tryWriteBatch(batch)).toBeGreaterThan(0);
    expect(reader.poll(handle)).toBe(batch.length);
  }
  expect(writer.position).toBeGreaterThan(9 * 31 * 65552);
  expect(Math.max(...lent)).toBeLessThan(1 << 20);
});

test('what a poll consumed is counted, also where it was overtaken in the middle', async () => {
  const { writer, reader } = await tenRecords('ring', { gate: false, onLost: 'skip' });
  let handled = 0;
  for (let round = 0; round < 50; round++) {
    reader.poll(() => {
      handled++;
      if (handled % 7 === 0) for (let i = 0; i < 10; i++) writer.write(Buffer.alloc(4000));
    });
  }
  expect(reader.lost).toBeGreaterThan(0);
  expect(reader.stats().records).toBe(handled);
  reader.close();
  writer.close();
});

describe('a handler', () => {
  test('that asks whether the stream ended hears no, and changes nothing', async () => {
    const { writer, reader } = await tenRecords('ring', { gate: true });
    const count = reader.poll(() => {
      expect(reader.ended).toBe(false);
      writer.write(Buffer.alloc(1000));
    });
    expect(count).toBeLessThan(100);
    writer.close();
    reader.poll(() => expect(reader.ended).toBe(false));
    expect(reader.ended).toBe(true);
    reader.close();
  });

  test('that throws has not consumed its record, but those before it', async () => {
    const { reader } = await tenRecords();
    const problem = new RangeError('not this one');
    const work = () =>
      reader.poll((_bytes, _start, _end, type) => {
        if (type === 4) throw problem;
      });
    expect(work).toThrow(problem);
    expect([reader.position, reader.recordNumber]).toEqual([4 * 48, 4]);
    expect(work).toThrow(problem);
    expect(reader.stats().records).toBe(4);
    expect(reader.read()?.data.toString()).toBe('record 4');
    expect(reader.poll(() => {})).toBe(5);
    expect(reader.stats().records).toBe(10);
  });

  test('may not use its reader, but may close it', async () => {
    const { writer, reader } = await tenRecords('ring', { gate: true });
    const codes: string[] = [];
    let handed = 0;
    const count = reader.poll((bytes, start, end) => {
      handed++;
      for (const use of [
        () => reader.poll(() => {}),
        () => reader.poll(() => {}, { limit: 1 }),
        () => reader.read(),
        () => reader.readBatch(2),
        () => reader.seek('oldest'),
      ]) {
        codes.push(thrown(use).code);
      }
      if (handed === 2) {
        reader.close();
        expect(bytes.toString('utf8', start, end)).toBe('record 1');
      }
    });
    expect([count, handed, new Set(codes)]).toEqual([2, 2, new Set(['ERR_BUSY'])]);
    expect(writer.readers()).toEqual([]);
    expect((await failure(() => reader.read())).code).toBe('ERR_CLOSED_HANDLE');
  });

  test('may write to the channel it reads, and what it wrote comes after', async () => {
    const { writer, reader } = await tenRecords('ring', { gate: true });
    let echoes = 0;
    const count = reader.poll((bytes, start, end, type) => {
      if (type >= 10) return;
      writer.write(`echo of ${bytes.toString('utf8', start, end)}`, 100 + type);
      echoes++;
    }, 15);
    expect([count, echoes]).toEqual([15, 10]);
    expect(reader.read()?.data.toString()).toBe('echo of record 5');
  });

  test('of another reader may use this one', async () => {
    const { writer, reader } = await tenRecords('ring', { gate: true });
    using other = await Reader.open(writer.path, { from: 'oldest' });
    reader.poll((bytes, start, end) => {
      expect(other.read()?.data.toString()).toBe(bytes.toString('utf8', start, end));
    });
    expect(other.read()).toBeUndefined();
  });
});

test('a channel without timestamps has records without', async () => {
  using writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using reader = await Reader.open(writer.path, { from: 'oldest' });
  writer.write('x');
  writer.write('y');
  reader.poll(() => expect([reader.recordTimestamp, reader.recordTag]).toEqual([0, 0]), 1);
  const record = reader.read();
  expect(record && Object.keys(record).sort()).toEqual(['data', 'position', 'record', 'type', 'value']);
});

test('a claim is filled in place, shrunk, and timed when it is committed', async () => {
  for (const mode of ['ring', 'linear'] as const) {
    using writer = await Writer.create(newPath(), { mode, capacity: '64KiB', timestamps: true });
    using reader = await Reader.open(writer.path, { from: 'oldest', gate: true });
    for (let i = 0; i < 400; i++) {
      const length = (i * 37) % 500;
      const claim = writer.claim(length, i);
      if (claim === undefined) throw new Error('No room');
      expect(claim.end - claim.start).toBe(length);
      claim.bytes.fill(i, claim.start, claim.end);
      const used = i % 3 === 0 ? length : length >> 1;
      const before = writer.position;
      const taken = i % 3 === 0 ? claim.commit() : claim.commit(used);
      expect(taken).toBe((used + 32 + 15) & -16);
      expect(writer.position).toBe(before + taken);
      const record = reader.read();
      expect([record?.data.length, record?.type, record?.tag]).toEqual([used, i, 0]);
      expect(record?.data.every((byte) => byte === (i & 0xff))).toBe(true);
      expect(Math.abs((record?.timestamp as number) - Date.now() * 1000)).toBeLessThan(5e6);
      if (mode === 'linear' && writer.remaining < 1000) break;
    }
    // The same object each time: nothing is allocated for it.
    const first = writer.claim(1);
    first?.abort();
    const second = writer.claim(2);
    expect(second).toBe(first);
    second?.abort();
  }
});

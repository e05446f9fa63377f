import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

async function channelOf(records: number, gate: boolean | undefined) {
  const path = newPath();
  const writer = await Writer.create(path, { capacity: '64KiB' });
  const reader = await Reader.open(path, { from: 'oldest', gate });
  for (let i = 0; i < records; i++) writer.write(String(i));
  return { path, writer, reader };
}

const seen = (reader: Reader, limit?: number) => {
  const records: string[] = [];
  reader.poll((bytes, start, end) => records.push(bytes.toString('utf8', start, end)), limit);
  return records;
};

describe.each([
  ['lent the mapping', true],
  ['lent copies', undefined],
] as const)('a handler %s', (_, gate) => {
  test('may close its reader: it is the last one called', async () => {
    const { writer, reader } = await channelOf(10, gate);
    const records: string[] = [];
    const count = reader.poll((bytes, start, end) => {
      records.push(bytes.toString('utf8', start, end));
      if (records.length === 3) {
        reader.close();
        expect(bytes.length).toBeGreaterThan(end - 1);
        expect(reader.recordNumber).toBe(2);
      }
    });
    expect(count).toBe(3);
    expect(records).toEqual(['0', '1', '2']);
    expect(thrown(() => reader.poll(() => {})).code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.readers()).toEqual([]);
    writer.close();
  });

  test('may close its reader and throw', async () => {
    const { writer, reader } = await channelOf(3, gate);
    expect(() =>
      reader.poll(() => {
        reader.close();
        throw new Error('mine');
      }),
    ).toThrow('mine');
    expect(thrown(() => reader.read()).code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.readers()).toEqual([]);
    writer.close();
  });

  test('that throws has not consumed its record; those before it are consumed', async () => {
    const { writer, reader } = await channelOf(10, gate);
    let calls = 0;
    const failing = () => {
      if (++calls === 4) throw new Error('mine');
    };
    expect(() => reader.poll(failing)).toThrow('mine');
    expect(reader.recordNumber).toBe(3);
    expect(seen(reader)).toEqual(['3', '4', '5', '6', '7', '8', '9']);
    expect(seen(reader)).toEqual([]);
    writer.write('10');
    calls = 3;
    expect(() => reader.poll(failing)).toThrow('mine');
    expect(seen(reader, 1)).toEqual(['10']);
    reader.close();
    writer.close();
  });

  test('that uses its own reader is told that it is busy, and goes on', async () => {
    const { writer, reader } = await channelOf(3, gate);
    const codes: string[] = [];
    const count = reader.poll(() => {
      const uses = [
        () => reader.poll(() => {}),
        () => reader.poll(() => {}, { copy: true }),
        () => reader.read(),
        () => reader.readBatch(2),
        () => reader.seek('oldest'),
      ];
      for (const use of uses) codes.push(thrown(use).code);
    });
    expect(count).toBe(3);
    expect(new Set(codes)).toEqual(new Set(['ERR_BUSY']));
    expect(reader.read()).toBeUndefined();
    reader.close();
    writer.close();
  });

  test('may close and reopen the writer, and another reader', async () => {
    const { path, writer, reader } = await channelOf(3, gate);
    const other = await Reader.open(path, { from: 'oldest' });
    reader.poll(() => {
      writer.close();
      other.close();
    });
    expect(reader.ended).toBe(true);
    expect(reader.status).toBe('closed');
    reader.close();
  });
});

test('the mapping that was lent to a handler is empty after its reader closed', async () => {
  const { writer, reader } = await channelOf(1, true);
  let lent: Buffer = Buffer.alloc(0);
  reader.poll((bytes) => {
    lent = bytes;
  });
  expect(lent.length).toBeGreaterThan(0);
  reader.close();
  expect(lent.length).toBe(0);
  writer.close();
});

test('a claim that is kept is empty after its writer closed, and can be neither committed nor aborted', async () => {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  const claim = writer.claim(100);
  const lent = claim?.bytes;
  expect(lent?.length).toBeGreaterThan(100);
  writer.close();
  expect(lent?.length).toBe(0);
  thrown(() => claim?.commit());
  thrown(() => claim?.abort());
});

test('iteration ends, without an error, when its reader is closed in the middle', async () => {
  const { writer, reader } = await channelOf(10, true);
  const records: string[] = [];
  for await (const { data } of reader) {
    records.push(data.toString());
    if (records.length === 4) reader.close();
  }
  expect(records).toEqual(['0', '1', '2', '3']);
  writer.close();
});

test('iteration that waits ends when its reader is closed by someone else', async () => {
  const { writer, reader } = await channelOf(0, true);
  const ended = (async () => {
    for await (const _ of reader);
  })();
  await new Promise((resolve) => setImmediate(resolve));
  reader.close();
  await ended;
  writer.close();
});

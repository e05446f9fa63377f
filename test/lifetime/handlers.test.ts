import { MessageChannel } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { Reader } from '../../lib/index.js';
import { thrown } from '../helpers/failure.js';
import { isLentMapping, openedAs, SETUPS } from './fixtures/setups.js';

const seenBy = (reader: Reader, limit?: number) => {
  const records: string[] = [];
  reader.poll((bytes, start, end) => records.push(bytes.toString('utf8', start, end)), limit);
  return records;
};

describe.each(SETUPS)('a handler of a $mode channel whose reader was opened with $kind', (setup) => {
  test('may close its reader: it is the last one called, and keeps what it was lent until it returns', async () => {
    const { writer, reader } = await openedAs(setup, 10);
    const records: string[] = [];
    let lent: Buffer | undefined;
    const count = reader.poll((bytes, start, end) => {
      if (records.length === 2) {
        lent = bytes;
        reader.close();
        reader.close();
        expect(reader.recordNumber).toBe(2);
      }
      records.push(bytes.toString('utf8', start, end));
    });
    expect(count).toBe(3);
    expect(records).toEqual(['0', '1', '2']);
    expect(thrown(() => reader.poll(() => {})).code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.readers()).toEqual([]);
    // A copy is the reader's own memory; the mapping itself is gone.
    if (isLentMapping(setup)) expect(lent?.length).toBe(0);
    else expect(lent?.length).toBeGreaterThan(0);
    writer.close();
  });

  test('may close its reader and throw', async () => {
    const { writer, reader } = await openedAs(setup, 3);
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
    const { writer, reader } = await openedAs(setup, 10);
    let calls = 0;
    const failing = () => {
      if (++calls === 4) throw new Error('mine');
    };
    expect(() => reader.poll(failing)).toThrow('mine');
    expect(reader.recordNumber).toBe(3);
    expect(seenBy(reader)).toEqual(['3', '4', '5', '6', '7', '8', '9']);
    expect(seenBy(reader)).toEqual([]);
    writer.write('10');
    calls = 3;
    expect(() => reader.poll(failing)).toThrow('mine');
    expect(seenBy(reader, 1)).toEqual(['10']);
    reader.close();
    writer.close();
  });

  test('that uses its own reader is told that it is busy, and goes on', async () => {
    const { writer, reader } = await openedAs(setup, 3);
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
    expect(codes).toEqual(Array(15).fill('ERR_BUSY'));
    expect(reader.read()).toBeUndefined();
    reader.close();
    writer.close();
  });

  test.each([undefined, { copy: true }])('can send away nothing of what it is lent (%o)', async (options) => {
    const { writer, reader } = await openedAs(setup, 3);
    writer.heartbeat(); // so that they are read as one
    const { port1, port2 } = new MessageChannel();
    const records: string[] = [];
    const count = reader.poll((bytes, start, end) => {
      try {
        port1.postMessage(bytes.subarray(start, end), [bytes.buffer as ArrayBuffer]);
      } catch (error) {
        // Before Node.js 21 a copy is sent instead.
        expect((error as Error).name).toBe('DataCloneError');
      }
      records.push(bytes.toString('utf8', start, end));
    }, options);
    expect(count).toBe(3);
    expect(records).toEqual(['0', '1', '2']);
    port1.close();
    port2.close();
    reader.close();
    writer.close();
  });

  test('may close the writer, and another reader', async () => {
    const { writer, reader } = await openedAs(setup, 3);
    const other = await Reader.open(writer.path, { from: 'oldest' });
    const count = reader.poll(() => {
      writer.close();
      other.close();
    });
    expect(count).toBe(3);
    expect(thrown(() => other.read()).code).toBe('ERR_CLOSED_HANDLE');
    expect(reader.ended).toBe(true);
    expect(reader.status).toBe('closed');
    reader.close();
  });
});

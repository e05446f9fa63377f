import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { MODES, openedAs, SETUPS } from './fixtures/setups.js';

/** Plain iteration, in the form of batches. */
async function* recordsOf(reader: Reader) {
  for await (const record of reader) yield [record];
}

describe.each(SETUPS)('a reader of a $mode channel opened with $kind', (setup) => {
  test('that is closed says so to every use, and twice is as once', async () => {
    const { writer, reader } = await openedAs(setup, 1);
    reader.close();
    reader.close();
    reader[Symbol.dispose]();
    await reader[Symbol.asyncDispose]();
    const uses: (() => unknown)[] = [
      () => reader.poll(() => {}),
      () => reader.read(),
      () => reader.readBatch(1),
      () => reader.seek('latest'),
      () => reader.backwards(),
      () => reader.ended,
      () => reader.lag,
      () => reader.status,
      () => reader.stats(),
    ];
    for (const use of uses) expect(thrown(use).code).toBe('ERR_CLOSED_HANDLE');
    expect((await failure(() => reader[Symbol.asyncIterator]().next())).code).toBe('ERR_CLOSED_HANDLE');
    expect((await failure(() => reader.batches().next())).code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.readers()).toEqual([]);
    writer.close();
  });

  test('is not closed by a break: it goes on where the iteration was left', async () => {
    const { writer, reader } = await openedAs(setup, 5);
    for await (const record of reader) {
      if (record.data.toString() === '1') break;
    }
    expect(reader.read()?.data.toString()).toBe('2');
    for await (const batch of reader.batches({ max: 1 })) {
      expect(batch.map(({ data }) => data.toString())).toEqual(['3']);
      break;
    }
    expect(reader.read()?.data.toString()).toBe('4');
    reader.close();
    writer.close();
  });

  describe.each([
    ['iteration', recordsOf],
    ['batches', (reader: Reader) => reader.batches({ max: 2 })],
  ] as const)('ends its %s when it is closed', (_, read) => {
    test('from within', async () => {
      const { writer, reader } = await openedAs(setup, 5);
      const seen: string[] = [];
      for await (const batch of read(reader)) {
        seen.push(...batch.map(({ data }) => data.toString()));
        if (seen.length === 2) reader.close();
      }
      expect(seen).toEqual(['0', '1']);
      expect(writer.readers()).toEqual([]);
      writer.close();
    });

    test('while it waits', async () => {
      const { writer, reader } = await openedAs(setup, 0);
      const ended = (async () => {
        for await (const _ of read(reader)) throw new Error('There is nothing to read');
      })();
      await turn();
      reader.close();
      await ended;
      expect(writer.readers()).toEqual([]);
      writer.close();
    });
  });

  test('tells who waits no more than that, where it is closed within a handler that has them look', async () => {
    const { writer, reader } = await openedAs(setup, 0);
    const ready = reader.ready();
    const iteration = reader[Symbol.asyncIterator]();
    const next = iteration.next();
    await turn();
    writer.writeBatch(['0', '1']);
    writer.close();
    expect(
      reader.poll(() => {
        reader.close();
        void iteration.return?.();
      }),
    ).toBe(1);
    expect(await ready).toBe(false);
    expect(await next).toEqual({ done: true, value: undefined });
  });

  test('keeps the records that were copied out of it before it closed', async () => {
    const { writer, reader } = await openedAs(setup, 2);
    const batch = reader.readBatch(2);
    reader.close();
    writer.close();
    expect(batch.map(({ data }) => data.toString())).toEqual(['0', '1']);
  });
});

describe.each(MODES)('a writer of a %s channel', (mode) => {
  test('that is closed with a claim open aborts it, and takes its bytes back', async () => {
    const writer = await Writer.create(newPath(), { mode, capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { from: 'oldest' });
    writer.write('kept');
    const { position } = writer;
    const claim = writer.claim(100);
    if (claim === undefined) throw new Error('There was no room');
    const { bytes } = claim;
    bytes.fill(0x61, claim.start, claim.end);
    writer.close();
    expect(bytes.length).toBe(0);
    expect(claim.bytes.length).toBe(0);
    expect(thrown(() => claim.commit()).code).toBe('ERR_CLOSED_HANDLE');
    expect(thrown(() => claim.abort()).code).toBe('ERR_CLOSED_HANDLE');
    expect(writer.position).toBe(position);
    expect(reader.readBatch(10).map(({ data }) => data.toString())).toEqual(['kept']);
    expect(reader.ended).toBe(true);
    expect(reader.status).toBe('closed');
  });

  test.each(['close', 'seal', 'dispose', 'asyncDispose'] as const)(
    'that ended by %s stays so',
    async (how) => {
      const writer = await Writer.create(newPath(), { mode, capacity: '64KiB' });
      writer.write('x');
      if (how === 'close') writer.close();
      else if (how === 'seal') writer.seal();
      else if (how === 'dispose') writer[Symbol.dispose]();
      else await writer[Symbol.asyncDispose]();
      const { state, position } = writer;
      expect(state).toBe(how === 'seal' ? 'sealed' : 'closed');
      writer.close();
      writer[Symbol.dispose]();
      await writer[Symbol.asyncDispose]();
      expect(writer).toMatchObject({ state, position, remaining: 0 });
      const uses: (() => unknown)[] = [
        () => writer.write('y'),
        () => writer.write('y', 1),
        () => writer.writeBatch(['y']),
        () => writer.claim(1),
        () => writer.heartbeat(),
        () => writer.readers(),
        () => writer.stats(),
        () => writer.seal(),
      ];
      for (const use of uses) expect(thrown(use).code).toBe('ERR_CLOSED_HANDLE');
      expect((await failure(() => writer.send('y'))).code).toBe('ERR_CLOSED_HANDLE');
      expect((await failure(() => writer.ready())).code).toBe('ERR_CLOSED_HANDLE');
      expect(writer.tryWrite('y')).toBeLessThan(0);
      using reader = await Reader.open(writer.path, { from: 'oldest' });
      expect(reader.readBatch(10)).toHaveLength(1);
      expect(reader.status).toBe(state);
    },
  );
});

test('`using` closes in the opposite order, whatever is thrown', async () => {
  const path = newPath();
  await expect(async () => {
    using writer = await Writer.create(path, { capacity: '64KiB' });
    await using reader = await Reader.open(path);
    writer.write('x');
    expect(reader.read()?.data.toString()).toBe('x');
    throw new Error('mine');
  }).rejects.toThrow('mine');
  using reader = await Reader.open(path);
  expect(reader.status).toBe('closed');
});

test('a send that waits when its writer is closed fails', async () => {
  const writer = await Writer.create(newPath(), { capacity: '64KiB' });
  using _reader = await Reader.open(writer.path, { gate: true });
  while (writer.tryWrite(Buffer.alloc(4000)) > 0);
  const sent = failure(() => writer.send(Buffer.alloc(4000)));
  const ready = failure(() => writer.ready({ bytes: 4000 }));
  await delay(5);
  writer.close();
  expect((await sent).code).toBe('ERR_CLOSED_HANDLE');
  expect((await ready).code).toBe('ERR_CLOSED_HANDLE');
});

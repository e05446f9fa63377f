import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';

const MODES = ['ring', 'linear'] as const;
/** Lends the mapping itself, lends guarded copies, may be overtaken, and isn't registered at all. */
const KINDS = [
  { gate: true },
  {},
  { gate: false },
  { gate: false, register: false },
  { gate: { evictAfterMs: 500 } },
] as const;
const SETUPS = MODES.flatMap((mode) => KINDS.map((kind) => ({ mode, kind })));

describe.each(SETUPS)('a reader of a $mode channel opened with $kind', ({ mode, kind }) => {
  async function open(records: number) {
    const writer = await Writer.create(newPath(), { mode, capacity: '64KiB' });
    const reader = await Reader.open(writer.path, { ...kind, from: 'oldest' });
    for (let n = 0; n < records; n++) writer.write(String(n));
    return { writer, reader };
  }

  test('that is closed by its handler closes when the handler has returned', async () => {
    const { writer, reader } = await open(5);
    const seen: string[] = [];
    let lent: Buffer | undefined;
    const count = reader.poll((bytes, start, end) => {
      if (seen.length === 2) {
        lent = bytes;
        reader.close();
        reader.close();
        expect(bytes.length).toBeGreaterThan(0);
      }
      seen.push(bytes.toString('latin1', start, end));
    });
    expect(count).toBe(3);
    expect(seen).toEqual(['0', '1', '2']);
    expect(writer.readers()).toEqual([]);
    expect(thrown(() => reader.poll(() => {})).code).toBe('ERR_CLOSED_HANDLE');
    expect(thrown(() => reader.read()).code).toBe('ERR_CLOSED_HANDLE');
    expect(thrown(() => reader.seek('oldest')).code).toBe('ERR_CLOSED_HANDLE');
    // A copy is the reader's own memory; the mapping itself is gone.
    const lendsMapping = mode === 'linear' || ('gate' in kind && kind.gate === true);
    if (lendsMapping) expect(lent?.length).toBe(0);
    reader.close();
    writer.close();
  });

  test('that is closed says so to every use, and twice is as once', async () => {
    const { writer, reader } = await open(1);
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

  test('goes on where an iteration was left by break', async () => {
    const { writer, reader } = await open(5);
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

  test('ends its batches when it is closed: from within, and while they wait', async () => {
    const { writer, reader } = await open(5);
    const seen: string[] = [];
    for await (const batch of reader.batches({ max: 2 })) {
      seen.push(...batch.map(({ data }) => data.toString()));
      reader.close();
    }
    expect(seen).toEqual(['0', '1']);

    const waiting = await Reader.open(writer.path, { ...kind, from: 'latest' });
    const ended = (async () => {
      for await (const _ of waiting.batches()) throw new Error('There is nothing to read');
    })();
    await delay(5);
    waiting.close();
    await ended;
    expect(writer.readers()).toEqual([]);
    writer.close();
  });

  test('keeps the records that were copied out of it before it closed', async () => {
    const { writer, reader } = await open(2);
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
    expect(thrown(() => claim.commit()).code).toBe('ERR_INVALID_ARGUMENT');
    expect(thrown(() => claim.abort()).code).toBe('ERR_INVALID_ARGUMENT');
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

describe('an abort signal', () => {
  const listeners = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

  test('has no listeners left when what it could have ended is over', async () => {
    const { signal } = new AbortController();
    const path = newPath();
    const missing = await failure(() => Reader.open(path, { wait: true, timeoutMs: 5, signal }));
    expect(missing.code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);

    const later = Reader.open(path, { wait: true, gate: true, signal });
    await delay(5);
    using writer = await Writer.create(path, { capacity: '64KiB' });
    using reader = await later;
    expect(listeners(signal)).toBe(0);

    while (writer.tryWrite(Buffer.alloc(4000)) > 0);
    const late = await failure(() => writer.send(Buffer.alloc(4000), { timeoutMs: 5, signal }));
    expect(late.code).toBe('ERR_TIMEOUT');
    const unready = await failure(() => writer.ready({ bytes: 4000, timeoutMs: 5, signal }));
    expect(unready.code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);

    const sent = writer.send(Buffer.alloc(4000), { signal });
    const ready = writer.ready({ bytes: 4000, signal });
    await delay(5);
    reader.poll(() => {});
    await sent;
    await ready;
    expect(listeners(signal)).toBe(0);

    for await (const _ of reader.batches({ signal })) break;
    expect((await failure(() => reader.batches({ timeoutMs: 5, signal }).next())).code).toBe('ERR_TIMEOUT');
    expect(listeners(signal)).toBe(0);
  });

  test('has none left after it ended what waited', async () => {
    using writer = await Writer.create(newPath(), { capacity: '64KiB' });
    using reader = await Reader.open(writer.path, { gate: true });
    const nowhere = newPath();
    while (writer.tryWrite(Buffer.alloc(4000)) > 0);
    using idle = await Reader.open(writer.path, { from: 'latest' });
    const waits: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => Reader.open(nowhere, { wait: true, signal }),
      (signal) => writer.send(Buffer.alloc(4000), { signal }),
      (signal) => writer.ready({ bytes: 4000, signal }),
      (signal) => idle.batches({ signal }).next(),
    ];
    for (const wait of waits) {
      const controller = new AbortController();
      const failed = failure(() => wait(controller.signal));
      await delay(5);
      controller.abort();
      expect((await failed).code).toBe('ERR_ABORTED');
      expect(listeners(controller.signal)).toBe(0);
      // One that was aborted before.
      expect((await failure(() => wait(controller.signal))).code).toBe('ERR_ABORTED');
      expect(listeners(controller.signal)).toBe(0);
    }
    expect(reader.poll(() => {})).toBeGreaterThan(0);
    expect(writer.readers()).toHaveLength(2);
  });
});

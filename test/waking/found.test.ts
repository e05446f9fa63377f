import { describe, expect, test } from 'vitest';
import { type IdleStrategy, Reader } from '../../lib/index.js';
import { thrown } from '../helpers/failure.js';
import { Caught } from '../helpers/uncaught.js';
import { asleep, empty, full, LARGE } from './fixtures/asleep.js';

const MINE = new Error('mine');

/** Sleeps, and does this when something was found, but only once. */
class Acting implements IdleStrategy {
  action = () => {};

  idle() {
    return 'park' as const;
  }

  found() {
    const { action } = this;
    this.action = () => {};
    action();
  }
}

/** A reader that sleeps, and does what is said when something was found. */
async function reading() {
  const idle = new Acting();
  return { idle, ...(await empty({ idle })) };
}

/** A writer that sleeps until there is room, and does what is said when its record is in. */
async function writing() {
  const idle = new Acting();
  return { idle, ...(await full(idle)) };
}

/** Where a record is that is to be the last one. */
function positionOf(record: number, reader: Reader): number | undefined {
  const last = reader.readBatch(100).at(-1);
  expect(last?.record).toBe(record);
  return last?.position;
}

function throwMine() {
  throw MINE;
}

describe('a strategy that throws when something was found hides nothing', () => {
  test('of what is iterated over, and the iteration goes on', async () => {
    using caught = new Caught();
    using channel = await reading();
    const { idle, reader, writer } = channel;
    idle.action = throwMine;
    const iterator = reader[Symbol.asyncIterator]();
    const next = iterator.next();
    await asleep(reader);
    writer.writeBatch(['one', 'two']);
    expect((await next).value?.data.toString()).toBe('one');
    expect((await iterator.next()).value?.data.toString()).toBe('two');
    expect(await caught.first()).toBe(MINE);
  });

  test('of batches', async () => {
    using caught = new Caught();
    using channel = await reading();
    const { idle, reader, writer } = channel;
    idle.action = throwMine;
    const next = reader.batches().next();
    await asleep(reader);
    writer.write('one');
    expect((await next).value?.map(({ data }) => `${data}`)).toEqual(['one']);
    expect(await caught.first()).toBe(MINE);
  });

  test('from a thread that blocks', async () => {
    using caught = new Caught();
    using channel = await empty({
      idle: {
        idle() {
          channel.writer.write('one');
          return 'look';
        },
        found: throwMine,
      },
    });
    const { reader } = channel;
    expect(reader.waitSync({ timeoutMs: 10_000 })).toBe(true);
    expect(`${reader.read()?.data}`).toBe('one');
    expect(await caught.first()).toBe(MINE);
  });

  test('of what was sent', async () => {
    using caught = new Caught();
    using channel = await writing();
    const { idle, reader, writer } = channel;
    const { records } = writer.stats();
    idle.action = throwMine;
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    reader.readBatch(2);
    expect(await sent).toBe(positionOf(records, reader));
    expect(await caught.first()).toBe(MINE);
  });
});

describe('a strategy that closes who waited when something was found', () => {
  test('has ready() say that there is something', async () => {
    using channel = await reading();
    const { idle, reader, writer } = channel;
    idle.action = () => reader.close();
    const ready = reader.ready();
    await asleep(reader);
    writer.write('one');
    expect(await ready).toBe(true);
    expect(thrown(() => reader.read()).code).toBe('ERR_CLOSED_HANDLE');
  });

  test('takes no record from whoever comes next', async () => {
    using channel = await reading();
    const { idle, reader, writer } = channel;
    // Where it stands when it is closed, another one goes on.
    let stoodAt = -1;
    idle.action = () => {
      stoodAt = reader.position;
      reader.close();
    };
    const iterator = reader[Symbol.asyncIterator]();
    const next = iterator.next();
    await asleep(reader);
    writer.writeBatch(['one', 'two']);
    expect(await next).toEqual({ done: true, value: undefined });
    using other = await Reader.open(writer.path, { from: stoodAt });
    expect(other.readBatch(9).map(({ data }) => `${data}`)).toEqual(['one', 'two']);
  });

  test('has send() say where the record is that went in', async () => {
    using channel = await writing();
    const { idle, reader, writer } = channel;
    const { records } = writer.stats();
    idle.action = () => writer.close();
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    reader.readBatch(2);
    expect(await sent).toBe(positionOf(records, reader));
  });
});

describe('a strategy that aborts the wait when something was found', () => {
  test('has ready() and batches say that there is something', async () => {
    for (const how of ['ready', 'batches'] as const) {
      using channel = await reading();
      const { idle, reader, writer } = channel;
      const aborting = new AbortController();
      const { signal } = aborting;
      idle.action = () => aborting.abort();
      const found = how === 'ready' ? reader.ready({ signal }) : reader.batches({ signal }).next();
      await asleep(reader);
      writer.write('one');
      if (how === 'ready') expect(await found).toBe(true);
      else expect(await found).toMatchObject({ value: [{ record: 0 }] });
    }
  });

  test('has send() say where the record is that went in', async () => {
    using channel = await writing();
    const { idle, reader, writer } = channel;
    const aborting = new AbortController();
    const { records } = writer.stats();
    idle.action = () => aborting.abort();
    const sent = writer.send(Buffer.alloc(LARGE), { signal: aborting.signal });
    await asleep(writer);
    reader.readBatch(2);
    expect(await sent).toBe(positionOf(records, reader));
  });
});

describe('a codec', () => {
  test('that closes the reader while it decodes a record that was waited for still gives it', async () => {
    using channel = await empty({
      codec: {
        encode: (bytes: Buffer) => bytes,
        decode(bytes: Buffer) {
          channel.reader.close();
          return bytes;
        },
      },
    });
    const { reader, writer } = channel;
    const seen = (async () => {
      const values: string[] = [];
      for await (const { value } of reader) values.push(value.toString());
      return values;
    })();
    await asleep(reader);
    writer.write('last');
    expect(await seen).toEqual(['last']);
  });

  test('that aborts a send() while it encodes what goes in has it resolve with where that is', async () => {
    const aborting = new AbortController();
    let aborts = false;
    const codec = {
      encode(value: string) {
        if (aborts) aborting.abort();
        return value;
      },
      decode: () => undefined,
    };
    using channel = await empty({ gate: true }, { codec, idle: 'park' });
    const { reader, writer } = channel;
    const large = 'x'.repeat(LARGE);
    while (writer.tryWrite(large as never) > 0);
    const { records } = writer.stats();
    const sent = writer.send(large as never, { signal: aborting.signal });
    await asleep(writer);
    aborts = true;
    reader.readBatch(2);
    expect(await sent).toBe(positionOf(records, reader));
  });
});

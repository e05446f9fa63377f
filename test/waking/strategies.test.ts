import { afterEach, describe, expect, test } from 'vitest';
import { type Idle, type IdleStrategy, type Idling, Reader, Writer } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure, thrown } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { Caught } from '../helpers/uncaught.js';
import { asleep, empty, full, LARGE } from './fixtures/asleep.js';
import { blockedOn, until } from './fixtures/kernel.js';

const WAITER = new URL('fixtures/waiter.js', import.meta.url).href;
const SENDER = new URL('fixtures/sender.js', import.meta.url).href;
const STRATEGIES: { idle: Idle; parks: boolean }[] = [
  { idle: 'adaptive', parks: true },
  { idle: 'park', parks: true },
  { idle: 'yield', parks: false },
  { idle: 'spin', parks: false },
];
const WOKEN = { parked: 1, woken: 1, late: 0 };
const NEVER_SLEPT = { parked: 0, woken: 0, late: 0 };

afterEach(endAll);

/** Looks a hundred times in all its ways, and then sleeps; writes down what it is told. */
class Own implements IdleStrategy {
  readonly calls: [what: 'idle' | 'found', looks: number, waitedMs: number][] = [];
  readonly #says: ReturnType<IdleStrategy['idle']>[];

  constructor(...says: ReturnType<IdleStrategy['idle']>[]) {
    this.#says = says;
  }

  idle(looks: number, waitedMs: number) {
    this.calls.push(['idle', looks, waitedMs]);
    return this.#says[Math.min(looks, this.#says.length) - 1];
  }

  found(looks: number, waitedMs: number) {
    this.calls.push(['found', looks, waitedMs]);
  }

  get looks() {
    return this.calls.map(([what, looks]) => `${what} ${looks}`);
  }

  isInOrder() {
    const times = this.calls.map(([, , waitedMs]) => waitedMs);
    return times.every((time, i) => time >= (times[i - 1] ?? 0));
  }
}

describe.each(STRATEGIES)('$idle', ({ idle, parks }) => {
  /** What there is to see of a wait that goes on: it sleeps, or the event loop has turned a few times meanwhile. */
  const waiting = async (who: Reader | Writer) => {
    if (parks) await asleep(who);
    else for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  };
  const waits = parks ? WOKEN : NEVER_SLEPT;

  test('in one process, a reader gets what is written', async () => {
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    const ready = reader.ready();
    await waiting(reader);
    writer.write('x');
    expect(await ready).toBe(true);
    expect(reader.read()?.data.toString()).toBe('x');
    expect(reader.stats().waits).toEqual(waits);
  });

  test.each(['send', 'ready'] as const)('in one process, a writer gets its room by %s()', async (how) => {
    using channel = await full(idle);
    const { writer, reader } = channel;
    const { records } = writer.stats();
    const room = how === 'send' ? writer.send(Buffer.alloc(LARGE)) : writer.ready({ bytes: LARGE });
    await waiting(writer);
    reader.readBatch(2);
    await room;
    expect(writer.stats().records).toBe(records + (how === 'send' ? 1 : 0));
    expect(writer.stats().waits.parked).toBe(waits.parked);
    expect(writer.stats().waits.woken).toBe(waits.woken);
  });

  test('in another process, a reader gets what is written, however it waits', async () => {
    const path = newPath();
    using writer = await Writer.create(path, { capacity: '64KiB' });
    const child = new Child(WAITER, { path, reader: { idle } });
    await child.expect('open');
    let woken = 0;
    for (const how of ['ready', 'next', 'batch', 'waitSync']) {
      const blocks = how === 'waitSync';
      child.send({ how, parks: parks && !blocks });
      if (parks && blocks) await until(() => blockedOn(path, child.pid) > 0);
      if (parks && !blocks) await child.expect('parked');
      writer.write(how);
      const { data, waits: counts } = await child.expect('woken');
      expect(data).toEqual([how]);
      if (parks) expect(counts).toMatchObject({ woken: ++woken, late: 0 });
      else expect(counts).toEqual(NEVER_SLEPT);
    }
    child.send({ close: true });
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  test('in another process, a writer gets its room', async () => {
    const path = newPath();
    const child = new Child(SENDER, { path, create: {}, writer: { idle } });
    await child.expect('open');
    using reader = await Reader.open(path, { gate: true });
    child.send({ fill: LARGE });
    await child.expect('done');
    child.send({ send: [LARGE], parks });
    if (parks) await child.expect('parked');
    reader.readBatch(2);
    const { waits: counts } = await child.expect('sent');
    expect([counts.parked > 0, counts.woken]).toEqual([parks, waits.woken]);
  });
});

describe('a strategy of its own', () => {
  test('is asked after each look that found nothing, and told of the one that did', async () => {
    const own = new Own('look', 'look', 'yield', 2, 0, 'park');
    using channel = await empty({ idle: own });
    const { writer, reader } = channel;
    const ready = reader.ready();
    await asleep(reader);
    writer.write('x');
    expect(await ready).toBe(true);
    expect(own.looks).toEqual(['idle 1', 'idle 2', 'idle 3', 'idle 4', 'idle 5', 'idle 6', 'found 6']);
    expect(own.isInOrder()).toBe(true);
    // From 'idle 4' to 'idle 5' it slept as it said; timers may be a little early.
    expect(own.calls[4][2] - own.calls[3][2]).toBeGreaterThan(0.9);
    // What is there is not waited for.
    await reader.ready();
    expect(own.calls).toHaveLength(7);
    reader.read();
    // Each wait counts anew.
    const next = reader.ready();
    await asleep(reader, 2);
    writer.write('y');
    await next;
    expect(own.looks.slice(7)).toEqual(own.looks.slice(0, 7));
  });

  test('is asked by a blocked thread, too', async () => {
    let write = () => {};
    const own = new Own('look', 'yield', 3, 'park', 'look');
    const idle: IdleStrategy = {
      idle(looks, waitedMs) {
        if (looks === 5) write();
        return own.idle(looks, waitedMs);
      },
      found: (looks, waitedMs) => own.found(looks, waitedMs),
    };
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    write = () => writer.write('x');
    expect(reader.waitSync({ timeoutMs: 10_000 })).toBe(true);
    expect(own.looks).toEqual(['idle 1', 'idle 2', 'idle 3', 'idle 4', 'idle 5', 'found 5']);
    expect(own.isInOrder()).toBe(true);
    // It slept until the bound, and nothing had come: that is not late.
    expect(reader.stats().waits).toEqual({ parked: 1, woken: 0, late: 0 });
  });

  test.each<Idling>(['look', 'yield', 1, 'park'])(
    'may close the reader and say %o: then nothing comes',
    async (said) => {
      for (const wait of [
        (reader: Reader) => reader.waitSync({ timeoutMs: 10_000 }),
        (reader: Reader) => reader.ready({ timeoutMs: 10_000 }),
      ]) {
        let close = () => {};
        const idle: IdleStrategy = {
          idle() {
            close();
            return said;
          },
        };
        using channel = await empty({ idle });
        close = () => channel.reader.close();
        expect(await wait(channel.reader)).toBe(false);
      }
    },
  );

  test('is asked where a writer waits for room', async () => {
    const own = new Own('look', 'yield', 1, 'park');
    using channel = await full(own);
    const { writer, reader } = channel;
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    reader.readBatch(2);
    await sent;
    expect(own.looks).toEqual(['idle 1', 'idle 2', 'idle 3', 'idle 4', 'found 4']);
  });

  test('needs no found, and may be woken by another process', async () => {
    const path = newPath();
    const child = new Child(SENDER, { path, create: {} });
    await child.expect('open');
    const asked: number[] = [];
    using reader = await Reader.open(path, {
      idle: {
        idle(looks) {
          asked.push(looks);
          return looks < 10 ? 'yield' : 'park';
        },
      },
    });
    const ready = reader.ready();
    await asleep(reader);
    child.send({ write: ['x'] });
    expect(await ready).toBe(true);
    expect(asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(reader.stats().waits).toEqual(WOKEN);
  });

  test.each([undefined, null, 'sleep', 'spin', '5', -1, Number.NaN, true, {}])(
    'may not say %o: that ends the wait',
    async (said) => {
      const idle = { idle: () => said as 'park' };
      using reading = await empty({ idle });
      using writing = await full(idle);
      const waits = [
        () => reading.reader.ready(),
        async () => reading.reader.waitSync(),
        () => reading.reader[Symbol.asyncIterator]().next(),
        () => reading.reader.batches().next(),
        () => writing.writer.ready({ bytes: LARGE }),
        () => writing.writer.send(Buffer.alloc(LARGE)),
      ];
      for (const wait of waits) {
        const error = await failure(wait);
        expect(error.code).toBe('ERR_INVALID_ARGUMENT');
        expect(error.message).toContain('idle strategy');
      }
      // What was to be sent did not go in, and is in nobody's way.
      const { records } = writing.writer.stats();
      writing.reader.readBatch(3);
      await writing.writer.send(Buffer.alloc(LARGE));
      expect(writing.writer.stats().records).toBe(records + 1);
    },
  );

  test.each([1, 3])('that throws at look %i ends the wait with that error', async (at) => {
    const mine = new Error('mine');
    const idle: IdleStrategy = {
      idle(looks) {
        if (looks === at) throw mine;
        return 'yield';
      },
    };
    using reading = await empty({ idle });
    using writing = await full(idle);
    await expect(reading.reader.ready()).rejects.toBe(mine);
    expect(() => reading.reader.waitSync()).toThrow(mine);
    await expect(reading.reader[Symbol.asyncIterator]().next()).rejects.toBe(mine);
    await expect(writing.writer.ready({ bytes: LARGE })).rejects.toBe(mine);
    await expect(writing.writer.send(Buffer.alloc(LARGE))).rejects.toBe(mine);
  });

  test('that throws when something was found is an uncaught exception, and hides nothing', async () => {
    using caught = new Caught();
    const mine = new Error('mine');
    const idle: IdleStrategy = {
      idle: () => 'park',
      found() {
        throw mine;
      },
    };
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    const ready = reader.ready();
    await asleep(reader);
    writer.write('x');
    expect(await ready).toBe(true);
    expect(await caught.first()).toBe(mine);
    expect(reader.read()?.data.toString()).toBe('x');
  });
});

test.each(['sleepy', '', 5, true, null, {}, { idle: 5 }, { idle: () => 'park', found: 5 }, [], () => 'park'])(
  'idle: %o is no way to wait',
  async (given) => {
    const idle = given as Idle;
    const path = newPath();
    for (const open of [() => Reader.open(path, { idle }), () => Writer.create(path, { idle })]) {
      expect((await failure(open)).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect((await failure(() => Writer.resume(path, { idle }))).code).toBe('ERR_INVALID_ARGUMENT');
  },
);

test('waitSync() takes no signal, since nothing could abort it', async () => {
  using channel = await empty();
  const error = thrown(() => channel.reader.waitSync({ signal: new AbortController().signal } as object));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', option: 'signal' });
});

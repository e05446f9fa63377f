import { describe, expect, test } from 'vitest';
import type { IdleStrategy, Writer } from '../../lib/index.js';
import { failure } from '../helpers/failure.js';
import { asleep, empty, full, LARGE } from './fixtures/asleep.js';
import { spin } from './fixtures/spin.js';

/** Longer than a round of those who look after sleepers: then the clock is looked at before the bell. */
const TOO_LONG_US = 150_000;

/** Holds up the thread until the second round is due since the sleeper lay down, which is the one that looks; `act` comes before it. */
async function holdUpUntilLookedAfter(act: () => void): Promise<void> {
  spin(TOO_LONG_US);
  // Timers have their turn, and then comes what is before them in the next one.
  await new Promise((passed) => setTimeout(passed));
  await new Promise(setImmediate);
  act();
  spin(TOO_LONG_US);
}

describe('a sleep that somebody ended is counted as woken', () => {
  test('by a reader that was held up for longer than its bound', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const ready = reader.ready();
    await asleep(reader);
    await holdUpUntilLookedAfter(() => writer.write('x'));
    expect(await ready).toBe(true);
    expect(reader.stats().waits).toEqual({ parked: 1, woken: 1, late: 0 });
  });

  test('by a writer that was held up for longer than its bound', async () => {
    using channel = await full();
    const { writer, reader } = channel;
    const sent = writer.send(Buffer.alloc(LARGE));
    await asleep(writer);
    await holdUpUntilLookedAfter(() => reader.readBatch(2));
    await sent;
    expect(writer.stats().waits).toEqual({ parked: 1, woken: 1, late: 0 });
  });
});

describe('a sleep that ended with nothing there is not late', () => {
  test('in a blocked thread that looks in any case, again and again', async () => {
    using channel = await empty();
    const { reader } = channel;
    expect(await failure(() => reader.waitSync({ timeoutMs: 250 }))).toMatchObject({ code: 'ERR_TIMEOUT' });
    const { parked, woken, late } = reader.stats().waits;
    expect(parked).toBeGreaterThanOrEqual(2);
    expect([woken, late]).toEqual([0, 0]);
  });

  test('in an event loop, where all of that is one sleep', async () => {
    using channel = await empty();
    const { reader } = channel;
    expect((await failure(() => reader.ready({ timeoutMs: 250 }))).code).toBe('ERR_TIMEOUT');
    expect(reader.stats().waits).toEqual({ parked: 1, woken: 0, late: 0 });
  });
});

describe('what a strategy is told', () => {
  /** Says to wait for so long, and writes at the second look. */
  function telling(ms: number) {
    const told: { looks: number; waitedMs: number; at: number }[] = [];
    const begun = performance.now();
    let write = () => {};
    const idle: IdleStrategy = {
      idle(looks) {
        if (looks === 2) write();
        return ms;
      },
      found(looks, waitedMs) {
        told.push({ looks, waitedMs, at: performance.now() - begun });
      },
    };
    return {
      idle,
      told,
      writeBy(writer: Writer) {
        write = () => writer.write('x');
      },
    };
  }

  test.each(['ready', 'waitSync'] as const)('by %s() covers all of the wait', async (how) => {
    const { idle, told, writeBy } = telling(20);
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    writeBy(writer);
    const before = performance.now();
    await reader[how]();
    const waited = performance.now() - before;
    expect(told).toHaveLength(1);
    expect(told[0].looks).toBe(2);
    // Two times 20 ms: the last of them, too. Timers may be a little early.
    expect(told[0].waitedMs).toBeGreaterThan(38);
    expect(told[0].waitedMs).toBeLessThanOrEqual(waited);
  });

  test.each(['ready', 'waitSync'] as const)('by %s() is nothing where it did not wait', async (how) => {
    const { idle, told } = telling(20);
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    writer.write('x');
    expect(await reader[how]()).toBe(true);
    expect(told).toEqual([]);
  });
});

test('one signal may end any number of waits, without a warning', async () => {
  const warnings: Error[] = [];
  const warn = (warning: Error) => warnings.push(warning);
  process.on('warning', warn);
  using reading = await empty();
  using writing = await full();
  const aborting = new AbortController();
  const { signal } = aborting;
  const waits = Array.from({ length: 20 }, () => [
    failure(() => reading.reader.ready({ signal })),
    failure(() => reading.reader.batches({ signal }).next()),
    failure(() => writing.writer.ready({ bytes: LARGE, signal })),
    failure(() => writing.writer.send(Buffer.alloc(LARGE), { signal })),
  ]).flat();
  await Promise.all([asleep(reading.reader, 40), asleep(writing.writer, 21)]);
  aborting.abort();
  for (const error of await Promise.all(waits)) expect(error.code).toBe('ERR_ABORTED');
  // Warnings are told in a turn of their own.
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', warn);
  expect(warnings).toEqual([]);
});

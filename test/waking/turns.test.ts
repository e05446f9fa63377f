import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { inTurns } from '../../lib/channel/runtime/slices.js';
import { isTurnOver } from '../../lib/channel/runtime/turns.js';
import { type IdleStrategy, Reader } from '../../lib/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, empty } from './fixtures/asleep.js';

const STEADY = new URL('fixtures/steady-writer.js', import.meta.url).href;
const RECORDS = 2000;
/** So much time passes between two records: 200 ms between the first and the last one. */
const GAP_US = 100;

afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
});

/** Counts the turns of the event loop until it is disposed of. */
class Turns {
  count = 0;
  #next: NodeJS.Immediate;

  constructor() {
    const turn = () => {
      this.count++;
      this.#next = setImmediate(turn);
    };
    this.#next = setImmediate(turn);
  }

  [Symbol.dispose]() {
    clearImmediate(this.#next);
  }
}

const WAYS: [how: string, read: (reader: Reader, see: () => void) => Promise<void>][] = [
  [
    'iteration',
    async (reader, see) => {
      for await (const _ of reader) see();
    },
  ],
  [
    'ready and poll',
    async (reader, see) => {
      while (await reader.ready()) reader.poll(see);
    },
  ],
  [
    'ready and read',
    async (reader, see) => {
      while (await reader.ready()) if (reader.read() !== undefined) see();
    },
  ],
];

describe('the event loop has its turns, however steadily records come,', () => {
  test.each(WAYS)('in %s of a reader that spins, from another process', async (_, read) => {
    const path = newPath();
    const child = new Child(STEADY, { path, gapUs: GAP_US, records: RECORDS });
    await child.expect('open');
    using reader = await Reader.open(path, { from: 'oldest', gate: true, idle: 'spin' });
    child.send({ begin: true });
    let seen = 0;
    let before = 0;
    using turns = new Turns();
    await read(reader, () => {
      // Before there is anything it has turns in any case.
      if (++seen === 1) before = turns.count;
    });
    expect(seen).toBe(RECORDS);
    // It should be about 40. Whoever has to share the machine has fewer, but longer ones.
    expect(turns.count - before).toBeGreaterThanOrEqual(10);
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });

  /** Goes on only from record to record, and never back from one test to the next. */
  let clock = 0;

  test.each(WAYS)('in %s, where each record comes after the first look', async (_, read) => {
    clock = Math.max(clock, performance.now());
    vi.spyOn(performance, 'now').mockImplementation(() => clock);
    let written = 0;
    let write = () => {};
    const idle: IdleStrategy = {
      idle() {
        write();
        return 'look';
      },
    };
    using channel = await empty({ idle });
    const { writer, reader } = channel;
    write = () => {
      clock += GAP_US / 1000;
      if (written++ < RECORDS) writer.write('x');
      else reader.close();
    };
    let seen = 0;
    using turns = new Turns();
    await read(reader, () => seen++);
    expect(seen).toBe(RECORDS);
    // One each 5 ms, as far as that can be seen between two records.
    expect(turns.count).toBeGreaterThanOrEqual(30);
  });
});

test('a codec decodes in the asynchronous context of whoever asked for the record', async () => {
  const requests = new AsyncLocalStorage<string>();
  const codec = {
    encode: (bytes: Buffer) => bytes,
    decode: () => Buffer.from(requests.getStore() ?? 'nobody'),
  };
  using one = await empty({ codec });
  using other = await empty({ codec });
  const iterate = (reader: Reader, request: string) =>
    requests.run(request, async () => {
      const seen: string[] = [];
      for await (const { value } of reader) seen.push(value.toString());
      return seen;
    });
  const seen = [iterate(one.reader, 'one'), iterate(other.reader, 'other')];
  for (let times = 1; times <= 3; times++) {
    await Promise.all([asleep(one.reader, times), asleep(other.reader, times)]);
    one.writer.write('x');
    other.writer.write('x');
  }
  await Promise.all([asleep(one.reader, 4), asleep(other.reader, 4)]);
  one.writer.close();
  other.writer.close();
  expect(await Promise.all(seen)).toEqual([
    ['one', 'one', 'one'],
    ['other', 'other', 'other'],
  ]);
});

test('a turn that work in slices gives is one for all who look whether theirs is over', async () => {
  let now = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  function* work() {
    now += 1000;
    const before = isTurnOver();
    yield;
    return [before, isTurnOver()];
  }
  expect(await inTurns(work())).toEqual([true, false]);
});

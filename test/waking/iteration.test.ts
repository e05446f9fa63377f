import { afterEach, describe, expect, test } from 'vitest';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep, empty, LARGE } from './fixtures/asleep.js';
import { spin } from './fixtures/spin.js';

const RETURNS = new URL('fixtures/returns-child.js', import.meta.url).href;
const DONE = { done: true, value: undefined };

afterEach(endAll);

describe('an iteration that is given up while it waits', () => {
  test('ends, and what comes then is for others', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const iterator = reader[Symbol.asyncIterator]();
    const waits = [iterator.next(), iterator.next()];
    await asleep(reader);
    expect(await iterator.return?.()).toEqual(DONE);
    writer.write('one');
    expect(await Promise.all(waits)).toEqual([DONE, DONE]);
    expect(await iterator.next()).toEqual(DONE);
    expect(reader.read()?.data.toString()).toBe('one');
  });

  test('disturbs no other wait on the reader', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const [given, kept] = [reader[Symbol.asyncIterator](), reader[Symbol.asyncIterator]()];
    const ended = given.next();
    const waits = [kept.next(), reader.ready()] as const;
    await asleep(reader, 3);
    await given.return?.();
    expect(await ended).toEqual(DONE);
    writer.write('one');
    expect((await waits[0]).value?.data.toString()).toBe('one');
    expect(await waits[1]).toBe(true);
  });

  test.each(['park', 'adaptive', 'yield', 'spin'])('keeps no process alive (%s)', async (idle) => {
    const child = new Child(RETURNS, { path: newPath(), idle });
    expect(await child.expect('returned')).toMatchObject({ returned: { done: true } });
    expect(await child.exit).toEqual({ code: 0, signal: null });
  });
});

test('behind an error an iteration of a channel goes on, where reading does', async () => {
  using channel = await empty({ gate: false });
  const { writer, reader } = channel;
  for (let i = 0; i < 20; i++) writer.write(Buffer.alloc(LARGE, i));
  const iterator = reader[Symbol.asyncIterator]();
  expect(await failure(() => iterator.next())).toMatchObject({ code: 'ERR_OVERTAKEN', from: 0 });
  const { value } = await iterator.next();
  expect(value?.record).toBeGreaterThan(0);
  expect(value?.data).toEqual(Buffer.alloc(LARGE, value?.record));
});

describe('a hundred calls of next() at once resolve in the order of the calls', () => {
  const CALLS = 100;
  const IN_ORDER = Array.from({ length: CALLS }, (_, call) => call);
  /** Longer than an iteration may hold the event loop. */
  const A_TURN_US = 6000;

  test('where all of the records are there, and the event loop is due to have a turn', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    for (const record of IN_ORDER) writer.write(`${record}`);
    const iterator = reader[Symbol.asyncIterator]();
    spin(A_TURN_US);
    const resolved: number[] = [];
    const records = await Promise.all(
      IN_ORDER.map(async (call) => {
        const { value } = await iterator.next();
        resolved.push(call);
        return Number(value?.data);
      }),
    );
    expect(records).toEqual(IN_ORDER);
    expect(resolved).toEqual(IN_ORDER);
  });

  test('where none of them is there yet, and those that are too many end with the channel', async () => {
    using channel = await empty();
    const { writer, reader } = channel;
    const iterator = reader[Symbol.asyncIterator]();
    const calls = IN_ORDER.map(() => iterator.next());
    await asleep(reader);
    for (const record of IN_ORDER.slice(10)) {
      writer.write(`${record}`);
      if (record % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    writer.close();
    const results = await Promise.all(calls);
    expect(results.slice(0, 90).map(({ value }) => Number(value?.data))).toEqual(IN_ORDER.slice(10));
    expect(results.slice(90)).toEqual(IN_ORDER.slice(90).map(() => DONE));
  });
});

import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { turnBegins } from '../../lib/channel/runtime/index.js';
import { type ManyReader, openAll, Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { writable } from '../../lib/stream/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

const CALLS = 2000;
/** So long each call takes: all of them 200 ms. */
const CALL_MS = 0.1;

const opened: (Log | Writer | Reader | ManyReader)[] = [];
let clock = 0;

beforeEach(() => {
  clock = performance.now();
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
});

afterEach(() => {
  vi.restoreAllMocks();
  turnBegins();
});

afterAll(() => Promise.all(opened.map((one) => one.close())));

async function openLog(): Promise<Log> {
  const log = await Log.open(newDirectory(), { sync: 'none' });
  opened.push(log);
  await log.commit('x');
  return log;
}

async function openWriter(): Promise<Writer> {
  const writer = await Writer.create(newPath(), { mode: 'linear', readers: 0 });
  opened.push(writer);
  // The first one waits for the disk, for as many turns as that takes.
  await writer.flush();
  return writer;
}

/** Of a channel that has something to read. */
async function openReader(): Promise<Reader> {
  const writer = await openWriter();
  writer.write('x');
  const reader = await Reader.open(writer.path);
  opened.push(reader);
  return reader;
}

type Call = () => Promise<unknown>;

const WAYS: [what: string, open: () => Promise<Call>][] = [
  [
    'log.appendAsync',
    async () =>
      (
        (log) => () =>
          log.appendAsync('x')
      )(await openLog()),
  ],
  [
    'log.appendAsync of many',
    async () =>
      (
        (log) => () =>
          log.appendAsync(['x', 'y'])
      )(await openLog()),
  ],
  [
    'log.commit of nothing',
    async () =>
      (
        (log) => () =>
          log.commit([])
      )(await openLog()),
  ],
  [
    'log.flush',
    async () =>
      (
        (log) => () =>
          log.flush()
      )(await openLog()),
  ],
  [
    'log.ready',
    async () =>
      (
        (log) => () =>
          log.ready()
      )(await openLog()),
  ],
  [
    'cursor.set',
    async () => {
      const cursor = (await openLog()).cursor('c');
      let offset = 0;
      await cursor.set(offset);
      return () => cursor.set(++offset);
    },
  ],
  [
    'writer.send',
    async () =>
      (
        (writer) => () =>
          writer.send('x')
      )(await openWriter()),
  ],
  [
    'writer.ready',
    async () =>
      (
        (writer) => () =>
          writer.ready()
      )(await openWriter()),
  ],
  [
    'a chunk for a stream',
    async () =>
      (
        (stream) => () =>
          new Promise((resolve) => stream.write('x', resolve))
      )(writable(await openWriter())),
  ],
  [
    'reader.ready',
    async () =>
      (
        (reader) => () =>
          reader.ready()
      )(await openReader()),
  ],
  [
    'ready of many',
    async () => {
      const { path } = await openReader();
      const many = await openAll([path], { from: 'oldest' });
      opened.push(many);
      return () => many.ready();
    },
  ],
  [
    'writer.flush',
    async () =>
      (
        (writer) => () =>
          writer.flush()
      )(await openWriter()),
  ],
];

describe.each(WAYS)('%s', (_, open) => {
  test('gives the event loop its turns, where one after the other is awaited, and not oftener', async () => {
    const call = await open();
    await turn();
    let [turns, longest, turnedAt] = [0, 0, clock];
    const look = () => {
      longest = Math.max(longest, clock - turnedAt);
      turnedAt = clock;
    };
    let next = setImmediate(function turned() {
      turns++;
      look();
      next = setImmediate(turned);
    });
    for (let i = 0; i < CALLS; i++) {
      clock += CALL_MS;
      await call();
    }
    clearImmediate(next);
    look();
    // 5 ms, and what is done between two looks at the clock.
    expect(longest).toBeLessThan(12);
    expect(turns).toBeLessThanOrEqual((CALLS * CALL_MS) / 5);
  });
});

test('where the event loop has been elsewhere, what waits for nothing resolves at once', async () => {
  const calls = await Promise.all(
    WAYS.filter(([what]) => /Async|set|send/.test(what)).map(([, open]) => open()),
  );
  expect(calls).toHaveLength(4);
  for (const call of calls) {
    await turn();
    clock += 1000;
    let turned = false;
    const next = setImmediate(() => {
      turned = true;
    });
    await call();
    await call();
    expect(turned).toBe(false);
    clearImmediate(next);
  }
});

test('what is appended while a turn is due comes in the order of the calls, and before they return', async () => {
  const log = await openLog();
  const appended: Promise<number>[] = [];
  for (let i = 1; i < 500; i++) {
    clock += CALL_MS;
    if (i % 2 === 0) expect(log.append('x')).toBe(i);
    else appended.push(log.appendAsync('x'));
    expect(log.next).toBe(i + 1);
  }
  expect(await Promise.all(appended)).toEqual(appended.map((_, i) => 1 + i * 2));
});

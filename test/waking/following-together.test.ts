import { fstatSync, readdirSync, renameSync, statSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type Logger, Reader, type ReaderOptions, Writer } from '../../lib/index.js';
import { mortal } from '../helpers/crash.js';
import { newPath } from '../helpers/run-directory.js';
import { asleep } from './fixtures/asleep.js';
import { until } from './fixtures/kernel.js';

const SMALL = { capacity: '64KiB' };
/** Only what a test that fails takes at most: it passes at once. */
const LONG_ENOUGH = { timeoutMs: 20_000 };

/** A reader that has read all of a channel whose writer died, and one that takes its file's place when it is told to. */
async function dead(options: ReaderOptions = {}) {
  const { writer: old, crash } = await mortal(() => Writer.create(newPath(), SMALL));
  old.write('last');
  const { path } = old;
  const reader = await Reader.open(path, { from: 'oldest', follow: true, deadAfterMs: 600_000, ...options });
  expect(`${reader.read()?.data}`).toBe('last');
  crash();
  const writer = await Writer.create(newPath(), SMALL);
  return {
    reader,
    writer,
    renameOver: () => renameSync(writer.path, path),
    [Symbol.dispose]() {
      reader.close();
      writer.close();
    },
  };
}

/** A reader that has read all of a channel that has ended, and waits for the next one. */
async function ended() {
  const old = await Writer.create(newPath(), SMALL);
  const reader = await Reader.open(old.path, { from: 'oldest', follow: true });
  old.writeBatch(['a', 'b']);
  old.seal();
  expect(reader.readBatch(9)).toHaveLength(2);
  return reader;
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe('where the writer died and its file is renamed over,', () => {
  test.each(['park', 'yield'] as const)('all waits go over together (%s)', async (idle) => {
    using channel = await dead({ onDeath: 'wait', idle });
    const { reader, writer, renameOver } = channel;
    const waits = Array.from({ length: 3 }, () => reader.ready(LONG_ENOUGH));
    if (idle === 'yield') await turns();
    else await asleep(reader, waits.length);
    let times = 0;
    reader.on('follow', () => times++);
    renameOver();
    await until(() => times > 0);
    writer.write('one');
    expect(await Promise.all(waits)).toEqual([true, true, true]);
    expect(times).toBe(1);
  });

  test('a thread that blocks is told that it has ended', async () => {
    using channel = await dead();
    const { reader, writer, renameOver } = channel;
    expect(reader.ended).toBe(false);
    renameOver();
    expect(reader.waitSync(LONG_ENOUGH)).toBe(false);
    expect(reader.ended).toBe(true);
    // It goes over by a wait that does not block.
    writer.write('one');
    expect(await reader.ready(LONG_ENOUGH)).toBe(true);
    expect(reader.ended).toBe(false);
    expect(`${reader.read()?.data}`).toBe('one');
  });
});

describe('who goes back in a channel that has ended, while the next one is waited for,', () => {
  test('has ready() say that there is something', async () => {
    using reader = await ended();
    const waits = [reader.ready(LONG_ENOUGH), reader.ready(LONG_ENOUGH)];
    await turns();
    reader.seek('oldest');
    expect(await Promise.all(waits)).toEqual([true, true]);
    expect(reader.readBatch(9).map(({ data }) => `${data}`)).toEqual(['a', 'b']);
  });

  test('has next() give what was sought, and then what the next channel has', async () => {
    using reader = await ended();
    const iterator = reader[Symbol.asyncIterator]();
    const next = iterator.next();
    await turns();
    reader.seek('oldest');
    using writer = await Writer.create(reader.path, { ...SMALL, replace: true });
    writer.write('c');
    const words = [`${(await next).value?.data}`];
    while (words.length < 3) words.push(`${(await iterator.next()).value?.data}`);
    expect(words).toEqual(['a', 'b', 'c']);
  });
});

test('a logger that closes the reader when it hears of the end, while that goes over, ends its waits', async () => {
  /** How often this process has a file open. */
  const openings = (inode: number) =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return fstatSync(Number(fd)).ino === inode;
      } catch {
        // The one that the listing was read through.
        return false;
      }
    }).length;

  // What a heart that beats by itself tells is told before it goes over: this one's beats only then.
  const seldom = { ...SMALL, heartbeatMs: 60_000 };
  const old = await Writer.create(newPath(), seldom);
  const { path } = old;
  const { ino } = statSync(path);
  let close = () => {};
  const hear = (message: string) => {
    if (/is (sealed|closed)/.test(message)) close();
  };
  const logger: Logger = { debug: hear, info: hear, warn: hear, error: hear };
  const reader = await Reader.open(path, { follow: true, logger });
  let closed = 0;
  close = () => {
    closed++;
    reader.close();
  };
  const waits = [reader.ready(LONG_ENOUGH), reader[Symbol.asyncIterator]().next()];
  await turns();
  old.seal();
  using writer = await Writer.create(path, { ...SMALL, replace: true });
  expect(await Promise.all(waits)).toEqual([false, { done: true, value: undefined }]);
  expect(closed).toBe(1);
  await until(() => openings(ino) === 0);
  expect(writer.readers()).toEqual([]);
  expect(openings(statSync(path).ino)).toBe(1);
});

import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/index.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';

const opened: Log[] = [];

/** Nothing is brought to the disk but where somebody waits for it. */
async function open(directory: string, options: LogOptions = {}): Promise<Log> {
  const sync = { everyMs: 3_600_000 };
  const log = await Log.open(directory, { writers: 'shared', sync, maxUnsyncedBytes: '64KiB', ...options });
  opened.push(log);
  return log;
}

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

const KILOBYTES = Buffer.alloc(10_000);

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

/** The disk stands still until it is let go on. */
function holdDisk() {
  const flush = disk.flushFrames;
  let letGo = () => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const flushing = vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
    await held;
    return flush(...given);
  });
  return { flushing, letGo };
}

test.each(['appendAsync', 'commit'] as const)(
  'what several append by turns waits for room on the disk, all in one sync: %s',
  async (how) => {
    const log = await open(newDirectory());
    const flushing = vi.spyOn(disk, 'flushFrames');
    expect(await Promise.all(upTo(20).map(() => log[how](KILOBYTES)))).toEqual(upTo(20));
    const syncs = flushing.mock.calls.filter(([, , , , , sync]) => sync).length;
    // Six or seven have room at a time.
    expect(syncs).toBeGreaterThanOrEqual(2);
    expect(syncs).toBeLessThan(10);
  },
);

test('what comes while others wait for room comes behind them', async () => {
  const log = await open(newDirectory(), { sync: { everyMs: 3 } });
  const calls: Promise<number>[] = [];
  for (const i of upTo(600)) {
    calls.push(log.appendAsync(i % 4 === 0 ? [KILOBYTES] : Buffer.alloc(3000)));
    if (i % 3 === 0) await turn();
  }
  expect(await Promise.all(calls)).toEqual(upTo(600));
});

test('who waits for room gives up at any place in the line, and lets nobody pass', async () => {
  const log = await open(newDirectory());
  const { flushing, letGo } = holdDisk();
  const room = await Promise.all(upTo(7).map(() => log.appendAsync(KILOBYTES)));
  expect(room).toEqual(upTo(7));
  const abort = new AbortController();
  const { signal } = abort;
  const values = ['first', 'a', 'middle', 'b', 'c', 'last'];
  const given = [{ signal }, {}, { timeoutMs: 1 }, {}, {}, { signal }];
  const waiting = values.map((value, i) => {
    const [record, options] = [value.padEnd(100), given[i]];
    return i % 2 === 0 ? log.appendAsync(record, options) : log.commit([record], options);
  });
  const givenUp = [0, 2, 5].map((i) => failure(() => waiting[i]));
  await vi.waitUntil(() => flushing.mock.calls.length > 0);
  abort.abort();
  const { path } = log;
  expect(await Promise.all(givenUp)).toMatchObject([
    { code: 'ERR_ABORTED', path },
    { code: 'ERR_TIMEOUT', path, timeoutMs: 1, message: expect.stringContaining('room to append') },
    { code: 'ERR_ABORTED', path },
  ]);
  letGo();
  expect(await Promise.all([1, 3, 4].map((i) => waiting[i]))).toEqual([7, 8, 9]);
  const records = await collect(log.read({ from: 7 }));
  expect(records.map(({ value }) => value.toString().trim())).toEqual(['a', 'b', 'c']);
});

test('once all have given up waiting for room, whoever comes then waits for it, too', async () => {
  const log = await open(newDirectory());
  const { letGo } = holdDisk();
  await Promise.all(upTo(7).map(() => log.appendAsync(KILOBYTES)));
  const abort = new AbortController();
  const { signal } = abort;
  const givenUp = upTo(3).map(() => failure(() => log.commit('given up', { signal })));
  abort.abort();
  for (const error of await Promise.all(givenUp)) expect(error).toMatchObject({ code: 'ERR_ABORTED' });
  const late = [log.appendAsync('late'), log.commit('later')];
  await turn();
  letGo();
  expect(await Promise.all(late)).toEqual([7, 8]);
});

test('closing waits for no room: who waits for it is told, what is appended is on the disk', async () => {
  const directory = newDirectory();
  const log = await open(directory);
  const { flushing, letGo } = holdDisk();
  await Promise.all(upTo(7).map(() => log.appendAsync(KILOBYTES)));
  const waiting = [() => log.appendAsync('late'), () => log.commit('late'), () => log.flush()].map(failure);
  await vi.waitUntil(() => flushing.mock.calls.length > 0);
  const closing = log.close();
  // Before the disk goes on.
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
  letGo();
  await closing;
  const reading = await open(directory, { writers: undefined, readOnly: true });
  expect([reading.next, reading.durable]).toEqual([7, 7]);
});

test('a sync that failed is told to all who wait for room', async () => {
  const log = await open(newDirectory());
  await Promise.all(upTo(7).map(() => log.appendAsync(KILOBYTES)));
  const cause = Object.assign(new Error('broken'), { code: 'EIO', errno: -5, syscall: 'fdatasync' });
  vi.spyOn(disk, 'flushFrames').mockRejectedValue(cause);
  const waiting = [() => log.appendAsync('x'), () => log.commit('x'), () => log.appendAsync(['x'])];
  for (const error of await Promise.all(waiting.map(failure))) {
    expect(error).toMatchObject({ code: 'ERR_SYNC_FAILED', cause });
  }
  opened.pop();
  expect(await failure(() => log.close())).toMatchObject({ code: 'ERR_SYNC_FAILED', cause });
});

test('who has little room gets it also where others take more of it all the time', {
  timeout: 60_000,
}, async () => {
  const directory = newDirectory();
  const busy = await open(directory, { maxUnsyncedBytes: '64MiB' });
  const small = await open(directory, { maxUnsyncedBytes: '4KiB' });
  let appended = 0;
  let isOver = false;
  const going = (async () => {
    for (; !isOver && appended < 20_000; appended++) await busy.appendAsync(KILOBYTES);
  })();
  const waited = [];
  for (let i = 0; i < 10; i++) waited.push(await small.appendAsync(`small ${i}`));
  isOver = true;
  await going;
  // They were not only served once it had nothing to append any more.
  expect(appended).toBeLessThan(20_000);
  const records = await Promise.all(waited.map((from) => collect(small.read({ from, limit: 1 }))));
  expect(records.map(([{ value }]) => value.toString())).toEqual(upTo(10).map((i) => `small ${i}`));
});

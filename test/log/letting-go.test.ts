import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Log, type ReadOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { held } from '../soak/cycles.js';
import { collect } from './collect.js';
import { damage, fileOf, type SomeLog, someLog } from './damaging.js';

const DONE = { done: true, value: undefined };
/** Mappings go on another thread. */
const SOON = { timeout: 10_000, interval: 10 };
const NOTHING = { descriptors: [], mappings: [] };

let some: SomeLog;
let log: Log;

beforeEach(async () => {
  some = await someLog(3);
  log = await Log.open(some.directory, { readOnly: true });
});

afterEach(() => log.close());

/** Of a log whose segments are removed nothing is held, but by who reads it. */
async function expectNothingHeld(): Promise<void> {
  for (const base of some.bases) rmSync(fileOf(some.directory, base));
  await log.lookAfter();
  await expect.poll(() => held(some.directory), SOON).toEqual(NOTHING);
}

test('who reads a segment holds it, until that is left', async () => {
  const reading = log.read();
  await reading.next();
  expect(held(some.directory).mappings).not.toEqual([]);
  await reading.return?.();
  await expectNothingHeld();
});

test.each<ReadOptions>([{}, { reverse: true }])(
  'a reading %j that is aborted among records lets go',
  async (options) => {
    const abort = new AbortController();
    const reading = log.read({ ...options, signal: abort.signal });
    await reading.next();
    abort.abort();
    expect(await failure(() => reading.next())).toMatchObject({ code: 'ERR_ABORTED' });
    await expectNothingHeld();
  },
);

test.each([
  ['read', { limit: 1 }],
  ['read', { limit: 1, reverse: true }],
  ['read', { maxBytes: 1, follow: true, from: 'earliest' }],
  ['batches', { limit: 2 }],
  ['batches', { limit: 2, reverse: true }],
] as const)('%s %j lets go with the last record that it may hand out', async (how, options) => {
  const reading = log[how](options);
  expect((await reading.next()).done).toBe(false);
  await expectNothingHeld();
  expect(await reading.next()).toEqual(DONE);
});

test('a reading whose time is up at the end lets go', async () => {
  const reading = log.read({ follow: true, timeoutMs: 1 });
  expect(await failure(() => reading.next())).toMatchObject({ code: 'ERR_TIMEOUT' });
  await expectNothingHeld();
});

test.each<ReadOptions>([{}, { reverse: true }])('a reading %j that meets damage lets go', async (options) => {
  damage(fileOf(some.directory, some.bases[1]), some.bases[1], some.bases[1] + 5);
  expect(await failure(() => collect(log.read(options)))).toMatchObject({ code: 'ERR_CORRUPT' });
  await expectNothingHeld();
});

test('a reading is over behind an error, also for those who asked for more at the same time', async () => {
  const abort = new AbortController();
  const reading = log.read({ follow: true, signal: abort.signal });
  const calls = [reading.next(), reading.next(), reading.next()];
  abort.abort();
  expect(await failure(() => calls[0])).toMatchObject({ code: 'ERR_ABORTED' });
  expect(await Promise.all(calls.slice(1))).toEqual([DONE, DONE]);
  expect(await reading.next()).toEqual(DONE);
  expect(await reading.return?.()).toEqual(DONE);
  await expectNothingHeld();
});

test.each([
  ['read', {}],
  ['read', { reverse: true }],
  ['batches', { max: 1 }],
  ['batches', { max: 1, reverse: true }],
] as const)('%s %j ends with its log, and lets go', async (how, options) => {
  const reading = log[how](options);
  expect((await reading.next()).done).toBe(false);
  await log.close();
  expect(await reading.next()).toEqual(DONE);
  await expect.poll(() => held(some.directory), SOON).toEqual(NOTHING);
});

test.each(['read', 'batches'] as const)('%s that is left before it began lets go', async (how) => {
  expect(await log[how]().return?.()).toEqual(DONE);
  await expectNothingHeld();
});

test.each(['read', 'batches'] as const)(
  '%s refuses a wrong limit at once, and holds nothing',
  async (how) => {
    for (const wrong of [{ limit: -1 }, { maxBytes: 'much' }]) {
      expect(thrown(() => log[how](wrong))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    }
    await expectNothingHeld();
  },
);

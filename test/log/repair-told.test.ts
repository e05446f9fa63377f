import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import type { OnProgress } from '../../lib/log/progress.js';
import { damage, fileOf, remove, shorten, someLog } from './damaging.js';

/** What was told while the log was repaired, and whether anything was set aside by then. */
async function progressOf(directory: string) {
  const told: { done: number; total: number; isChanged: boolean }[] = [];
  const onProgress: OnProgress = (done, total) =>
    void told.push({ done, total, isChanged: existsSync(join(directory, 'set-aside')) });
  await Log.repair(directory, { onProgress });
  return told;
}

test('it is not told that all is done before that is written which is damaged', async () => {
  const { directory, bases } = await someLog();
  damage(fileOf(directory, bases[1]), bases[1], bases[1] + 3);
  remove(fileOf(directory, bases[2]));
  const told = await progressOf(directory);
  const done = told.map((one) => one.done);
  expect(done).toEqual([...done].sort((a, b) => a - b));
  expect(new Set(told.map(({ total }) => total)).size).toBe(1);
  const whole = told.filter(({ done, total }) => done >= total);
  expect(whole.length).toBeGreaterThan(0);
  expect(whole.every(({ isChanged }) => isChanged)).toBe(true);
  expect(told.at(-1)).toEqual(whole.at(-1));
});

test('also where nothing is left that could be written anew all is done in the end', async () => {
  const { directory, bases } = await someLog();
  for (const base of bases) shorten(fileOf(directory, base), 1);
  const told = await progressOf(directory);
  expect(told.at(-1)).toMatchObject({ done: told[0].total, isChanged: true });
});

test('it goes by the options as they were when it was called', async () => {
  const { directory, bases } = await someLog();
  damage(fileOf(directory, bases[1]), bases[1], bases[1] + 3);
  const options: Parameters<typeof Log.repair>[1] = {};
  const repairing = Log.repair(directory, options);
  options.signal = AbortSignal.abort();
  expect((await repairing).lost).toEqual([{ from: bases[1] + 3, to: bases[1] + 4 }]);
});

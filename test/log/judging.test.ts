import { expect, test, vi } from 'vitest';
import { Directory } from '../../lib/log/files/directory.js';
import { Log } from '../../lib/log/index.js';
import { Progress } from '../../lib/log/progress.js';
import { Judging } from '../../lib/log/upkeep/judging.js';
import { newDirectory } from '../helpers/run-directory.js';

const KEYS = 6;

/** How often a log is read in which each of the keys comes so many times, where one of them fits into a pass. */
async function passesOf(rounds: number): Promise<number> {
  const path = newDirectory();
  const log = await Log.open(path, { sync: 'none' });
  for (let i = 0; i < rounds * KEYS; i++) log.append({ key: String(i % KEYS).padEnd(100), value: 'x' });
  const { next } = log;
  await log.close();
  const directory = new Directory(path);
  const rules = { directory, end: next, limit: next, nowUs: 0, tombstonesUs: 0, memory: 1 };
  const judging = new Judging(rules);
  const progress = new Progress(undefined);
  const expected = vi.spyOn(progress, 'expect');
  await judging.run(directory.segments(), progress, new AbortController().signal);
  const gone = Array.from({ length: next }, (_, place) => judging.gone.has(place));
  expect(gone).toEqual(gone.map((_, place) => place < next - KEYS));
  return expected.mock.calls.length;
}

test('the log is read as often as its keys need it, however often they come', async () => {
  for (const rounds of [1, 2, 5, 20]) expect(await passesOf(rounds)).toBe(KEYS);
});

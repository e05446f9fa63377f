import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import {
  DATA,
  FRAME,
  fileOf,
  flip,
  overwrite,
  range,
  readable,
  reboot,
  type SomeLog,
  shorten,
  someLog,
  textOf,
} from './damaging.js';

afterEach(endAll);

/** As where the header never reached the disk. */
const unwrite = (path: string) => overwrite(path, 0, Buffer.alloc(DATA));

/** Repaired once, it is sound and opens, and nothing more is taken out of it. No offset is given again. */
async function expectMended({ directory, next }: SomeLog): Promise<{ kept: number[]; lost: number[] }> {
  const { lost } = await Log.repair(directory);
  expect(await Log.verify(directory)).toMatchObject({ sound: true, faults: [], cutOffAt: undefined });
  await using log = await Log.open(directory);
  expect(log.recovery).toMatchObject({ after: 'close', setAside: [] });
  const kept = await readable(directory);
  expect(log.append(textOf(log.next))).toBeGreaterThanOrEqual(next);
  return { kept, lost: lost.flatMap(({ from, to }) => range(from, Math.min(to, next))) };
}

describe('a last segment whose header is gone, behind a damaged one: its records were not cut off with the machine', () => {
  const harms: [string, (path: string) => void][] = [
    ['was cut short', (path) => shorten(path, DATA + 5 * FRAME)],
    ['has a wrong bit in its header', (path) => flip(path, 20)],
    ['has nothing left of its header', unwrite],
  ];

  test.each(harms)('the one before it %s', async (_, harm) => {
    const log = await someLog(4);
    const { directory, bases, next } = log;
    harm(fileOf(directory, bases[2]));
    unwrite(fileOf(directory, bases[3]));
    expect((await Log.verify(directory)).cutOffAt).toBeUndefined();
    const { kept, lost } = await expectMended(log);
    expect(kept).toEqual(expect.arrayContaining(range(bases[3], next)));
    expect([...kept, ...lost].sort((a, b) => a - b)).toEqual(range(0, next));
  });

  // Though no header is left that can be believed, there are words in it that no damage writes.
  test.each(harms.slice(0, 2))('the only one before it %s', async (_, harm) => {
    const log = await someLog(2);
    const { directory, bases, next } = log;
    harm(fileOf(directory, 0));
    unwrite(fileOf(directory, bases[1]));
    const { kept } = await expectMended(log);
    expect(kept).toEqual(expect.arrayContaining(range(bases[1], next)));
  });
});

describe('both of the last segments are damaged: repaired once, the log opens, and each offset is kept or lost', () => {
  const harms: [string, (path: string) => void][] = [
    ['empty', (path) => writeFileSync(path, '')],
    ['short', (path) => shorten(path, 5000)],
    ['cut short in its frames', (path) => shorten(path, DATA + 5 * FRAME)],
    ['without its header', unwrite],
    ['all zeros', (path) => writeFileSync(path, Buffer.alloc(statSync(path).size))],
    ['something else', (path) => writeFileSync(path, Buffer.alloc(20_000, 0x5a))],
  ];
  const pairs = harms.flatMap(([a, harmA]) => harms.map(([b, harmB]) => [a, b, harmA, harmB] as const));

  test.each(pairs)('%s, and %s', async (_, __, harmBefore, harmLast) => {
    const log = await someLog(4);
    const { directory, bases, next } = log;
    harmBefore(fileOf(directory, bases[2]));
    harmLast(fileOf(directory, bases[3]));
    const { kept, lost } = await expectMended(log);
    expect([...kept, ...lost].sort((a, b) => a - b)).toEqual(range(0, next));
  });
});

describe('behind a damaged segment the log was cut off, because its machine went down', () => {
  /** Damaged in the third segment, and ended before the last one. */
  async function cutOff(harm: (path: string) => void): Promise<SomeLog> {
    const log = await someLog(4);
    const { directory, bases } = log;
    reboot(directory, bases);
    unwrite(fileOf(directory, bases[3]));
    harm(fileOf(directory, bases[2]));
    return { ...log, next: bases[3] };
  }

  test('one wrong bit in its header: it is kept, and what never reached the disk is set aside with it', async () => {
    const log = await cutOff((path) => flip(path, 20));
    const { directory, bases } = log;
    const unwritten = readFileSync(fileOf(directory, bases[3]));
    expect(await expectMended(log)).toEqual({ kept: range(0, bases[3]), lost: [] });
    expect(readFileSync(fileOf(`${directory}/set-aside`, bases[3]))).toEqual(unwritten);
  });

  test('its end is gone, or nothing is left of it: what it had is told as lost', async () => {
    const harms: [number, (path: string) => void][] = [
      [5, (path) => shorten(path, DATA + 5 * FRAME)],
      [0, (path) => writeFileSync(path, Buffer.alloc(20_000, 0x5a))],
    ];
    for (const [left, harm] of harms) {
      const log = await cutOff(harm);
      const end = log.bases[2] + left;
      expect(await expectMended(log)).toEqual({ kept: range(0, end), lost: range(end, log.next) });
    }
  });

  test('nothing is left of all that is before it', async () => {
    const log = await someLog(2);
    const { directory, bases } = log;
    reboot(directory, bases);
    writeFileSync(fileOf(directory, 0), Buffer.alloc(20_000, 0x5a));
    unwrite(fileOf(directory, bases[1]));
    expect(await expectMended({ ...log, next: bases[1] })).toEqual({ kept: [], lost: range(0, bases[1]) });
  });

  test('who dies on the way leaves a log to be repaired again', async () => {
    for (const step of [112, 113, 121, 133, 134]) {
      for (const nth of [1, 2]) {
        const log = await cutOff((path) => flip(path, 20));
        const { directory, bases } = log;
        const die = { step, nth };
        const child = new Child('../../log/fixtures/repairing-child.js', { directory, die }, { steps: true });
        const { signal } = await child.exit;
        child.throwIfFailed();
        if (nth === 1) expect(signal).toBe('SIGKILL');
        expect(await expectMended(log)).toEqual({ kept: range(0, bases[3]), lost: [] });
      }
    }
  });

  test('within the next one: what is whole of that stays, though where the damaged one ended is not known', async () => {
    const log = await someLog(4);
    const { directory, bases } = log;
    reboot(directory, bases);
    shorten(fileOf(directory, bases[1]), DATA + 5 * FRAME);
    overwrite(fileOf(directory, bases[2]), DATA + 7 * FRAME, Buffer.alloc(FRAME));
    const end = bases[2] + 7;
    expect((await Log.verify(directory)).cutOffAt).toBe(end);
    const { lost } = await Log.repair(directory);
    expect(lost).toEqual([{ from: bases[1] + 5, to: bases[2] }]);
    await using again = await Log.open(directory);
    expect(again.next).toBe(end);
    expect(await readable(directory)).toEqual([...range(0, bases[1] + 5), ...range(bases[2], end)]);
  });

  test('what is sound before it is left as it is, for whoever opens the log', async () => {
    const log = await cutOff(() => {});
    const { directory, bases } = log;
    expect(await Log.repair(directory)).toMatchObject({ faults: [], lost: [], rewritten: [], setAside: [] });
    await using again = await Log.open(directory);
    expect(again.next).toBe(bases[3]);
    expect(again.recovery).toMatchObject({ after: 'machine', setAside: [{ path: expect.any(String) }] });
  });
});

test('a file of another log says nothing of when this one was written', async () => {
  const [{ directory, bases }, other] = [await someLog(3), await someLog(1)];
  reboot(directory, bases);
  unwrite(fileOf(directory, bases[2]));
  const stray = readFileSync(fileOf(other.directory, 0)).subarray(0, DATA + 5 * FRAME);
  writeFileSync(fileOf(directory, bases[2] - 1), stray);
  expect((await Log.verify(directory)).cutOffAt).toBe(bases[2]);
});

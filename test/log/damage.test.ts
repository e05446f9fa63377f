import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { runLogFlips } from '../soak/log-flips.js';
import { runLogTruncations } from '../soak/log-truncations.js';
import { DATA, FRAME, fileOf, range, readable, type SomeLog, shorten, someLog, textOf } from './damaging.js';

afterEach(endAll);

const SEED = 7;
const FLIPS = 1500;
const TRUNCATIONS = 300;

test(`${FLIPS} bits flipped: one bit takes along one frame at most, and is told`, async () => {
  const { failures, cases, outcomes } = await runLogFlips({
    count: FLIPS,
    seed: SEED,
    directory: newDirectory(),
  });
  expect(failures).toEqual([]);
  expect(cases).toBe(FLIPS);
  expect(outcomes['faults found']).toBeGreaterThan(FLIPS / 10);
  expect(outcomes['records: opened']).toBeGreaterThan(FLIPS / 10);
}, 240_000);

test(`a last segment that is cut to ${TRUNCATIONS} lengths: what is left of it is kept, and no offset given twice`, async () => {
  const { failures, cases, outcomes } = await runLogTruncations({
    count: TRUNCATIONS,
    seed: SEED,
    directory: newDirectory(),
  });
  expect(failures).toEqual([]);
  expect(cases).toBe(TRUNCATIONS);
  expect(outcomes['records: ERR_CORRUPT']).toBeGreaterThan(TRUNCATIONS / 10);
  expect(outcomes['room: opened']).toBeGreaterThan(TRUNCATIONS / 10);
}, 240_000);

describe('a last segment that lacks only room', () => {
  const MAKERS = {
    'with records': () => someLog(4),
    'without a record': async () => {
      const directory = newDirectory();
      await using log = await Log.open(directory, { segment: '16KiB', rollAfterMs: 1 });
      log.append(textOf(0));
      while (log.segments().length < 2) await setTimeout(1);
      return { directory, bases: [0, 1], next: 1 };
    },
    'without a record, nor any before it': async () => {
      const { directory } = await someLog(1);
      writeFileSync(fileOf(directory, 0), readFileSync(fileOf(directory, 0)).fill(7, 8));
      const { lost } = await Log.repair(directory);
      return { directory, bases: [lost[0].to], next: lost[0].to };
    },
  };

  async function short(make: () => Promise<SomeLog> = MAKERS['with records']) {
    const log = await make();
    const path = fileOf(log.directory, log.bases.at(-1) as number);
    const before = await readable(log.directory);
    shorten(path, DATA + 12_288 + 100);
    return { ...log, path, before };
  }

  test.each(Object.entries(MAKERS))(
    '%s: who opens the log sets it aside, and keeps what is in it',
    async (_, make) => {
      const { directory, path, next, before } = await short(make);
      const bytes = readFileSync(path);
      const log = await Log.open(directory, { segment: '16KiB' });
      const [{ path: aside, reason }] = log.recovery?.setAside ?? [];
      expect(reason).toContain('cut short');
      expect(readFileSync(aside).equals(bytes)).toBe(true);
      expect(log.next).toBe(next);
      expect(log.append(textOf(next))).toBe(next);
      await log.close();
      expect((await Log.verify(directory)).sound).toBe(true);
      expect(await readable(directory)).toEqual([...before, next]);
    },
  );

  test.each([112, 113, 135, 120, 121, 122, 123])('killed at step %i, it is done again', async (step) => {
    const { directory, next } = await short();
    const child = new Child(
      '../../log/fixtures/opening-child.js',
      { directory, die: { step, nth: 1 } },
      { steps: true },
    );
    const { signal } = await child.exit;
    child.throwIfFailed();
    expect(signal).toBe('SIGKILL');
    const log = await Log.open(directory, { segment: '16KiB' });
    expect(log.append(textOf(next))).toBe(next);
    await log.close();
    expect((await Log.verify(directory)).sound).toBe(true);
    expect(await readable(directory)).toEqual(range(0, next + 1));
  });

  test('is not taken for one where records may be gone', async () => {
    const { directory, bases, next } = await someLog(4);
    const records = next - bases[3];
    shorten(fileOf(directory, bases[3]), DATA + records * FRAME);
    expect((await failure(() => Log.open(directory))).code).toBe('ERR_CORRUPT');
    expect(existsSync(`${directory}/set-aside`)).toBe(false);
    const { lost } = await Log.repair(directory);
    // Its writer may have died behind any number of them.
    expect(lost).toEqual([{ from: next, to: next + 16_384 - records * FRAME }]);
    expect(await readable(directory)).toEqual(range(0, next));
  });
});

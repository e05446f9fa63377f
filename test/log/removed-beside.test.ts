import { renameSync, rmSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Log, type Tail } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { damage, fileOf, range, textOf } from './damaging.js';

afterEach(() => vi.restoreAllMocks());

/** A log of three records, and who has read them. */
async function readToItsEnd(directory: string): Promise<{ log: Log; reading: Log; tail: Tail }> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  log.appendBatch(range(0, 3).map(textOf));
  const reading = await Log.open(directory, { readOnly: true });
  const tail = reading.tail({ from: 'earliest' });
  expect(tail.readBatch(10)).toHaveLength(3);
  return { log, reading, tail };
}

/** More than the time after which whoever waits looks whether what it reads still has its name. */
async function passTime(): Promise<void> {
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 5000);
  await turn();
}

const WAYS = {
  removed: (directory: string) => rmSync(directory, { recursive: true }),
  'moved away': (directory: string) => renameSync(directory, `${directory}-moved`),
};

describe.each(Object.entries(WAYS))('whoever waits for records of a log that is %s', (_, leave) => {
  test('is told', async () => {
    const directory = newDirectory();
    const { log, reading, tail } = await readToItsEnd(directory);
    const told = failure(() => tail.ready());
    leave(directory);
    await passTime();
    expect(await told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    await reading.close();
    await log.close();
  });

  test('is told, too, where another log has taken its place', async () => {
    const directory = newDirectory();
    const { log, reading, tail } = await readToItsEnd(directory);
    const told = failure(() => tail.ready());
    leave(directory);
    await using other = await Log.open(directory, { sync: 'none' });
    other.appendBatch(['not', 'of', 'that', 'log']);
    await passTime();
    expect(await told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    await reading.close();
    await log.close();
  });
});

test('who waits behind the last record while the log is repaired goes on in what was repaired', async () => {
  const directory = newDirectory();
  const { log, reading, tail } = await readToItsEnd(directory);
  await log.close();
  const waits = tail.ready();
  damage(fileOf(directory, 0), 0, 1);
  const { rewritten } = await Log.repair(directory);
  expect(rewritten).toHaveLength(1);
  await passTime();
  await turn();
  await using after = await Log.open(directory, { sync: 'none' });
  expect(after.append('d')).toBe(3);
  expect(await waits).toBe(true);
  expect(tail.read()).toMatchObject({ offset: 3 });
  await reading.close();
});

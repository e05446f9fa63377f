import { renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Log, type Tail } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { damage, fileOf, range, textOf } from './damaging.js';
import { LEAVING } from './leaving.js';

const opened: Log[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

/** A log of three records, and who has read them. */
async function readToItsEnd(directory: string): Promise<{ log: Log; reading: Log; tail: Tail }> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  log.appendBatch(range(0, 3).map(textOf));
  const reading = await Log.open(directory, { readOnly: true });
  opened.push(log, reading);
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

/** What a tail hears that waits while that befalls its log. */
async function heardMeanwhile(tail: Tail, befalls: () => unknown): Promise<unknown> {
  const heard = failure(() => tail.ready());
  await befalls();
  await passTime();
  return heard;
}

/** Of a log with a damaged record, which it loses by that. */
async function repair(directory: string): Promise<void> {
  damage(fileOf(directory, 0), 0, 1);
  const { rewritten } = await Log.repair(directory);
  expect(rewritten).toHaveLength(1);
  await passTime();
}

describe.each(LEAVING)('whoever waits for records of a log that is %s', (_, leave) => {
  test('is told', async () => {
    const directory = newDirectory();
    const { tail } = await readToItsEnd(directory);
    const told = await heardMeanwhile(tail, () => leave(directory));
    expect(told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  });

  test('is told, too, where another log has taken its place', async () => {
    const directory = newDirectory();
    const { tail } = await readToItsEnd(directory);
    const told = await heardMeanwhile(tail, async () => {
      leave(directory);
      await using other = await Log.open(directory, { sync: 'none' });
      other.appendBatch(['not', 'of', 'that', 'log']);
    });
    expect(told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  });

  test('is told, too, where it had no records, and another one has taken its place that has none, or some', async () => {
    const directory = newDirectory();
    opened.push(await Log.open(directory, { sync: 'none' }));
    const reading = await Log.open(directory, { readOnly: true });
    opened.push(reading);
    const tail = reading.tail();
    const told = await heardMeanwhile(tail, async () => {
      leave(directory);
      opened.push(await Log.open(directory, { sync: 'none' }));
    });
    expect(told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    opened.at(-1)?.append('not of that log');
    expect(await failure(() => tail.ready())).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    expect(thrown(() => reading.next)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  });

  test('is told, too, who reads it backwards, where another log has taken its place', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
    while (log.segments().length < 3) log.append(textOf(log.next));
    const reading = await Log.open(directory, { readOnly: true });
    opened.push(log, reading);
    const records = reading.read({ reverse: true });
    await records.next();
    leave(directory);
    opened.push(await Log.open(directory, { sync: 'none' }));
    opened.at(-1)?.append('not of that log');
    expect(await failure(() => collect(records))).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  });

  test('is told, too, who waits again and again, each time for a short time', async () => {
    const directory = newDirectory();
    const { tail } = await readToItsEnd(directory);
    expect(await failure(() => tail.ready({ timeoutMs: 0 }))).toMatchObject({ code: 'ERR_TIMEOUT' });
    leave(directory);
    await passTime();
    expect(await failure(() => tail.ready({ timeoutMs: 0 }))).toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  test('is told, too, who waits for the disk to have what is there', async () => {
    const directory = newDirectory();
    const { reading } = await readToItsEnd(directory);
    const tail = reading.tail({ from: 'earliest', durableOnly: true });
    const told = await heardMeanwhile(tail, () => leave(directory));
    expect(told).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  });
});

test('who waits behind the last record while the log is repaired goes on in what was repaired', async () => {
  const directory = newDirectory();
  const { log, tail } = await readToItsEnd(directory);
  await log.close();
  const waits = tail.ready();
  await repair(directory);
  await turn();
  await using after = await Log.open(directory, { sync: 'none' });
  expect(after.append('d')).toBe(3);
  expect(await waits).toBe(true);
  expect(tail.read()).toMatchObject({ offset: 3 });
});

test('who waits for the disk to have what is there while the log is repaired reads that in what was repaired', async () => {
  const directory = newDirectory();
  const { log, reading } = await readToItsEnd(directory);
  await log.close();
  const packing = await Log.open(directory, { sync: 'none', compression: 'deflate' });
  const future = { us: (Date.now() + 3_600_000) * 1000 };
  packing.appendBatch([textOf(3), { value: textOf(4), timestamp: future }, textOf(5)]);
  await packing.close();
  const earliest = reading.tail({ from: 'earliest', durableOnly: true });
  const later = reading.tail({ from: { time: future }, durableOnly: true });
  const waits = [earliest.ready(), later.ready()];
  await repair(directory);
  expect(await Promise.all(waits)).toEqual([true, true]);
  expect([earliest.offset, later.offset]).toEqual([0, 4]);
  expect(earliest.readBatch(10).map(({ offset }) => offset)).toEqual([0, 2, 3, 4, 5]);
  expect(later.readBatch(10).map(({ offset }) => offset)).toEqual([4, 5]);
});

test('who reads a log that had no lock file goes on in what was repaired, which has one', async () => {
  const directory = newDirectory();
  const { log } = await readToItsEnd(directory);
  await log.close();
  rmSync(join(directory, 'log.lock'));
  await using reading = await Log.open(directory, { readOnly: true });
  const tail = reading.tail();
  const waits = tail.ready();
  await repair(directory);
  await turn();
  await using after = await Log.open(directory, { sync: 'none' });
  expect(after.append('d')).toBe(3);
  expect(await waits).toBe(true);
  expect(tail.read()).toMatchObject({ offset: 3 });
});

test('who waits for the disk to have what retention removes meanwhile reads that once it has', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none', retention: { segments: 2 } });
  log.append(textOf(0));
  const tail = log.tail({ from: 'earliest', durableOnly: true });
  let isOver = false;
  const waits = tail.ready().finally(() => {
    isOver = true;
  });
  while (log.earliest === 0) {
    log.append(textOf(log.next));
    await log.lookAfter();
  }
  await passTime();
  await turn();
  expect(isOver).toBe(false);
  await log.flush();
  expect(await waits).toBe(true);
  expect(tail.readBatch(3).map(({ offset }) => offset)).toEqual([0, 1, 2]);
});

test('who can’t look for a while whether the log is there waits on, and gets its next record', async () => {
  const directory = newDirectory();
  const { log, tail } = await readToItsEnd(directory);
  const waits = tail.ready();
  renameSync(directory, `${directory}-moved`);
  // It leads to itself: nobody can look there.
  symlinkSync(directory, directory);
  await passTime();
  await turn();
  log.append('d');
  expect(await waits).toBe(true);
  rmSync(directory);
  renameSync(`${directory}-moved`, directory);
  expect(tail.read()).toMatchObject({ offset: 3 });
});

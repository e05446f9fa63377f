import { readdirSync, unlinkSync } from 'node:fs';
import { expect, test } from 'vitest';
import { beginAnew, LockFile } from '../../lib/log/files/index.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { fileOf } from './damaging.js';

const CAPACITY = 16_384;
/** A segment that begins there is the last one whose offsets are all exact. */
const LAST = Number.MAX_SAFE_INTEGER - CAPACITY;
const KILOBYTES = Buffer.alloc(3000);

/** A log whose only segment begins there, with nothing in it. */
async function nearItsEnd(options: LogOptions): Promise<string> {
  const directory = newDirectory();
  const made = await Log.open(directory, options);
  await made.appendAsync('x');
  await made.close();
  const lock = LockFile.open(directory, false) as LockFile;
  const facts = { id: lock.id, base: LAST, maxTimeUs: 0, generation: 0 };
  lock.close();
  (await beginAnew(fileOf(directory, LAST), facts, { capacity: CAPACITY, sync: 'none' })).close();
  unlinkSync(fileOf(directory, 0));
  return directory;
}

test('a batch is not compressed where it would have more records than there are offsets', async () => {
  const options: LogOptions = { segment: '16KiB', sync: 'none', compression: 'deflate' };
  const directory = await nearItsEnd(options);
  await using log = await Log.open(directory, options);
  const most = Math.floor((CAPACITY - 64) / 32);
  expect(thrown(() => log.appendBatch(Array(CAPACITY).fill('')))).toMatchObject({
    code: 'ERR_RECORD_TOO_LARGE',
  });
  expect(log.appendBatch(Array(most).fill(''))).toBe(LAST);
  expect(thrown(() => log.appendBatch(['', '']))).toMatchObject({ code: 'ERR_CHANNEL_FULL' });
  expect(log.next).toBe(LAST + most);
});

test.each(['exclusive', 'shared'] as const)(
  'a log without offsets for another segment says so, and goes on to be read and opened: %s',
  async (writers) => {
    const options: LogOptions = { writers, segment: '16KiB', sync: 'none' };
    const directory = await nearItsEnd(options);

    const log = await Log.open(directory, options);
    for (let i = 0; i < 5; i++) expect(await log.appendAsync(KILOBYTES)).toBe(LAST + i);
    const full = { code: 'ERR_CHANNEL_FULL', path: fileOf(directory, LAST + 5), record: LAST + 5 };
    const ways = [() => log.appendAsync(KILOBYTES), () => log.commit([KILOBYTES])];
    for (const way of ways) expect(await failure(way)).toMatchObject(full);
    if (writers === 'exclusive') expect(thrown(() => log.append(KILOBYTES))).toMatchObject(full);
    // There is room for that still.
    expect(await log.commit('small')).toBe(LAST + 5);
    expect(log.next).toBe(LAST + 6);
    await log.close();
    expect(readdirSync(directory).filter((name) => name.endsWith('.mr'))).toHaveLength(1);
    expect(await Log.verify(directory)).toMatchObject({ sound: true });

    await using again = await Log.open(directory, options);
    expect(again.recovery?.after).toBe('close');
    expect(
      again
        .tail({ from: LAST + 5 })
        .read()
        ?.value.toString(),
    ).toBe('small');
    expect(await again.commit('smaller')).toBe(LAST + 6);
  },
);

import { existsSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { FIRST_SLOTS } from '../../lib/log/cursors/cursor-layout.js';
import { Log, type LogOptions } from '../../lib/log/index.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { LEAVING } from './leaving.js';

const opened: Log[] = [];

async function open(directory: string, options: LogOptions = {}): Promise<Log> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  opened.push(log);
  return log;
}

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

describe.each(LEAVING)('a log that is %s while it is appended to', (_, leave) => {
  test('is not gone on with in another segment, neither where it was nor in the one that is made there next', async () => {
    const directory = newDirectory();
    const forgotten = await open(directory, { retention: { segments: 1 } });
    forgotten.append('mine');
    leave(directory);
    const untilRoll = () => {
      for (;;) forgotten.append(Buffer.alloc(3000));
    };
    expect(thrown(untilRoll)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    expect(existsSync(directory)).toBe(false);
    const fresh = await open(directory);
    for (let n = 0; n < 12; n++) expect(fresh.append(Buffer.alloc(3000, n))).toBe(n);
    const before = readdirSync(directory);
    expect(thrown(untilRoll)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
    expect(await failure(() => forgotten.commit(Buffer.alloc(3000)))).toMatchObject({
      code: 'ERR_NOT_FOUND',
    });
    expect(await failure(() => forgotten.compact())).toMatchObject({
      code: 'ERR_NOT_FOUND',
      path: directory,
    });
    await forgotten.lookAfter();
    expect(readdirSync(directory)).toEqual(before);
    await forgotten.close();
    expect((await collect(fresh.read())).map(({ value }) => value[0])).toEqual([...Array(12).keys()]);
    expect((await Log.verify(directory)).faults).toEqual([]);
  });

  test.each([false, 'records'] as const)(
    'sets no cursor of the one that is made there next, nor takes one for its own (readOnly: %s)',
    async (readOnly) => {
      const directory = newDirectory();
      const writer = await open(directory);
      writer.appendBatch(['a', 'b', 'c']);
      const forgotten = readOnly === false ? writer : await open(directory, { readOnly });
      const reading = forgotten.read({ cursor: 'mailer' });
      await reading.next();
      leave(directory);
      const fresh = await open(directory);
      fresh.appendBatch(['d', 'e', 'f']);
      const before = readdirSync(directory);
      const gone = { code: 'ERR_NOT_FOUND', path: directory };
      expect(await failure(() => forgotten.cursor('mailer').set(2))).toMatchObject(gone);
      expect(await failure(() => collect(reading))).toMatchObject(gone);
      expect(readdirSync(directory)).toEqual(before);
      await fresh.cursor('mailer').set(1);
      expect(await failure(() => forgotten.cursor('mailer').set(2))).toMatchObject(gone);
      expect(thrown(() => forgotten.cursor('mailer').get())).toMatchObject(gone);
      expect(thrown(() => forgotten.cursors())).toMatchObject(gone);
      expect(fresh.cursors()).toEqual([{ name: 'mailer', offset: 1, lag: 2 }]);
    },
  );

  test('puts no larger file of cursors in the place of that of the one that is made there next', async () => {
    const directory = newDirectory();
    const forgotten = await Log.open(directory);
    for (let slot = 0; slot < FIRST_SLOTS; slot++) await forgotten.cursor(`of-old-${slot}`).set(0);
    await forgotten.cursor('of-old-0').flush();
    leave(directory);
    const fresh = await open(directory);
    await fresh.cursor('mailer').set(0);
    const path = join(directory, 'cursors.mr');
    expect(await failure(() => forgotten.cursor('one-more').set(0))).toMatchObject({
      code: 'ERR_NOT_FOUND',
      path,
    });
    expect(await failure(() => forgotten.close())).toMatchObject({ code: 'ERR_NOT_FOUND', path });
    await fresh.cursor('mailer').flush();
    expect(fresh.cursors()).toEqual([{ name: 'mailer', offset: 0, lag: 0 }]);
    expect(readdirSync(directory)).toEqual(['cursors.mr', 'log.lock']);
  });
});

test('whoever appends by turns with a lock that was removed is refused: others have another one', async () => {
  const directory = newDirectory();
  const before = await open(directory, { writers: 'shared' });
  expect(await before.appendAsync('a')).toBe(0);
  unlinkSync(join(directory, 'log.lock'));
  const after = await open(directory, { writers: 'shared' });
  // It looks at the name now and then.
  const { now } = performance;
  vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + 1000);
  for (const append of [() => before.appendAsync('lost'), () => before.commit('lost')]) {
    expect(await failure(append)).toMatchObject({ code: 'ERR_NOT_FOUND', path: directory });
  }
  expect(await after.appendAsync('b')).toBe(1);
  expect((await collect(after.read())).map(({ value }) => value.toString())).toEqual(['a', 'b']);
});

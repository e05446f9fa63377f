import { cpSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { LockFile, Turns } from '../../lib/log/files/index.js';
import { Log, type LogOptions, type LogRecovery } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';

const SHARED: LogOptions = { writers: 'shared', sync: 'none' };

const opened: Log[] = [];

async function open(directory: string): Promise<Log> {
  const log = await Log.open(directory, SHARED);
  opened.push(log);
  return log;
}

afterEach(async () => {
  await endAll();
  await Promise.all(opened.splice(0).map((log) => log.close()));
});

/** What is found of the log, would all who have it open now be killed. */
async function foundAfterDeath({ path }: Log): Promise<LogRecovery['after'] | undefined> {
  const copy = newPath();
  cpSync(path, copy, { recursive: true });
  await using log = await Log.open(copy, SHARED);
  return log.recovery?.after;
}

test('that the last one was killed is told also where another one had closed the log before', async () => {
  const directory = newDirectory();
  const first = await open(directory);
  await first.appendAsync('first');
  const given = { directory, open: SHARED, life: 1, notes: `${newPath()}-notes` };
  const child = new Child('../../log/fixtures/sharing-child.js', given);
  await child.expect('open');
  await first.close();
  child.send('go');
  await using reading = await Log.open(directory, { readOnly: true });
  await reading.read({ from: 1, follow: true }).next();
  child.kill('SIGKILL');
  await child.end();
  expect((await open(directory)).recovery?.after).toBe('process');
});

test('whether the log was closed is up to the one who had the last turn', async () => {
  const directory = newDirectory();
  const one = await open(directory);
  await one.appendAsync('one');
  const other = await open(directory);
  await other.appendAsync('other');
  await one.appendAsync('one');
  const third = await open(directory);
  await third.appendAsync('third');
  await one.close();
  expect(await foundAfterDeath(third)).toBe('process');
  await third.close();
  // What was appended last is of one who let go of it.
  expect(await foundAfterDeath(other)).toBe('close');
  await other.appendAsync('other');
  expect(await foundAfterDeath(other)).toBe('process');
  await other.close();
  expect((await open(directory)).recovery?.after).toBe('close');
});

test('who goes on behind one that died in its turn has not closed the log', async () => {
  const directory = newDirectory();
  const log = await open(directory);
  await log.appendAsync('before');
  const lock = LockFile.open(directory, true) as LockFile;
  await new Turns(lock).take({});
  lock.close();
  await log.appendAsync('behind');
  expect(await foundAfterDeath(log)).toBe('process');
  await log.close();
  expect((await open(directory)).recovery?.after).toBe('close');
});

test('who commits to a log that is closed in the very turn of it has it on the disk', async () => {
  const log = await open(newDirectory());
  let closing: Promise<void> | undefined;
  const value = {
    get value() {
      closing ??= log.close();
      return 'x';
    },
  };
  expect(await log.commit(value)).toBe(0);
  await closing;
  await using again = await Log.open(log.path, { readOnly: true });
  expect(again.durable).toBe(1);
});

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { millrace, objectsOf, onTerminal, Running } from './command.js';
import { recordsOf } from './log.js';

const compact = (directory: string, ...args: string[]) => millrace('log', 'compact', directory, ...args);

/** Ten keys in turn, over several segments, of which the key 'gone' is gone. */
async function keyedLog(count = 5000): Promise<string> {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '64KiB', sync: 'none' });
  log.append({ key: 'gone', value: 'x' });
  log.append({ key: 'gone', value: null, timestamp: Date.now() - 60_000 });
  for (let i = 0; i < count; i++) log.append({ key: `key ${i % 10}`, value: `value ${i}` });
  return directory;
}

const latest = async (directory: string) =>
  Object.fromEntries((await recordsOf(directory)).map(({ key, value }) => [`${key}`, `${value}`]));

test('takes away what later records took the place of, and tells how much that was', async () => {
  const directory = await keyedLog();
  const before = await latest(directory);
  const { code, stdout, stderr } = await compact(directory, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [{ segments, records, bytes }] = objectsOf(stdout);
  const left = await recordsOf(directory);
  expect(left).toHaveLength(5002 - Number(records));
  expect(segments).toBeGreaterThan(2);
  expect(records).toBeGreaterThan(3000);
  expect(bytes).toBeGreaterThan(100_000);
  expect(await latest(directory)).toEqual(before);
  expect(left.at(-1)).toMatchObject({ offset: 5001 });
  expect(left[0]).toMatchObject({ offset: 1, tombstone: true });
  expect(await compact(directory)).toEqual({
    code: 0,
    stdout: 'there was nothing to take away\n',
    stderr: '',
  });
  const again = await compact(directory, '--tombstones', '1000');
  expect(again).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^took 1 record out of 1 segment, and gave .+ back\n$/),
  });
  expect(Object.keys(await latest(directory))).not.toContain('gone');
});

test('what is too much for --tombstones is told by that name', async () => {
  const { code, stderr } = await compact(await keyedLog(10), '--tombstones', String(Number.MAX_SAFE_INTEGER));
  expect(code).toBe(2);
  expect(stderr).toMatch(/^millrace: log compact: --tombstones must be [^\n]+\n$/);
});

test('not a log that has a live writer, and none that is not there', async () => {
  const directory = await keyedLog(10);
  const gone = join(newDirectory(), 'gone');
  expect((await compact(gone)).stderr).toMatch(/^millrace: [^\n]+\(ERR_NOT_FOUND\)\n$/);
  expect(existsSync(gone)).toBe(false);
  await using _log = await Log.open(directory);
  expect(await compact(directory)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      new RegExp(`in process ${process.pid} already; millrace log read [^\n]+ \\(ERR_WRITER_ACTIVE\\)\n$`),
    ),
  });
});

test('beside those who append to a log that is shared', async () => {
  const directory = newDirectory();
  await using log = await Log.open(directory, { writers: 'shared', segment: '64KiB' });
  for (let i = 0; i < 30; i++) {
    await log.appendAsync(Array.from({ length: 100 }, (_, j) => ({ key: String(j), value: `value ${i}` })));
  }
  const { code, stdout } = await compact(directory, '--json');
  expect(code).toBe(0);
  expect(objectsOf(stdout)[0].records).toBeGreaterThan(500);
  expect(await log.appendAsync('next')).toBe(3000);
});

test('interrupted, it leaves the log whole', async () => {
  const directory = await keyedLog(100_000);
  const before = await latest(directory);
  const compacting = new Running(['log', 'compact', directory]);
  await compacting.until(() =>
    readFileSync(`/proc/${compacting.child.pid}/maps`, 'utf8').includes(directory),
  );
  const { code, stderr } = await compacting.end('SIGINT');
  // It may have been done by then.
  expect(code === 0 || (code === 1 && stderr.includes('(ERR_ABORTED)'))).toBe(true);
  expect(await latest(directory)).toEqual(before);
});

test('how far it is is shown on a terminal', async () => {
  const directory = await keyedLog(50_000);
  const file = join(newDirectory(), 'out');
  expect(await onTerminal(['log', 'compact', directory], file)).toMatch(/\d+ %/);
  expect(readFileSync(file, 'utf8')).toMatch(/^took /);
});

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { dieAfter, millrace, objectsOf, Running } from './command.js';

test('tells people what a live channel is and who reads it', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { capacity: '64KiB', metadata: { schema: 'orders' } });
  using _reader = await Reader.open(path, { name: 'billing?[2J', gate: true });
  // A name that is refused here may stand in a file that something else wrote.
  const file = openSync(path, 'r+');
  writeSync(file, '\u001b', readFileSync(path).indexOf('?[2J'));
  closeSync(file);
  for (let i = 0; i < 1500; i++) writer.tryWrite('0123456789abcdef');
  writer.heartbeat();
  const { code, stdout, stderr } = await millrace('stat', path);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toContain(`${path}\n`);
  expect(stdout).toMatch(/ {2}state +open\n/);
  expect(stdout).toMatch(new RegExp(` {2}writer +alive, pid ${process.pid}, last heartbeat .+ ago\n`));
  expect(stdout).toMatch(/ {2}capacity +64 KiB \(65,536 bytes\)\n/);
  expect(stdout).toMatch(/ {2}written +1,500 records, 46\.9 KiB \(48,000 bytes\) of stream, 0\.7 laps\n/);
  expect(stdout).toContain('{"schema":"orders"}');
  expect(stdout).toMatch(/billing\\u001b\[2J +\d+ +gating +46\.9 KiB +48,000 +0 +for ever/);
});

test('one object a line for machines; a fault in one path does not hide the others', async () => {
  const path = newPath();
  const writer = await Writer.create(path, { mode: 'linear', capacity: '64KiB' });
  writer.write('x');
  writer.seal();
  const { code, stdout, stderr } = await millrace('stat', '--json', path, `${path}-gone`, path);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^millrace: [^\n]+\(ERR_NOT_FOUND\)\n$/);
  expect(objectsOf(stdout)).toMatchObject([
    { path, mode: 'linear', status: 'sealed', records: 1, readers: [] },
    { path, status: 'sealed' },
  ]);
});

test('says that a writer died', async () => {
  const path = newPath();
  await dieAfter(path, `(await Writer.create(path, { capacity: '64KiB' })).write('x')`);
  const { code, stdout } = await millrace('stat', path);
  expect(code).toBe(0);
  expect(stdout).toMatch(/ {2}state +open, its writer is dead/);
});

test('--watch repeats with rates until it is interrupted', async () => {
  const path = newPath();
  using writer = await Writer.create(path, { mode: 'linear', capacity: '1MiB' });
  const watching = new Running(['stat', '--watch', '--json', path]);
  await watching.until(({ lines }) => lines.length > 0);
  for (let i = 0; i < 1000; i++) writer.write('0123456789abcdef');
  writer.heartbeat();
  await watching.until(({ lines }) => lines.length > 1);
  const { code, stdout, stderr } = await watching.end('SIGINT');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [first, second] = objectsOf(stdout);
  expect(first.rates).toBeUndefined();
  const { records, bytes } = second.rates as { records: number; bytes: number };
  // A second passed, or a little more; never less.
  expect(records).toBeGreaterThan(100);
  expect(records).toBeLessThanOrEqual(1000);
  expect(bytes / records).toBeCloseTo(32, 0);
});

test('--watch ends once nothing is left to watch', async () => {
  const { code } = await millrace('stat', '--watch', newPath());
  expect(code).toBe(1);
});

test('a segment of a log is told to be one, and nothing is said of resuming it alone', async () => {
  const directory = newDirectory();
  const log = await Log.open(directory, { segment: '16KiB' });
  while (log.segments().length < 2) log.append('x'.repeat(100));
  const [{ path: first }, { path: last, base }] = log.segments();
  const shown = async (path: string) => (await millrace('stat', path)).stdout;
  const segment = (from: number) =>
    `\n  segment    of the log ${directory}, from offset ${from} on; millrace log stat ${directory} tells of all of it\n`;
  expect(await shown(last)).toMatch(new RegExp(`\\n  state +open\\n  writer +alive, pid ${process.pid}, `));
  await log.close();
  for (let i = 0; i < 2; i++) await (await Log.open(directory)).close();
  expect(await shown(first)).toContain(`${segment(0)}  state      sealed\n`);
  const text = await shown(last);
  expect(text).toContain(
    `${segment(base)}  state      open: who appends to the log goes on with it\n  writer     none\n`,
  );
  expect(text).not.toMatch(/is dead|abandoned|resumed/);
});

import { linkSync, mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Found, Looker } from '../../lib/cli/top/looker.js';
import { sortBy } from '../../lib/cli/top/order.js';
import { pictureOf } from '../../lib/cli/top/picture.js';
import { Reader, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { contentsOf, StoppedWriter } from '../helpers/stopped-writer.js';
import { dieAfter, linesOf, millrace, objectsOf, Running } from './command.js';
import { closedLog, numbered } from './log.js';

/** What it printed, by looks: each begins with a new time. */
function looksOf(lines: string[]): Record<string, unknown>[][] {
  const looks: Record<string, unknown>[][] = [];
  for (const one of objectsOf(`${lines.join('\n')}\n`)) {
    if (one.at === looks.at(-1)?.[0].at) looks.at(-1)?.push(one);
    else looks.push([one]);
  }
  return looks;
}

const pathsOf = (look: Record<string, unknown>[] = []) => look.map(({ path }) => path);

test('the busiest comes first, with rates from the second look on, until Ctrl-C', async () => {
  const directory = newDirectory();
  const [a, b] = [join(directory, 'a'), join(directory, 'b')];
  using _idle = await Writer.create(a, { capacity: '64KiB' });
  using busy = await Writer.create(b, { mode: 'linear', capacity: '1MiB' });
  const log = await Log.open(join(directory, 'events'));
  const watching = new Running(['top', directory, '--json']);
  await watching.until(({ lines }) => lines.length >= 3);
  for (let i = 0; i < 1000; i++) busy.write('0123456789abcdef');
  busy.heartbeat();
  log.appendBatch(numbered(100));
  await watching.until(({ lines }) => lines.length >= 6);
  const { code, stdout, stderr } = await watching.end('SIGINT');
  await log.close();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [first, second] = looksOf(linesOf(stdout));
  expect(pathsOf(first)).toEqual([a, b, log.path]);
  expect(first.map(({ rates }) => rates)).toEqual([undefined, undefined, undefined]);
  expect(pathsOf(second)).toEqual([b, log.path, a]);
  expect(second).toMatchObject([
    { kind: 'channel', mode: 'linear', status: 'alive', records: 1000 },
    { kind: 'log', earliest: 0, next: 100, segments: 1, writer: true },
    { kind: 'channel', mode: 'ring', rates: { records: 0, bytes: 0 } },
  ]);
  const { records, bytes } = second[0].rates as { records: number; bytes: number };
  // A second passed, or a little more; never less.
  expect(records).toBeGreaterThan(0);
  expect(records).toBeLessThanOrEqual(1000);
  expect(bytes / records).toBeCloseTo(32, 0);
  expect((second[1].rates as { records: number }).records).toBeLessThanOrEqual(100);
});

test('channels come and go between looks', async () => {
  const directory = newDirectory();
  const [old, young] = [join(directory, 'old'), join(directory, 'young')];
  (await Writer.create(old, { capacity: '64KiB' })).close();
  const watching = new Running(['top', directory, '--json']);
  await watching.until(({ lines }) => lines.length >= 1);
  (await Writer.create(young, { capacity: '64KiB' })).close();
  await watching.until(({ lines }) => lines.some((line) => line.includes(young)));
  rmSync(old);
  await watching.until(({ lines }) => pathsOf(looksOf(lines).at(-1)).join() === young);
  expect(await watching.end('SIGINT')).toMatchObject({ code: 0, stderr: '' });
});

test('what is no channel is passed over; one that is damaged is told, and the exit code is 1', async () => {
  const directory = newDirectory();
  writeFileSync(join(directory, 'note'), 'no channel');
  writeFileSync(join(directory, 'empty'), '');
  mkdirSync(join(directory, 'folder'));
  (await Writer.create(join(directory, '.hidden'), { capacity: '64KiB' })).close();
  expect(await millrace('top', directory, '--once', '--json')).toEqual({ code: 0, stdout: '', stderr: '' });
  const path = join(directory, 'damaged');
  (await Writer.create(path, { capacity: '64KiB' })).close();
  writeFileSync(path, readFileSync(path).fill(0xff, 8, 64));
  const { code, stdout, stderr } = await millrace('top', directory, '--once', '--json');
  expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  expect(objectsOf(stdout)).toMatchObject([{ kind: 'channel', path, fault: { code: 'ERR_FORMAT' } }]);
  const shown = (await millrace('top', directory, '--once')).stdout;
  expect(shown).toMatch(/^damaged +ERR_FORMAT +-/m);
  // And why.
  const { message } = (objectsOf(stdout)[0] as { fault: { message: string } }).fault;
  expect(shown).toContain(`\n\n${message.replaceAll(path, 'damaged')}\n`);
});

test('of a damaged log the reason is told, too', async () => {
  const directory = newDirectory();
  const log = await closedLog(numbered(3), join(directory, 'log'));
  writeFileSync(join(log, 'cursors.mr'), Buffer.alloc(8192, 0xff));
  const { code, stdout } = await millrace('top', directory, '--once');
  expect(code).toBe(1);
  const [, errorCode] = /^log +(ERR_\w+) /m.exec(stdout) ?? [];
  const [{ cursorsFault }] = objectsOf((await millrace('top', directory, '--once', '--json')).stdout) as [
    { cursorsFault: { code: string; message: string } },
  ];
  expect(errorCode).toBe(cursorsFault.code);
  expect(stdout).toContain(`\n\n${cursorsFault.message.replaceAll(log, 'log')}\n`);
});

test('directories are looked through to a depth, and a log is one thing', async () => {
  const directory = newDirectory();
  mkdirSync(join(directory, 'one/two'), { recursive: true });
  for (const name of ['top', 'one/middle', 'one/two/deep']) {
    (await Writer.create(join(directory, name), { capacity: '64KiB' })).close();
  }
  const log = await closedLog(numbered(3), join(directory, 'one/log'));
  const namesAt = async (...args: string[]) =>
    pathsOf(objectsOf((await millrace('top', ...args, '--once', '--json', '--sort', 'path')).stdout)).map(
      (path) => String(path).slice(directory.length + 1),
    );
  expect(await namesAt(directory, '--depth', '0')).toEqual(['top']);
  expect(await namesAt(directory)).toEqual(['one/log', 'one/middle', 'top']);
  expect(await namesAt(directory, '--depth', '2')).toEqual(['one/log', 'one/middle', 'one/two/deep', 'top']);
  expect(await namesAt(log)).toEqual(['one/log']);
  expect((await millrace('top', log, '--once')).stdout).toMatch(/^\. +idle +1 .* 0 +3 +0 +0 +-$/m);
});

test('what channels have in bytes and logs in records is not sorted together', async () => {
  const directory = newDirectory();
  using writer = await Writer.create(join(directory, 'channel'), { capacity: '64KiB' });
  using _reader = await Reader.open(writer.path, { gate: true });
  writer.write('x');
  const log = await closedLog(numbered(4000), join(directory, 'log'));
  await millrace('log', 'cursors', log, 'set', 'billing', '0');
  const { stdout } = await millrace('top', directory, '--once', '--json', '--sort', 'lag');
  expect(objectsOf(stdout).map(({ kind }) => kind)).toEqual(['channel', 'log']);
  const busy = { kind: 'log', path: 'a', at: 0, look: { rates: { records: 1000 } } };
  const busier = { kind: 'log', path: 'b', at: 0, look: { rates: { records: 2000 } } };
  const slow = { kind: 'channel', path: 'c', at: 0, rates: { records: 1, bytes: 32 } };
  const found = [busy, slow, busier] as Found[];
  sortBy('bytes', found);
  expect(found).toEqual([slow, busier, busy]);
  sortBy('rate', found);
  expect(found).toEqual([busier, busy, slow]);
});

test('tells people who is behind, who is dead and how full it is', async () => {
  const directory = newDirectory();
  using writer = await Writer.create(join(directory, 'ring'), { capacity: '64KiB' });
  using _reader = await Reader.open(writer.path, { gate: true });
  while (writer.tryWrite(Buffer.alloc(4080)) > 0);
  writer.heartbeat();
  await dieAfter(join(directory, 'dead'), `await Writer.create(path, { mode: 'linear', capacity: '64KiB' })`);
  const { code, stdout } = await millrace('top', directory, '--once', '--sort', 'lag');
  expect(code).toBe(0);
  const [summary, , , ring, dead] = linesOf(stdout);
  expect(summary).toBe(`${directory}: 2 channels, 0 logs; 0 records/s, 0 B/s written`);
  expect(ring).toMatch(/^ring +alive +ring +64 KiB +93 % +15 +0 +0 B +1 +60 KiB +0$/);
  expect(dead).toMatch(/^dead +dead +linear +64 KiB +0 % +0 +0 +0 B +0 +- +0$/);
});

test('changes nothing: no byte, no name, no time', async () => {
  const directory = newDirectory();
  const writer = await Writer.create(join(directory, 'closed'), { capacity: '64KiB' });
  writer.write('x');
  writer.close();
  const log = join(directory, 'log');
  const stopped = await StoppedWriter.after(log, `log.append('x'); await log.cursor('one').set(1)`);
  try {
    const before = contentsOf(directory);
    const watching = new Running(['top', directory, '--json']);
    await watching.until(({ lines }) => lines.length >= 4);
    expect(contentsOf(directory)).toEqual(before);
    expect(await watching.end('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
    expect(contentsOf(directory)).toEqual(before);
  } finally {
    await stopped.kill();
  }
});

test('of thousands of channels nothing stays open or mapped between looks', async () => {
  const directory = newDirectory();
  const first = join(directory, '0000');
  (await Writer.create(first, { mode: 'linear', capacity: '16KiB' })).close();
  const CHANNELS = 3000;
  for (let i = 1; i < CHANNELS; i++) linkSync(first, join(directory, String(i).padStart(4, '0')));
  const watching = new Running(['top', directory, '--json']);
  await watching.until(({ lines }) => lines.length >= 3 * CHANNELS);
  const { pid } = watching.child;
  const isOurs = (path: string) => path.includes(directory);
  // It looks again and again; in between there is nothing.
  await watching.until(
    () => !readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n').some(isOurs) && !openBy(pid).some(isOurs),
  );
  expect(await watching.end('SIGINT')).toMatchObject({ code: 0, stderr: '' });
});

function openBy(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
}

function faulty(path: string): Found {
  const message = `${path} is damaged, and ${'very '.repeat(20)}much so`;
  return { kind: 'channel', path, at: 0, fault: { code: 'ERR_CORRUPT', message } };
}

test('fits the terminal: columns go, and names and rows are shortened', async () => {
  const directory = newDirectory();
  const long = 'a-name-that-is-longer-than-others-and-ends-in-';
  for (let i = 0; i < 20; i++) {
    (await Writer.create(join(directory, `${long}${i}`), { mode: 'linear', capacity: '16KiB' })).close();
  }
  for (let i = 0; i < 5; i++) await closedLog(['x'], join(directory, `log-${i}`));
  const found = await new Looker(directory, 1, new AbortController().signal).look();
  const whole = pictureOf(directory, found, { width: undefined, height: undefined });
  expect(whole.filter((line) => line.startsWith(long))).toHaveLength(20);
  expect(whole.find((line) => line.startsWith('PATH'))).toMatch(/EVICTED$/);
  for (const height of [12, 16, 24, 50]) {
    for (let width = 45; width <= 200; width++) {
      const picture = pictureOf(directory, found, { width, height });
      expect(picture.filter((line) => line.length > width)).toEqual([]);
      expect(picture.length).toBeLessThan(height);
      expect(picture.join('\n')).toMatch(/-in-\d+ +closed .*\n[\s\S]*\nlog-0 +idle /);
    }
  }
  const damaged = [...found, ...['a', 'b', 'c', 'd'].map((name) => faulty(join(directory, name)))];
  for (const height of [12, 16, 24, 50]) {
    const picture = pictureOf(directory, damaged, { width: 80, height });
    expect(picture.length).toBeLessThan(height);
    expect(picture.filter((line) => line.length > 80)).toEqual([]);
  }
  const low = pictureOf(directory, damaged, { width: 120, height: 5 });
  expect(low.join()).not.toContain('very');
  expect(low[0]).toContain(': 24 channels, 5 logs, 4 damaged');
  const wide = pictureOf(directory, damaged, { width: 80, height: 50 });
  expect(wide).toContain(`a is damaged, and ${'very '.repeat(20).slice(0, 61)}…`);
  const narrow = pictureOf(directory, found, { width: 60, height: 16 });
  expect(narrow.join('\n')).toMatch(/PATH +STATUS +RECORDS\/S +LAG\n…/);
  expect(narrow.join('\n')).toMatch(/\n… and \d+ more\n/);
});

test('wrong use', async () => {
  const path = newPath();
  (await Writer.create(path, { capacity: '64KiB' })).close();
  for (const [args, code, hint] of [
    [['--sort', 'size2'], 2, 'top: --sort takes rate or bytes or records or lag or size or path, not '],
    [['--depth', '-1'], 2, 'a whole number from 0 up'],
    [['a', 'b'], 2, 'one directory at a time'],
    [[path], 1, `of a channel tells millrace stat ${path} (ERR_FORMAT)`],
    [[`${path}-gone`], 1, '(ERR_NOT_FOUND)'],
  ] as const) {
    const outcome = await millrace('top', ...args);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(hint);
  }
});

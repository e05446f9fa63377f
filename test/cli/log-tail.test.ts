import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { fileOf, flip } from '../log/damaging.js';
import { linesOf, millrace, objectsOf, piped, Running } from './command.js';
import { closedLog, numbered } from './log.js';

const started = (directory: string, ...args: string[]) => new Running(['log', 'tail', directory, ...args]);

test.each([
  [[], 10],
  [['-n', '2'], 2],
  [['-n', '99999', '-f'], 3000],
])('%j: the last %i records, and those that come', async (args, count) => {
  const directory = await closedLog(numbered(3000));
  const tail = started(directory, '--values', ...args);
  await tail.until(({ lines }) => lines.length === count);
  await using log = await Log.open(directory);
  log.append('new');
  await tail.until(({ lines }) => lines.length === count + 1);
  const { code, stderr } = await tail.end('SIGINT');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(tail.lines).toEqual([...numbered(3000).slice(-count), 'new']);
});

test('of an empty log, what comes', async () => {
  const directory = await closedLog([]);
  const tail = started(directory, '--json');
  await using log = await Log.open(directory);
  log.appendBatch(['one', 'two']);
  await tail.until(({ lines }) => lines.length === 2);
  const { stdout } = await tail.end('SIGTERM');
  expect(objectsOf(stdout)).toMatchObject([
    { offset: 0, value: 'one' },
    { offset: 1, value: 'two' },
  ]);
});

test('nothing is missing and nothing comes twice while it is being written', async () => {
  const directory = await closedLog(['0']);
  await using log = await Log.open(directory);
  const writing = setInterval(() => {
    for (let i = 0; i < 100; i++) log.append(String(log.next));
  }, 1);
  const { stdout } = await piped(['log', 'tail', directory, '--values', '-n', '50'], 'head -n 2000');
  clearInterval(writing);
  const seen = stdout.trim().split('\n').map(Number);
  expect(seen).toEqual(Array.from({ length: 2000 }, (_, i) => seen[0] + i));
});

describe('damage', () => {
  /** What it tells of a log with these values, the ones that say so damaged, and of what is appended then. */
  async function toldOf(values: string[], count: number, ...args: string[]) {
    const directory = newDirectory();
    await using log = await Log.open(directory);
    log.appendBatch(values);
    await log.flush();
    const path = fileOf(directory, 0);
    for (const value of values) if (value.startsWith('broken')) flip(path, readFileSync(path).indexOf(value));
    const tail = started(directory, ...args);
    await tail.until(({ lines }) => lines.length === count);
    log.append('new');
    await tail.until(({ lines }) => lines.length === count + 1);
    const { code, stderr } = await tail.end('SIGINT');
    return { code, stderr, lines: tail.lines };
  }

  test('is said in its place among the last records, and as many are printed as were asked for', async () => {
    const values = ['zero', 'one', 'broken 2', 'three', 'broken 4', 'five'];
    const { code, stderr, lines } = await toldOf(values, 5, '--json', '-n', '3');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { value: 'one' },
      { gap: { code: 'ERR_CORRUPT', from: 2, next: 3 } },
      { value: 'three' },
      { gap: { code: 'ERR_CORRUPT', from: 4, next: 5 } },
      { value: 'five' },
      { value: 'new' },
    ]);
    expect(code).toBe(1);
    expect(stderr.match(/ERR_CORRUPT/g)).toHaveLength(2);
  });

  test('with nothing in front of it', async () => {
    const { code, stderr, lines } = await toldOf(['broken', 'one'], 2, '-n', '3');
    expect(lines[0]).toBe('--- damaged from record 0 on; goes on at 1');
    expect(lines.slice(1).map((line) => line.split('  ').at(-1))).toEqual(['one', 'new']);
    expect(code).toBe(1);
    expect(stderr).toContain('(ERR_CORRUPT)');
  });

  test.each([
    ['2', ['two', 'three', '--- damaged from record 3 on']],
    ['0', []],
  ])(
    'at the end: what is before it is printed, if asked for (%s), and nothing is waited for',
    async (count, shown) => {
      const directory = await closedLog(['one', 'two', 'three', 'broken']);
      const path = fileOf(directory, 0);
      flip(path, readFileSync(path).indexOf('broken') - L.FRAME_HEADER_EXTENDED + L.FRAME_KIND_OFFSET);
      const { code, stdout, stderr } = await millrace('log', 'tail', directory, '-n', count);
      expect(linesOf(stdout).map((line) => line.split('  ').at(-1))).toEqual(shown);
      expect(code).toBe(1);
      expect(stderr).toMatch(/0\.mr is damaged at position 144.*\(ERR_CORRUPT\)\n/);
    },
  );
});

test('where there is no log', async () => {
  expect(await millrace('log', 'tail', '/dev/shm/no-such-log')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('(ERR_NOT_FOUND)'),
  });
});

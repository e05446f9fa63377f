import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { fileOf, range, someLog, textOf } from './damaging.js';

/** What may stand under a segment's name, and is none. */
const WAYS: [what: string, put: (directory: string, path: string) => void | Promise<void>][] = [
  ['a text', (_, path) => writeFileSync(path, 'hello, not a segment')],
  ['an empty file', (_, path) => writeFileSync(path, '')],
  ['zeros', (_, path) => writeFileSync(path, Buffer.alloc(81_920))],
  ['garbage', (_, path) => writeFileSync(path, Buffer.alloc(81_920, 7))],
  ['a directory', (_, path) => mkdirSync(path)],
  ['a link that leads nowhere', (_, path) => symlinkSync('/nonexistent/file', path)],
  ['a copy of a segment', (directory, path) => cpSync(fileOf(directory, 0), path)],
  [
    'half of a segment',
    (directory, path) => writeFileSync(path, readFileSync(fileOf(directory, 0)).subarray(0, 5000)),
  ],
  [
    'a segment of another log',
    async (_, path) => {
      const other = await someLog(2);
      cpSync(fileOf(other.directory, 0), path);
    },
  ],
];

/** A log of some segments in which the time of each record is as many seconds as its offset. */
async function timedLog() {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  const append = () => log.append({ value: textOf(log.next), timestamp: log.next * 1000 });
  while (log.segments().length < 4) append();
  for (let i = 0; i < 10; i++) append();
  return { directory, bases: log.segments().map(({ base }) => base), next: log.next };
}

describe.each(WAYS)('%s between two segments', (_, put) => {
  test('is passed over by who seeks there, and by who reads', async () => {
    const { directory, bases, next } = await timedLog();
    const [, second, , last] = bases;
    const strays = [5, second + 3, last + 4];
    for (const stray of strays) await put(directory, fileOf(directory, stray));
    await using log = await Log.open(directory, { readOnly: true });
    expect(log.next).toBe(next);
    expect(log.tail({ from: 'latest' }).offset).toBe(next);
    expect((await collect(log.read())).map(({ offset }) => offset)).toEqual(range(0, next));
    for (const stray of strays) {
      for (const offset of [stray - 1, stray, stray + 1]) {
        expect(log.tail({ from: offset }).read()?.offset).toBe(offset);
        expect(log.tail({ from: { time: offset * 1000 } }).read()?.offset).toBe(offset);
        const [back] = await collect(log.read({ from: offset, reverse: true, limit: 1 }));
        expect(back?.offset).toBe(offset);
      }
    }
    expect((await collect(log.read({ from: 7 }))).length).toBe(next - 7);
    expect((await collect(log.read({ reverse: true }))).length).toBe(next);
  });
});

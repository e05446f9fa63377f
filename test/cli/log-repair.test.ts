import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, test } from 'vitest';
import { Log } from '../../lib/log/index.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import { damage, fileOf, range, readable, remove, someLog, without } from '../log/damaging.js';
import { linesOf, millrace, objectsOf } from './command.js';

const verify = (...args: string[]) => millrace('log', 'verify', ...args);
const repair = (...args: string[]) => millrace('log', 'repair', ...args);

/** A record of the first segment is damaged, and the third one is missing. */
async function damaged() {
  const log = await someLog();
  const { directory, bases } = log;
  damage(fileOf(directory, 0), 0, 3);
  remove(fileOf(directory, bases[2]));
  return log;
}

test('verify: a sound log, exit code 0', async () => {
  const { directory, next } = await someLog();
  const before = contentsOf(directory);
  const { code, stdout, stderr } = await verify(directory);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(linesOf(stdout)).toEqual([
    `${directory}: sound`,
    `  ${next} records in 4 segments, ${next} of them by their checksum; offsets 0 to ${next - 1}, on the disk: none`,
  ]);
  expect(contentsOf(directory)).toEqual(before);
});

test('verify: how far it is on the disk, with the last offset of it, numbers as offsets are', async () => {
  const directory = newDirectory();
  const summary = async () => linesOf((await verify(directory)).stdout)[1];
  await using log = await Log.open(directory, { sync: 'none' });
  expect(await summary()).toMatch(/; the next offset is 0$/);
  log.append('one');
  await log.flush();
  expect(await summary()).toMatch(/; offset 0, on the disk: all$/);
  log.appendBatch(Array.from({ length: 1499 }, () => 'x'));
  expect(await summary()).toMatch(
    /^ {2}1500 records in 2 segments, \d+ of them by their checksum; offsets 0 to 1499, on the disk: up to 0$/,
  );
});

test('verify: each fault with file, position and offsets, exit code 1; the other logs are looked at, too', async () => {
  const [{ directory, bases }, sound] = [await damaged(), await someLog()];
  const before = contentsOf(directory);
  const { code, stdout } = await verify(directory, sound.directory);
  expect(code).toBe(1);
  const [head, first, second] = linesOf(stdout);
  expect(head).toBe(`${directory}: 2 faults`);
  expect(first).toMatch(/^ {2}ERR_CORRUPT at 384; goes on at 512: .+ \(offset 3\)$/);
  expect(first).toContain(fileOf(directory, 0));
  expect(second).toMatch(/^ {2}ERR_GAP: .+$/);
  expect(second).toContain(`(offsets ${bases[2]} to ${bases[3] - 1})`);
  expect(stdout).toContain(`${sound.directory}: sound`);
  expect(contentsOf(directory)).toEqual(before);
});

test('repair: what is intact stays, all else is told; exit code 0', async () => {
  const { directory, bases, next } = await damaged();
  const [{ faults }] = objectsOf((await verify(directory, '--json')).stdout);
  const { code, stdout, stderr } = await repair(directory, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [done] = objectsOf(stdout);
  const lost = [
    { from: 3, to: 4 },
    { from: bases[2], to: bases[3] },
  ];
  expect(done).toMatchObject({ path: directory, faults, lost, cursors: [] });
  for (const { path } of done.setAside as { path: string }[]) expect(existsSync(`${path}.why`)).toBe(true);
  expect(await readable(directory)).toEqual(without([...range(0, bases[2]), ...range(bases[3], next)], 3));
  expect((await verify(directory)).code).toBe(0);
  expect((await repair(directory)).stdout).toBe(`${directory}: sound, and left as it is\n`);
});

test('repair: in words', async () => {
  const { directory, bases } = await damaged();
  const original = readFileSync(fileOf(directory, 0));
  const { code, stdout } = await repair(directory);
  expect(code).toBe(0);
  const lines = linesOf(stdout);
  expect(lines[0]).toBe(`${directory}: 2 faults found`);
  const name = basename(fileOf(directory, 0));
  const aside = join(directory, 'set-aside', name);
  expect(lines).toContain(`  written anew: ${name}`);
  expect(lines.some((line) => line.startsWith(`  put aside: ${name} to ${aside}: `))).toBe(true);
  expect(lines.at(-1)).toBe(
    `  lost: offset 3, offsets ${bases[2]} to ${bases[3] - 1}; ${bases[3] - bases[2] + 1} records at most`,
  );
  expect(readFileSync(aside).equals(original)).toBe(true);
});

test('repair: not a log that has a live writer, and none that is not there', async () => {
  const { directory } = await someLog();
  const gone = join(newDirectory(), 'gone');
  for (const run of [verify, repair]) {
    expect(await run(gone)).toMatchObject({ code: 1, stderr: expect.stringContaining('(ERR_NOT_FOUND)') });
    expect((await run()).code).toBe(2);
  }
  expect(existsSync(gone)).toBe(false);
  await using _log = await Log.open(directory);
  expect((await verify(directory)).code).toBe(0);
  expect(await repair(directory)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/millrace log read [^\n]+ \(ERR_WRITER_ACTIVE\)\n$/),
  });
});

import diagnostics from 'node:diagnostics_channel';
import { cpSync, lstatSync, mkdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import * as L from '../../lib/channel/layout.js';
import { MillraceError } from '../../lib/errors.js';
import { Log, type LogRecordInput } from '../../lib/log/index.js';
import { Tidying } from '../../lib/log/upkeep/tidying.js';
import { newDirectory } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { fileOf, flip, justRolled, range, reboot, someLog, textOf, unseal } from './damaging.js';
import { basesOf } from './retained.js';

/** What may stand under a segment's name, and is none; `segment`: one of the log, under its own. */
const WAYS: [what: string, put: (path: string, segment: string) => void | Promise<void>][] = [
  ['a text', (path) => writeFileSync(path, 'hello, not a segment')],
  ['an empty file', (path) => writeFileSync(path, '')],
  ['zeros', (path) => writeFileSync(path, Buffer.alloc(81_920))],
  ['garbage', (path) => writeFileSync(path, Buffer.alloc(81_920, 7))],
  ['a directory', (path) => mkdirSync(path)],
  ['a link that leads nowhere', (path) => symlinkSync('/nonexistent/file', path)],
  ['a copy of a segment', (path, segment) => cpSync(segment, path)],
  ['half of a segment', (path, segment) => writeFileSync(path, readFileSync(segment).subarray(0, 5000))],
  [
    'a segment of another log',
    async (path) => {
      const other = await someLog(2);
      cpSync(fileOf(other.directory, 0), path);
    },
  ],
  [
    'a damaged segment of another log',
    async (path) => {
      const other = await someLog(2);
      cpSync(fileOf(other.directory, 0), path);
      flip(path, L.CREATED_OFFSET);
    },
  ],
];

/** A log of some segments in which the time of each record is as many seconds as its offset. */
async function timedLog(record: Partial<LogRecordInput> = {}) {
  const directory = newDirectory();
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  const append = () => log.append({ ...record, value: textOf(log.next), timestamp: log.next * 1000 });
  while (log.segments().length < 4) append();
  for (let i = 0; i < 10; i++) append();
  return { directory, bases: log.segments().map(({ base }) => base), next: log.next };
}

/** Hears of what the log tells. */
function heardOf(happening: string): object[] {
  const heard: object[] = [];
  const hear = (message: unknown) => void heard.push(message as object);
  diagnostics.subscribe(`millrace:${happening}`, hear);
  onTestFinished(() => void diagnostics.unsubscribe(`millrace:${happening}`, hear));
  return heard;
}

/** Whatever it is: it was moved, with a note. */
function expectSetAside(directory: string, base: number): void {
  const name = basename(fileOf(directory, base));
  const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
  expect(isThere(fileOf(directory, base))).toBe(false);
  expect(isThere(join(directory, 'set-aside', name))).toBe(true);
  const note = readFileSync(join(directory, 'set-aside', `${name}.why`), 'utf8');
  expect(note).toContain('it is not a segment of this log');
}

describe.each(WAYS)('%s between two segments', (_, put) => {
  test('is passed over by who seeks there, and by who reads', async () => {
    const { directory, bases, next } = await timedLog();
    const [, second, , last] = bases;
    const strays = [5, second + 3, last + 4];
    for (const stray of strays) await put(fileOf(directory, stray), fileOf(directory, 0));
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

  test('is set aside and told by retention, which counts segments of the log alone', async () => {
    const { directory, bases, next } = await timedLog();
    await put(fileOf(directory, 5), fileOf(directory, 0));
    const heard = heardOf('set-aside');
    await using log = await Log.open(directory, { sync: 'none', retention: { segments: 4 } });
    await log.cursor('slow').set(7);
    await log.lookAfter();
    expect(basesOf(log)).toEqual(bases);
    expectSetAside(directory, 5);
    expect(heard).toMatchObject([{ role: 'log', path: directory, file: basename(fileOf(directory, 5)) }]);
    expect((await collect(log.read())).length).toBe(next);
  });

  test('is no reason to remove what a cursor has to read before it', async () => {
    const { directory, bases } = await timedLog();
    await put(fileOf(directory, 5), fileOf(directory, 0));
    {
      await using reading = await Log.open(directory, { readOnly: 'records' });
      await reading.cursor('slow').set(7);
    }
    await using log = await Log.open(directory, { sync: 'none', retention: { segments: 1 } });
    await log.lookAfter();
    expect(basesOf(log)).toEqual(bases);
    await log.cursor('slow').delete();
    await log.lookAfter();
    expect(basesOf(log)).toEqual(bases.slice(-1));
    expectSetAside(directory, 5);
  });

  test('is set aside by retention, and not removed, also where it lies before all that is there', async () => {
    const { directory, bases } = await timedLog();
    const [first, second] = bases;
    unlinkSync(fileOf(directory, first));
    await put(fileOf(directory, 5), fileOf(directory, second));
    const heard = heardOf('set-aside');
    await using log = await Log.open(directory, { sync: 'none', retention: { segments: 3 } });
    await log.lookAfter();
    expect(basesOf(log)).toEqual(bases.slice(1));
    expectSetAside(directory, 5);
    expect(heard.length).toBe(1);
  });

  test('holds no removing up where there is no room to set it aside, and is set aside once there is', async () => {
    const { directory, bases } = await timedLog();
    const [first, second] = bases;
    unlinkSync(fileOf(directory, first));
    await put(fileOf(directory, 5), fileOf(directory, second));
    const failed = heardOf('failed');
    await using log = await Log.open(directory, { sync: 'none', retention: { segments: 2 } });
    const full = vi.spyOn(Tidying.prototype, 'setAside').mockImplementation(({ path }) => {
      throw new MillraceError('ERR_NO_SPACE', `No space for ${path}`, { path });
    });
    await log.lookAfter().catch(() => {});
    full.mockRestore();
    expect(failed).toMatchObject([{ error: { code: 'ERR_NO_SPACE', path: fileOf(directory, 5) } }]);
    expect(basesOf(log).filter((base) => base !== 5)).toEqual(bases.slice(2));
    expect(lstatSync(fileOf(directory, 5))).toBeDefined();
    await log.lookAfter();
    expect(basesOf(log)).toEqual(bases.slice(2));
    expectSetAside(directory, 5);
  });

  test('is set aside once room is made by removing what is before it', async () => {
    const { directory, bases, next } = await timedLog();
    await put(fileOf(directory, 5), fileOf(directory, 0));
    const failed = heardOf('failed');
    await using log = await Log.open(directory, { sync: 'none', retention: { segments: 2 } });
    const full = vi.spyOn(Tidying.prototype, 'setAside').mockImplementationOnce(({ path }) => {
      throw new MillraceError('ERR_NO_SPACE', `No space for ${path}`, { path });
    });
    onTestFinished(() => full.mockRestore());
    await log.lookAfter();
    expect(full).toHaveBeenCalledTimes(2);
    expect(failed).toEqual([]);
    expectSetAside(directory, 5);
    expect(basesOf(log)).toEqual(bases.slice(2));
    expect((await collect(log.read())).length).toBe(next - bases[2]);
  });

  test('is told by verify as what it is, and set aside by repair, which loses nothing', async () => {
    const { directory, bases, next } = await timedLog();
    const [, , , last] = bases;
    for (const stray of [5, last + 4]) await put(fileOf(directory, stray), fileOf(directory, 0));
    const { sound, faults, records } = await Log.verify(directory);
    expect({ sound, records }).toEqual({ sound: false, records: next });
    expect(faults).toMatchObject(
      [5, last + 4].map((stray) => ({ code: 'ERR_FORMAT', file: fileOf(directory, stray) })),
    );
    expect(faults.some(({ offset }) => offset !== undefined)).toBe(false);
    const { lost, rewritten } = await Log.repair(directory);
    expect({ lost, rewritten }).toEqual({ lost: [], rewritten: [] });
    expectSetAside(directory, 5);
    expectSetAside(directory, last + 4);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, records: next });
  });

  test('takes nothing of the log along where the machine went down since then', async () => {
    const { directory, bases, next } = await timedLog();
    for (const stray of [5, bases[1] + 3]) await put(fileOf(directory, stray), fileOf(directory, 0));
    reboot(directory, bases);
    expect(await Log.verify(directory)).toMatchObject({ records: next, cutOffAt: undefined });
    {
      await using log = await Log.open(directory);
      expect(log.recovery).toMatchObject({ dropped: 0, setAside: [{}, {}] });
      expect(log.next).toBe(next);
    }
    expect(await Log.verify(directory)).toMatchObject({ sound: true, records: next });
  });

  test('does not hide that its writer died before it had sealed the one in front of it', async () => {
    const { directory, next } = await justRolled(10);
    unseal(fileOf(directory, 0));
    await put(fileOf(directory, 5), fileOf(directory, 0));
    {
      await using log = await Log.open(directory);
      expect(log.recovery?.setAside).toMatchObject([{ name: basename(fileOf(directory, 5)) }]);
      expect(log.append(textOf(next))).toBe(next);
      expect((await collect(log.read())).map(({ offset }) => offset)).toEqual(range(0, next + 1));
    }
    expect(await Log.verify(directory)).toMatchObject({ sound: true, records: next + 1 });
  });

  test('is set aside by compaction, which goes on without it', async () => {
    const { directory, bases } = await timedLog({ key: 'the same' });
    await put(fileOf(directory, 5), fileOf(directory, 0));
    const heard = heardOf('set-aside');
    await using log = await Log.open(directory, { sync: 'none' });
    const { segments } = await log.compact();
    expect(segments).toBe(3);
    expect(basesOf(log)).toEqual(bases);
    expectSetAside(directory, 5);
    expect(heard.length).toBe(1);
  });
});

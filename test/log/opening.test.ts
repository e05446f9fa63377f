import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { declareAbandoned, type MillraceError, Writer } from '../../lib/index.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory, newPath } from '../helpers/run-directory.js';
import { collect } from './collect.js';
import { DATA, FRAME, fileOf, flip, reboot, shorten, someLog } from './damaging.js';

test('a segment is gone on with, and ended, by its log alone', async () => {
  const log = await Log.open(newDirectory(), { sync: 'none' });
  log.append('a');
  await log.close();
  const [{ path }] = await segmentsOf(log.path);
  const before = readFileSync(path);
  const refused = { code: 'ERR_INVALID_ARGUMENT', path };
  await expect(Writer.resume(path)).rejects.toMatchObject(refused);
  expect(thrown(() => declareAbandoned(path))).toMatchObject(refused);
  await expect(Writer.create(path, { replace: true })).rejects.toMatchObject(refused);
  expect(readFileSync(path).equals(before)).toBe(true);
});

async function segmentsOf(path: string) {
  await using log = await Log.open(path, { readOnly: true });
  return log.segments();
}

describe('a directory', () => {
  test('is made with all that is missing above it', async () => {
    const path = join(newPath(), 'of', 'a', 'log');
    const log = await Log.open(path, { sync: 'none' });
    expect(log.recovery).toEqual({ after: 'close', dropped: 0, setAside: [] });
    expect(log.append('first')).toBe(0);
    await log.close();
  });

  test('that two make at once is one', async () => {
    const path = join(newPath(), 'shared');
    const logs = await Promise.all([1, 2].map(() => Log.open(path, { writers: 'shared', sync: 'none' })));
    const offsets = await Promise.all(logs.map((log) => log.appendAsync('x')));
    expect(offsets.toSorted()).toEqual([0, 1]);
    for (const log of logs) await log.close();
  });

  test('is not a file, nor below one', async () => {
    const path = newPath();
    writeFileSync(path, 'mine');
    await expect(Log.open(path)).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT', path });
    await expect(Log.open(path, { readOnly: true })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', path });
    await expect(Log.open(join(path, 'log'))).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(readFileSync(path, 'utf8')).toBe('mine');
  });

  test('is not made where a link leads nowhere, nor below that', async () => {
    const link = join(newDirectory(), 'link');
    symlinkSync('/nonexistent/directory', link);
    for (const path of [link, join(link, 'below')]) {
      const error = await failure(() => Log.open(path));
      expect(error).toMatchObject({ code: 'ERR_FORMAT', path: link });
      expect(error.message).toContain('leads nowhere');
    }
  });

  test('that is full of others’ files stays theirs', async () => {
    const path = newDirectory();
    writeFileSync(join(path, 'mine.txt'), 'mine');
    mkdirSync(join(path, 'src'));
    await expect(Log.open(path)).rejects.toMatchObject({ code: 'ERR_EXISTS', path });
    expect(readdirSync(path).sort()).toEqual(['mine.txt', 'src']);
  });

  test('may be the root of a file system', async () => {
    const path = newDirectory();
    mkdirSync(join(path, 'lost+found'));
    for (let i = 0; i < 2; i++) {
      const log = await Log.open(path, { sync: 'none' });
      expect(log.recovery?.setAside).toEqual([]);
      await log.close();
    }
    expect(existsSync(join(path, 'lost+found'))).toBe(true);
  });

  test('that can’t be made is told', async () => {
    await expect(Log.open('/proc/none/log')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    const path = newPath();
    symlinkSync(join(newPath(), 'nowhere'), path);
    await expect(Log.open(path)).rejects.toThrow(path);
  });

  test('that has no log is not made one by who only reads', async () => {
    const path = newPath();
    await expect(Log.open(path, { readOnly: true })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', path });
    expect(existsSync(path)).toBe(false);
    const empty = newDirectory();
    await expect(Log.open(empty, { readOnly: 'records' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});

test('one alone has it open to append; others may read, and it is free once that is closed', async () => {
  const path = newPath();
  const log = await Log.open(path, { sync: 'none' });
  const beforeAnySegment = await failure(() => Log.open(path));
  expect(beforeAnySegment).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path });
  expect(beforeAnySegment).not.toHaveProperty('pid');
  log.append('read by others');
  await expect(Log.open(path)).rejects.toMatchObject({
    code: 'ERR_WRITER_ACTIVE',
    path,
    pid: process.pid,
  });
  const other = await Log.open(path, { readOnly: true });
  expect((await collect(other.read())).map(({ value }) => `${value}`)).toEqual(['read by others']);
  expect(() => other.append('x')).toThrow(expect.objectContaining({ code: 'ERR_PERMISSION' }));
  await other.close();
  await log.close();
  const next = await Log.open(path);
  expect(next.append('gone on')).toBe(1);
  await next.close();
});

describe('who is refused a log', () => {
  /** A log of one segment, and the same as it was before it was closed. */
  async function twoLogs() {
    const [closed, left] = [newPath(), newPath()];
    const log = await Log.open(closed, { sync: 'none' });
    log.append('one');
    cpSync(closed, left, { recursive: true });
    await log.close();
    return { closed, left };
  }

  /** What is told while another one goes on with the last segment, and has not signed that yet. */
  async function toldMeanwhile(path: string): Promise<MillraceError> {
    const { allocateFile } = binding();
    let told: Promise<MillraceError> | undefined;
    vi.spyOn(binding(), 'allocateFile').mockImplementationOnce(async (...given) => {
      told = failure(() => Log.open(path));
      await told;
      return allocateFile(...given);
    });
    await (await Log.open(path, { sync: 'none' })).close();
    vi.restoreAllMocks();
    if (told === undefined) throw new Error('Nobody went on with it');
    return told;
  }

  test('while another one goes on with it is told of no process that was before', async () => {
    const { closed, left } = await twoLogs();
    reboot(left, [0]);
    for (const path of [closed, left]) {
      const told = await toldMeanwhile(path);
      expect(told).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path });
      expect(told).not.toHaveProperty('pid');
    }
  });

  test('is told that, also where it can’t be looked who has it', async () => {
    const path = newPath();
    await using log = await Log.open(path, { sync: 'none' });
    log.append('one');
    const { openFile } = binding();
    vi.spyOn(binding(), 'openFile').mockImplementation((...given) => {
      if (given[0] !== fileOf(path, 0)) return openFile(...given);
      throw Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24, syscall: 'open' });
    });
    const told = await failure(() => Log.open(path));
    vi.restoreAllMocks();
    expect(told).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path });
    expect(told).not.toHaveProperty('pid');
  });
});

test('what is not of a log is set aside, with the reason beside it; readers leave it alone', async () => {
  const path = newPath();
  await (await Log.open(path)).close();
  writeFileSync(join(path, 'notes.txt'), 'mine');
  mkdirSync(join(path, 'folder'));
  await (await Log.open(path, { readOnly: true })).close();
  expect(existsSync(join(path, 'notes.txt'))).toBe(true);

  const log = await Log.open(path);
  const { setAside } = log.recovery as NonNullable<typeof log.recovery>;
  expect(setAside.map(({ name }) => name).toSorted()).toEqual(['folder', 'notes.txt']);
  const notes = setAside.find(({ name }) => name === 'notes.txt') as (typeof setAside)[number];
  expect(readFileSync(notes.path, 'utf8')).toBe('mine');
  expect(readFileSync(`${notes.path}.why`, 'utf8')).toContain(notes.reason);
  expect(statSync(join(path, 'set-aside', 'folder')).isDirectory()).toBe(true);
  await log.close();
  rmSync(path, { recursive: true });
});

test.each([
  ['a frame whose stamp is not its own', (path: string) => flip(path, DATA + 8 * FRAME + 9), 8 * FRAME],
  ['a damaged header', (path: string) => flip(path, 40), undefined],
  ['an end that is missing', (path: string) => shorten(path, DATA + 3 * FRAME), undefined],
])(
  'where the last segment has %s, opening tells which one it is, and its place where that is known',
  async (_, damage, position) => {
    const { directory, bases } = await someLog(3, { sync: 'commit' });
    const base = bases.at(-1) as number;
    const path = fileOf(directory, base);
    damage(path);
    const {
      code,
      path: told,
      offset,
      position: where,
      from,
      cause,
    } = await failure(() => Log.open(directory));
    expect({ code, told, offset, where, from }).toEqual({
      code: 'ERR_CORRUPT',
      told: path,
      offset: base,
      where: position,
      from: undefined,
    });
    expect((cause as { position?: number } | undefined)?.position).toBe(position);
  },
);

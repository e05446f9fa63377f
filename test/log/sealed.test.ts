import { spawnSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { disk, inspect } from '../../lib/channel/index.js';
import * as L from '../../lib/channel/layout.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { Child } from '../crash/fixtures/child.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { descriptorsIn } from '../native/addon.js';
import { FRAME, fileOf, someLog, textOf } from './damaging.js';

afterEach(() => void vi.restoreAllMocks());

function durableOf(directory: string, base: number): number {
  return inspect(fileOf(directory, base)).durable;
}

const RECORDS_A_SEGMENT = Math.floor((16_384 - 64) / FRAME);

/** Appends until another segment is begun; returns the first offset of the one that was sealed. */
function roll(log: Log): number {
  const sealed = Math.floor(log.next / RECORDS_A_SEGMENT) * RECORDS_A_SEGMENT;
  while (log.next <= sealed + RECORDS_A_SEGMENT) log.append(textOf(log.next));
  return sealed;
}

describe('segments that were sealed', () => {
  test('where nobody asks for the disk, the heap does not grow with them; who asks later has all of them there', async () => {
    const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none' });
    const growBy = async (segments: number) => {
      for (let i = 0; i < segments; i++) {
        roll(log);
        if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      // What is under way ends.
      for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
      (globalThis.gc as () => void)();
      return process.memoryUsage().heapUsed;
    };
    const heaps: number[] = [];
    for (let stretch = 0; stretch < 5; stretch++) heaps.push(await growBy(1200));
    // What the engine compiles meanwhile is on the heap too, now and then; what is kept of segments is there in each stretch.
    const grown = Math.min(...heaps.slice(1).map((heap, i) => heap - heaps[i]));
    // Each of them by itself, with what waits for it, would be some 160 bytes.
    expect(grown).toBeLessThan(100 * 1200);
    const { unsyncedBytes } = log.stats();
    expect(unsyncedBytes).toBeGreaterThan(6000 * 16_000);
    const bases = log.segments().map(({ base }) => base);
    expect(bases.every((base) => durableOf(log.path, base) === 0)).toBe(true);
    expect(await log.flush()).toBe(log.next);
    const sealed = bases.slice(0, -1);
    expect(sealed.filter((base) => durableOf(log.path, base) === 0)).toEqual([]);
    expect(log.durable).toBe(log.next);
    expect(log.stats().unsyncedBytes).toBe(0);
    await log.close();
  });

  test('what is left while others wait for the disk is brought there by who asks next', async () => {
    const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none' });
    const flush = disk.flushFrames;
    for (let i = 0; i < 20; i++) {
      roll(log);
      const first = log.flush();
      roll(log);
      // In the middle of the first one's syncs.
      vi.spyOn(disk, 'flushFrames').mockImplementationOnce(async (...given) => {
        roll(log);
        return flush(...given);
      });
      const second = log.flush();
      await first;
      expect(await second).toBeLessThanOrEqual(log.durable);
      const behind = log.segments().map(({ base }) => base);
      const durable = await log.flush();
      const sealed = behind.slice(0, -1);
      expect(sealed.filter((base) => base < durable && durableOf(log.path, base) === 0)).toEqual([]);
    }
    await log.close();
  });

  test('what is before an empty segment is waited for again where it could not be opened', async () => {
    const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none', rollAfterMs: 1 });
    log.append(textOf(0));
    while (log.segments().length < 2) await log.lookAfter();
    // The first one is let go.
    while (descriptorsIn(log.path) > 2) await new Promise((resolve) => setImmediate(resolve));
    const path = fileOf(log.path, 0);
    const { openFile } = binding();
    vi.spyOn(binding(), 'openFile').mockImplementation((...given) => {
      if (given[0] !== path) return openFile(...given);
      throw Object.assign(new Error('too many'), { code: 'EMFILE', errno: -24, syscall: 'open' });
    });
    for (let i = 0; i < 3; i++)
      expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_SYSTEM' });
    const notSynced = await failure(() => log.commit(textOf(1)));
    expect(notSynced).toMatchObject({ code: 'ERR_SYSTEM', offset: 1 });
    expect(log.next).toBe(2);
    vi.restoreAllMocks();
    expect(durableOf(log.path, 0)).toBe(0);
    expect(await log.flush()).toBe(2);
    expect(durableOf(log.path, 0)).toBeGreaterThan(0);
    await log.close();
  });

  test('whose sync failed is noted: whoever opens the log on this start of the machine is told', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, { segment: '16KiB', sync: { everyMs: 60_000 } });
    const flush = disk.flushFrames;
    const cause = Object.assign(new Error('broken'), { code: 'EIO', errno: -5, syscall: 'fdatasync' });
    vi.spyOn(disk, 'flushFrames').mockImplementation(async (...given) => {
      const [, start, end, , , sync] = given;
      // All of a file, which is that of one that was sealed.
      if (sync && start === 0 && end === 0) throw cause;
      return flush(...given);
    });
    const base = roll(log);
    const path = fileOf(directory, base);
    expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED', path, cause });
    expect(await failure(() => log.close())).toMatchObject({ code: 'ERR_SYNC_FAILED', path });
    vi.restoreAllMocks();
    expect(durableOf(directory, base)).toBe(0);
    const noted = readFileSync(path).subarray(L.SYNC_FAILED_BOOT_OFFSET, L.SYNC_FAILED_BOOT_OFFSET + 16);
    expect(noted.equals(Buffer.alloc(16))).toBe(false);
    const again = await failure(() => Log.open(directory, { sync: { everyMs: 60_000 } }));
    expect(again).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    // As far as it goes it can be read.
    await using reading = await Log.open(directory, { readOnly: true });
    expect(reading.tail({ from: base }).read()?.value.toString()).toBe(textOf(base));
  });
});

test('a directory that could not be opened for a while is brought to the disk when it can be', async () => {
  for (const sync of ['none', { everyMs: 60_000 }] as const) {
    const log = await Log.open(newDirectory(), { segment: '16KiB', sync });
    const cause = Object.assign(new Error('no'), { code: 'EACCES', errno: -13, syscall: 'open' });
    vi.spyOn(disk, 'syncDirectory').mockRejectedValue(cause);
    roll(log);
    for (let i = 0; i < 2; i++)
      expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_PERMISSION' });
    roll(log);
    expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_PERMISSION' });
    vi.restoreAllMocks();
    expect(await log.flush()).toBe(log.next);
    expect(log.durable).toBe(log.next);
    await log.close();
  }
});

test('what could be opened and fails then is no such thing', async () => {
  const log = await Log.open(newDirectory(), { sync: 'none' });
  log.append('one');
  for (const [code, syscall] of [
    ['EIO', 'open'],
    ['EACCES', 'fsync'],
  ]) {
    const cause = Object.assign(new Error('no'), { code, errno: -5, syscall });
    vi.spyOn(disk, 'syncDirectory').mockRejectedValue(cause);
    expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
    vi.restoreAllMocks();
  }
  expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
  await log.close().catch(() => {});
});

test('a segment whose sync failed is not followed by another one when it is old: nothing more is appended', async () => {
  const log = await Log.open(newDirectory(), { sync: { everyMs: 60_000 }, rollAfterMs: 1 });
  log.append('old');
  const cause = Object.assign(new Error('broken'), { code: 'EIO', errno: -5, syscall: 'fdatasync' });
  vi.spyOn(disk, 'flushFrames').mockRejectedValueOnce(cause);
  expect(await failure(() => log.flush())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
  await log.lookAfter();
  expect(log.segments().length).toBe(1);
  expect(thrown(() => log.append('new'))).toMatchObject({ code: 'ERR_SYNC_FAILED' });
  expect(await failure(() => log.close())).toMatchObject({ code: 'ERR_SYNC_FAILED' });
});

test('the space behind an end is given back of that very segment, and of none that has its name by then', async () => {
  await using other = await Log.open(newDirectory(), { segment: '64KiB', sync: 'none' });
  for (let i = 0; i < 16; i++) other.append(Buffer.alloc(4000, 0xaa));
  const full = readFileSync(other.segments()[0].path);
  const log = await Log.open(newDirectory(), { segment: '64KiB', sync: 'none' });
  // More than are held open: what is behind those is given back by their names, once the event loop has a turn.
  while (log.segments().length < 72) log.append(Buffer.alloc(14_000));
  const [foreign, like, own] = log.segments().slice(68);
  const { size } = statSync(own.path);
  writeFileSync(foreign.path, Buffer.alloc(size, 0xaa));
  writeFileSync(like.path, full);
  await log.close();
  expect(readFileSync(foreign.path).equals(Buffer.alloc(size, 0xaa))).toBe(true);
  expect(readFileSync(like.path).equals(full)).toBe(true);
  expect(statSync(own.path).blocks * 512).toBeLessThan(size - 4096);
});

const canLimit = spawnSync('prlimit', ['--version']).status === 0;

/** How many files a process may have open from now on; what it has open stays so. */
function limitFiles(pid: number | undefined, files: number): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', `${pid}`, `--nofile=${files}:`], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
}

test.skipIf(!canLimit)('who may open no more files is told so, and goes on once there are some', async () => {
  const child = new Child('../../log/fixtures/out-of-files-child.js', { directory: newDirectory() });
  for (let round = 0; round < 2; round++) {
    await child.expect('no more files');
    limitFiles(child.pid, 0);
    child.send('so it is');
    await child.expect('more files');
    limitFiles(child.pid, 1000);
    child.send('so it is');
  }
  const brought = { failure: { code: 'ERR_SYSTEM', cause: 'EMFILE' }, isAllDurable: true, sound: true };
  expect((await child.expect('outcome')).outcome).toEqual({ none: brought, commit: brought });
  await child.exit;
  child.throwIfFailed();
});

describe('what a stray segment says of the disk', () => {
  /** The same log, or another one like it, all of which is on the disk. */
  async function synced(directory: string): Promise<string> {
    const log = await Log.open(directory, { sync: 'none' });
    await log.flush();
    await log.close();
    return directory;
  }

  function copyOf(directory: string): string {
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    return copy;
  }

  test.each(['another log', 'this log, but another place'])('goes for %s', async (kind) => {
    const { directory, bases, next } = await someLog();
    const isOther = kind === 'another log';
    const from = await synced(isOther ? (await someLog()).directory : copyOf(directory));
    cpSync(fileOf(from, bases[isOther ? 2 : 1]), fileOf(directory, bases[2]));
    expect(durableOf(directory, bases[2])).toBeGreaterThan(0);
    await using log = await Log.open(directory, { readOnly: true });
    expect(log.next).toBe(next);
    expect(log.durable).toBe(0);
  });
});

describe('a frame that was overwritten before it had its checksum', () => {
  test.each(['none', 'commit'] as const)(
    'is told to who waits for the disk once its segment is sealed: %s',
    async (sync) => {
      const log = await Log.open(newDirectory(), { segment: '16KiB', sync });
      for (let i = 0; i < 3; i++) log.append(textOf(i));
      const { path } = log.segments()[0];
      const file = openSync(path, 'r+');
      writeSync(file, Buffer.alloc(4, 0xff), 0, 4, L.DATA_ALIGN + FRAME + L.FRAME_STAMP_OFFSET);
      closeSync(file);
      roll(log);
      const damage = { code: 'ERR_CORRUPT', path };
      expect(await failure(() => log.flush())).toMatchObject(damage);
      expect(await failure(() => log.commit('more'))).toMatchObject(damage);
      expect(inspect(path).durable).toBe(0);
      await log.close().catch(() => {});
    },
  );
});

test('a log that has no segment open and is closed while somebody waits for the disk has all of it there first', async () => {
  const directory = newDirectory();
  const made = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  const bases = [roll(made), roll(made)];
  const next = made.next - 1;
  await made.close();
  // The one behind the last that was sealed.
  unlinkSync(fileOf(directory, next));
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  const flushed = log.flush();
  await log.close();
  expect(await flushed).toBe(next);
  for (const base of bases) expect(durableOf(directory, base)).toBe(16_384 - 64 - ((16_384 - 64) % FRAME));
});

test('a log that could not be opened is not held by that: it can be once there are files to be had', async () => {
  const directory = newDirectory();
  await using made = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  roll(made);
  await made.close();
  const cause = Object.assign(new Error('EMFILE: fsync'), { code: 'EMFILE', errno: -24, syscall: 'fsync' });
  vi.spyOn(disk, 'syncDirectory').mockRejectedValueOnce(cause);
  const error = await failure(() => Log.open(directory, { sync: 'commit' }));
  expect(error).toMatchObject({ code: 'ERR_SYSTEM', path: directory, cause });
  await using again = await Log.open(directory);
  expect(again.next).toBe(RECORDS_A_SEGMENT + 1);
});

import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import { binding, type FileHandle, PAGES, type Pages, type PreparationHandle } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';
import {
  ADDON,
  descriptorOf,
  descriptorsIn,
  mappedKilobytes,
  mappingsIn,
  systemError,
  until,
} from './addon.js';

const native = binding();
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
const TMPFS_MAGIC = 0x01021994;
const OVER = { code: 'ERR_INVALID_STATE', message: expect.stringContaining('taken or dropped before') };

/** Takes part of a second to make. */
const LONG = 512 << 20;

async function nothingLeftIn(directory: string): Promise<void> {
  await until('no descriptor is open', () => descriptorsIn(directory) === 0);
  await until('nothing is mapped', () => mappingsIn(directory) === 0);
  expect(readdirSync(directory)).toEqual([]);
}

/** How nice each thread is that makes a file now, as the kernel has it. */
function nicenessOfMakers(): number[] {
  return readdirSync('/proc/self/task').flatMap((id) => {
    let stat = '';
    try {
      stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
    } catch {
      // It has ended since.
    }
    if (!stat.includes('(millrace-file)')) return [];
    const [, behindName = ''] = stat.split(') ');
    return [Number(behindName.split(' ')[16])];
  });
}

test.each([
  [false, 5],
  [true, 0],
])('a file that is made, hurried %s, is made by a thread that is nicer by %i', async (hurried, by) => {
  const own = getPriority();
  const preparation = native.prepareFile(newDirectory(), LONG, 0o600, PAGES.DIRTY, hurried);
  try {
    await until('its thread is at it', () => nicenessOfMakers().includes(own + by));
  } finally {
    native.dropPreparation(preparation);
  }
  await until('its thread is gone', () => nicenessOfMakers().length === 0);
});

const WAYS = Object.entries(PAGES).flatMap(([name, pages]) =>
  [false, true].map((hurried) => ({ name, pages, hurried })),
);

test.each(WAYS)(
  'a file is prepared and taken without a turn of the loop, $name, hurried $hurried',
  async ({ pages, hurried }) => {
    const directory = newDirectory();
    const preparation = native.prepareFile(directory, 1 << 20, 0o640, pages, hurried);
    const file = native.takePrepared(preparation, true) as FileHandle;
    expect(native.statFile(file)).toMatchObject({ bytes: 1 << 20, regular: true });
    expect(readdirSync(directory)).toEqual([]);
    const bytes = new Uint8Array(native.mapFile(file));
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    bytes[(1 << 20) - 1] = 67;
    const path = join(directory, 'named');
    native.linkFile(file, path);
    const fd = openSync(path, 'r');
    const { blocks, mode } = fstatSync(fd);
    closeSync(fd);
    expect(blocks * 512).toBeGreaterThanOrEqual(1 << 20);
    expect(mode & 0o777).toBe(0o640 & ~process.umask());
    expect(readFileSync(path).at(-1)).toBe(67);
    native.closeFile(file);
  },
);

test('what is not ready yet is not there, and is once it is', async () => {
  const directory = newDirectory();
  const long = native.prepareFile(directory, LONG, 0o600, PAGES.DIRTY, false);
  expect(native.takePrepared(long, false)).toBeUndefined();
  native.dropPreparation(long);
  const short = native.prepareFile(directory, 4096, 0o600, PAGES.DIRTY, false);
  let file: FileHandle | undefined;
  await until('it is ready', () => {
    file = native.takePrepared(short, false);
    return file !== undefined;
  });
  expect(native.statFile(file as FileHandle).bytes).toBe(4096);
  native.closeFile(file as FileHandle);
  await nothingLeftIn(directory);
});

test('nobody else can lock a file that was prepared', async () => {
  const directory = newDirectory();
  const path = join(directory, 'file');
  const file = native.takePrepared(
    native.prepareFile(directory, 65536, 0o600, PAGES.DIRTY, false),
    true,
  ) as FileHandle;
  native.linkFile(file, path);
  const other = native.openFile(path, true);
  expect(native.isByteLocked(other, 0)).toBe(true);
  expect(native.lockByte(other, 0)).toBe(false);
  native.closeFile(file);
  expect(native.lockByte(other, 0)).toBe(true);
  native.closeFile(other);
});

describe('of a disk', () => {
  async function onDisk(pages: Pages) {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-preparation-'));
    onTestFinished(() => rmSync(directory, { recursive: true }));
    const prepared = native.prepareFile(directory, 4 << 20, 0o600, pages, false);
    const files = [
      native.takePrepared(prepared, true) as FileHandle,
      await native.createFile(directory, 4 << 20, 0o600, pages),
    ];
    onTestFinished(() => {
      for (const file of files) native.closeFile(file);
    });
    return { directory, files, isDisk: native.statFile(files[0]).fileSystem !== TMPFS_MAGIC };
  }

  test('a dirty page has to be written, zeros as it has', async () => {
    const { directory } = await onDisk(PAGES.DIRTY);
    expect(mappedKilobytes(directory)).toMatchObject({ Dirty: 8192 });
  });

  test('dirty ones, and no others, come by many at once, by writing them', async () => {
    const written = () => Number(readFileSync('/proc/self/io', 'utf8').match(/^wchar: (\d+)/m)?.[1]);
    const before = written();
    const { isDisk } = await onDisk(PAGES.DIRTY);
    const ofDirty = written() - before;
    await onDisk(PAGES.CLEAN);
    await onDisk(PAGES.SYNCED);
    expect(written() - before - ofDirty).toBeLessThan(1 << 20);
    if (isDisk) expect(ofDirty).toBeGreaterThanOrEqual(8 << 20);
    else expect(ofDirty).toBeLessThan(1 << 20);
  });

  test.each([['CLEAN'], ['SYNCED']] as const)('of %s ones only what is stored to', async (name) => {
    const { directory, files, isDisk } = await onDisk(PAGES[name]);
    const memories = files.map((file) => new Uint8Array(native.mapFile(file)));
    // What isn't mapped isn't told of.
    expect(memories.every((memory) => memory.every((byte) => byte === 0))).toBe(true);
    // In RAM there is nothing else than what is dirty.
    if (!isDisk) return;
    expect(mappedKilobytes(directory)).toEqual({ Rss: 8192, Dirty: 0 });
    for (const memory of memories) memory.fill(1, 0, 8192);
    expect(mappedKilobytes(directory)).toEqual({ Rss: 8192, Dirty: 16 });
  });
});

test('the pool of libuv may be busy all the while', async () => {
  const directory = newDirectory();
  const child = spawnSync(process.execPath, [fixture('busy-pool.cjs'), ADDON, directory], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '1' },
    timeout: 30_000,
  });
  expect(child).toMatchObject({ status: 0, stderr: '' });
  expect(JSON.parse(child.stdout)).toEqual({ bytes: 1 << 20, poolIsBusy: true });
});

describe('a preparation that is over', () => {
  test('because it was taken', async () => {
    const preparation = native.prepareFile(newDirectory(), 4096, 0o600, PAGES.DIRTY, false);
    const file = native.takePrepared(preparation, true) as FileHandle;
    for (const wait of [false, true]) {
      expect(await systemError(() => native.takePrepared(preparation, wait))).toMatchObject(OVER);
    }
    // The file is its taker's.
    native.dropPreparation(preparation);
    expect(native.statFile(file).bytes).toBe(4096);
    native.closeFile(file);
  });

  test('because it was dropped, before or after it was ready', async () => {
    const elsewhere = newDirectory();
    const early = native.prepareFile(elsewhere, LONG, 0o600, PAGES.SYNCED, false);
    native.dropPreparation(early);
    const directory = newDirectory();
    const late = native.prepareFile(directory, 1 << 20, 0o600, PAGES.DIRTY, false);
    await until('it is mapped', () => mappingsIn(directory) === 1);
    await until('its thread has ended', () => !threadNames().includes('millrace-file'));
    native.dropPreparation(late);
    expect(descriptorsIn(directory)).toBe(0);
    for (const preparation of [early, late]) {
      native.dropPreparation(preparation);
      expect(await systemError(() => native.takePrepared(preparation, true))).toMatchObject(OVER);
    }
    await nothingLeftIn(directory);
    await nothingLeftIn(elsewhere);
  });

  test('because it failed, which is told once', async () => {
    const none = join(newDirectory(), 'none');
    const preparation = native.prepareFile(none, 4096, 0o600, PAGES.SYNCED, false);
    const error = await systemError(() => native.takePrepared(preparation, true));
    expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open(O_TMPFILE)' });
    expect(await systemError(() => native.takePrepared(preparation, true))).toMatchObject(OVER);
    native.dropPreparation(preparation);
  });
});

test('a failure that nobody asks for does no harm', async () => {
  for (const pages of Object.values(PAGES)) native.prepareFile('/proc', 4096, 0o600, pages, false);
  await until('the threads have ended', () => !threadNames().includes('millrace-file'));
});

test('making it ends early where it is dropped in the middle', async () => {
  const directory = newDirectory();
  const blocks = () => (seen === undefined ? 0 : fstatSync(seen).blocks * 512);
  let seen: number | undefined;
  let preparation: PreparationHandle | undefined;
  // The test is about those that were seen before their end.
  while (blocks() === 0 || blocks() > LONG / 4) {
    if (seen !== undefined) closeSync(seen);
    seen = undefined;
    if (preparation !== undefined) native.dropPreparation(preparation);
    await until('the one before is gone', () => descriptorsIn(directory) === 0);
    preparation = native.prepareFile(directory, LONG, 0o600, PAGES.SYNCED, false);
    await until('it is begun', () => descriptorsIn(directory) === 1);
    // The file has no name, but this finds it, and keeps it.
    seen = openSync(`/proc/self/fd/${descriptorOf(directory)}`, 'r');
    await until('something is allocated', () => blocks() > 0);
  }
  native.dropPreparation(preparation as PreparationHandle);
  await until('only the one of this test is open', () => descriptorsIn(directory) === 1);
  expect(blocks()).toBeLessThan(LONG);
  closeSync(seen as number);
  await nothingLeftIn(directory);
});

test('it may be dropped at any moment', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 100; round++) {
    const preparation = native.prepareFile(
      directory,
      4 << 20,
      0o600,
      WAYS[round % 6].pages,
      WAYS[round % 6].hurried,
    );
    for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
    native.dropPreparation(preparation);
  }
  await nothingLeftIn(directory);
});

test('many may be prepared at once', async () => {
  const directory = newDirectory();
  const preparations = Array.from({ length: 20 }, (_, i) =>
    native.prepareFile(directory, (i + 1) * 65536, 0o600, WAYS[i % 6].pages, WAYS[i % 6].hurried),
  );
  for (const [i, preparation] of preparations.entries()) {
    const file = native.takePrepared(preparation, true) as FileHandle;
    expect(native.statFile(file).bytes).toBe((i + 1) * 65536);
    native.closeFile(file);
  }
  await nothingLeftIn(directory);
});

test('a worker may be terminated in the middle of it', async () => {
  const directory = newDirectory();
  for (let round = 0; round < 20; round++) {
    const worker = new Worker(fixture('preparing.cjs'), {
      workerData: { addon: ADDON, directory, bytes: 8 << 20, atOnce: 3 },
    });
    await new Promise<void>((resolve, reject) => {
      worker.on('message', (begun: number) => {
        if (begun === round % 5) resolve();
      });
      worker.on('error', reject);
    });
    await worker.terminate();
  }
  await nothingLeftIn(directory);
});

test.each(['exit', 'end', 'throw'])('the process may end in the middle of it: %s', async (way) => {
  const directory = newDirectory();
  for (const pages of Object.values(PAGES)) {
    const child = spawnSync(
      process.execPath,
      [fixture('ending.cjs'), ADDON, directory, String(LONG), String(pages), way],
      { encoding: 'utf8' },
    );
    expect(child).toMatchObject({ signal: null, status: way === 'throw' ? 7 : 0, stdout: 'ending\n' });
    expect(child.stderr).toBe('');
    expect(readdirSync(directory)).toEqual([]);
  }
});

test('what is collected without having been taken is dropped', async () => {
  const directory = newDirectory();
  const prepare = () => void native.prepareFile(directory, 1 << 20, 0o600, PAGES.DIRTY, false);
  for (let i = 0; i < 10; i++) prepare();
  await until('some are begun', () => descriptorsIn(directory) > 0);
  await until('all are collected', () => {
    globalThis.gc?.();
    return descriptorsIn(directory) === 0;
  });
  await nothingLeftIn(directory);
});

test('a file that is made at once is like one that was prepared', async () => {
  const directory = newDirectory();
  const file = native.createFileNow(directory, 3 << 20, 0o600);
  expect(native.statFile(file)).toMatchObject({ bytes: 3 << 20, regular: true });
  expect(readdirSync(directory)).toEqual([]);
  const path = join(directory, 'now');
  native.linkFile(file, path);
  const other = native.openFile(path, true);
  expect(native.lockByte(other, 0)).toBe(false);
  const fd = openSync(path, 'r');
  expect(fstatSync(fd).blocks * 512).toBeGreaterThanOrEqual(3 << 20);
  closeSync(fd);
  const bytes = Buffer.from(native.mapFile(file)).fill(9);
  expect(bytes.equals(Buffer.from(native.mapFile(other)))).toBe(true);
  native.closeFile(other);
  native.closeFile(file);
  const error = await systemError(() => native.createFileNow(join(directory, 'none'), 4096, 0o600));
  expect(error).toMatchObject({ code: 'ENOENT', syscall: 'open(O_TMPFILE)' });
});

describe('wrong arguments', () => {
  const makers = {
    prepareFile: (directory: unknown, bytes: unknown, permissions: unknown) =>
      native.prepareFile(directory as string, bytes as number, permissions as number, PAGES.DIRTY, false),
    createFileNow: (directory: unknown, bytes: unknown, permissions: unknown) =>
      native.createFileNow(directory as string, bytes as number, permissions as number),
  };

  test.each(Object.entries(makers))('of %s', (_, make) => {
    const directory = newDirectory();
    for (const bytes of [
      0,
      -1,
      1.5,
      Number.NaN,
      2 ** 31 + 1,
      Number.POSITIVE_INFINITY,
      '4096',
      4096n,
      undefined,
    ]) {
      expect(() => make(directory, bytes, 0o600), String(bytes)).toThrow(TypeError);
    }
    for (const permissions of [-1, 0o10000, 0.5, '600', undefined]) {
      expect(() => make(directory, 4096, permissions), String(permissions)).toThrow(TypeError);
    }
    for (const path of ['', 'a\0b', 1, undefined, null, {}]) {
      expect(() => make(path, 4096, 0o600), String(path)).toThrow(TypeError);
    }
    expect(() => make(`/${'x'.repeat(5000)}`, 4096, 0o600)).toThrow(
      expect.objectContaining({ code: 'ENAMETOOLONG' }),
    );
    expect(descriptorsIn(directory)).toBe(0);
  });

  test('hurried and wait are true or false, and pages one of those', () => {
    const directory = newDirectory();
    for (const value of [undefined, null, 0, 1, 'true'] as unknown as boolean[]) {
      expect(() => native.prepareFile(directory, 4096, 0o600, PAGES.DIRTY, value)).toThrow(TypeError);
    }
    for (const value of [undefined, null, -1, 3, 0.5, true, '1'] as unknown as Pages[]) {
      expect(() => native.prepareFile(directory, 4096, 0o600, value, false)).toThrow(TypeError);
      expect(() => native.createFile(directory, 4096, 0o600, value)).toThrow(TypeError);
    }
    const preparation = native.prepareFile(directory, 4096, 0o600, PAGES.DIRTY, false);
    for (const value of [undefined, null, 0, 1, 'true']) {
      expect(() => native.takePrepared(preparation, value as unknown as boolean)).toThrow(TypeError);
    }
    // None of them took it.
    native.closeFile(native.takePrepared(preparation, true) as FileHandle);
  });

  test('a preparation is no file, no bell, and nothing else is a preparation', () => {
    const directory = newDirectory();
    const preparation = native.prepareFile(directory, 4096, 0o600, PAGES.DIRTY, false);
    const file = native.createFileNow(directory, 4096, 0o600);
    const bell = native.openBell(() => {});
    const foreign = [
      undefined,
      null,
      1,
      'file',
      {},
      [],
      () => {},
      Symbol('file'),
      new Proxy(preparation, {}),
      file,
      bell,
    ];
    for (const value of foreign) {
      expect(() => native.takePrepared(value as unknown as PreparationHandle, true)).toThrow(TypeError);
      expect(() => native.dropPreparation(value as unknown as PreparationHandle)).toThrow(TypeError);
    }
    expect(() => native.closeFile(preparation as unknown as FileHandle)).toThrow(TypeError);
    expect(() => native.watchFile(preparation as never, file)).toThrow(TypeError);
    native.dropPreparation(preparation);
    native.closeFile(file);
  });
});

function threadNames(): string[] {
  return readdirSync('/proc/self/task').map((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim();
    } catch {
      return ''; // it ended meanwhile
    }
  });
}

import fs, { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { disk } from '../../lib/channel/runtime/disk.js';
import type { MillraceError } from '../../lib/errors.js';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import { Directory } from '../../lib/log/files/directory.js';
import { logOfMost } from '../../lib/log/files/durable.js';
import { isOfLaterVersion, LockFile } from '../../lib/log/files/lock-file.js';
import { SetAsideFolder } from '../../lib/log/files/set-aside.js';
import { Turns } from '../../lib/log/files/turns.js';
import { Log } from '../../lib/log/index.js';
import { lockForRepair, type RepairLock } from '../../lib/log/repair/repair-lock.js';
import { binding } from '../../lib/native.js';
import { failure, thrown } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import { fileOf, flip, remove, shorten, someLog } from './damaging.js';

const CRC_OFFSET = 64;

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

const lockPath = (directory: string) => join(directory, 'log.lock');
const nothing = () => Promise.resolve();

function lockOf(directory: string, aside: (reason: string) => Promise<void> = nothing): Promise<RepairLock> {
  return lockForRepair(new Directory(directory), aside);
}

function idOf(directory: string): string {
  return readFileSync(lockPath(directory)).toString('hex', 16, 32);
}

/** Changes what stands before a checksum, and that with it. */
function forge(path: string, change: (bytes: Buffer) => void): void {
  const bytes = readFileSync(path);
  change(bytes);
  bytes.writeInt32LE(binding().crc32c(bytes, 0, CRC_OFFSET, 0), CRC_OFFSET);
  writeFileSync(path, bytes);
}

/** A log whose lock file is a sound one, but of another log. */
async function withForeignLock(writers: 'exclusive' | 'shared' = 'exclusive'): Promise<string> {
  const [{ directory }, other] = [await someLog(), newDirectory()];
  await (await Log.open(other, { writers })).close();
  cpSync(lockPath(other), lockPath(directory));
  return directory;
}

test.each(['exclusive', 'shared'] as const)(
  'of a lock file in which only the bit is flipped that says how it is written, repair knows that it is %s',
  async (writers) => {
    const directory = newDirectory();
    await (await Log.open(directory, { writers })).close();
    flip(lockPath(directory), 12);
    await Log.repair(directory);
    await using log = await Log.open(directory, { writers });
    expect(await log.appendAsync('one more')).toBe(0);
  },
);

describe('while the lock file is made anew', () => {
  test('nobody opens the log to append', async () => {
    const directory = await withForeignLock();
    let code: string | undefined;
    const lock = await lockOf(directory, async () => {
      code = (await failure(() => Log.open(directory))).code;
    });
    expect(code).toBe('ERR_WRITER_ACTIVE');
    const again = await failure(() => Log.open(directory));
    expect(again).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path: directory });
    lock.close();
    await (await Log.open(directory)).close();
  });

  test('nobody else repairs it', async () => {
    for (const harm of [withForeignLock, damagedLog]) {
      const directory = await harm();
      let code: string | undefined;
      const lock = await lockOf(directory, async () => {
        code = (await failure(() => lockOf(directory))).code;
      });
      expect(code).toBe('ERR_WRITER_ACTIVE');
      expect((await failure(() => lockOf(directory))).code).toBe('ERR_WRITER_ACTIVE');
      lock.close();
      (await lockOf(directory)).close();
    }
  });

  test('a writer that holds the old one is let alone', async () => {
    const directory = await withForeignLock();
    const old = LockFile.open(directory, true) as LockFile;
    old.lockForWriter();
    expect((await failure(() => lockOf(directory))).code).toBe('ERR_WRITER_ACTIVE');
    old.close();
    (await lockOf(directory)).close();
  });

  test('who had opened the old one before does not write by it: not now, and not later', async () => {
    const directory = await withForeignLock();
    const [one, two] = [LockFile.open(directory, true), LockFile.open(directory, true)] as LockFile[];
    const lock = await lockOf(directory);
    expect(thrown(() => one.lockForWriter()).code).toBe('ERR_WRITER_ACTIVE');
    lock.close();
    expect(thrown(() => two.lockForWriter()).code).toBe('ERR_WRITER_ACTIVE');
    one.close();
    two.close();
  });

  test('who had opened the old one before does not join those who append by it', async () => {
    const directory = await withForeignLock('shared');
    const [one, two] = [LockFile.open(directory, true), LockFile.open(directory, true)] as LockFile[];
    const lock = await lockOf(directory);
    expect(thrown(() => new Turns(one)).code).toBe('ERR_WRITER_ACTIVE');
    lock.close();
    expect(thrown(() => new Turns(two)).code).toBe('ERR_WRITER_ACTIVE');
    one.close();
    two.close();
  });
});

test('nobody joins those who append while the log is repaired', async () => {
  const directory = newDirectory();
  await (await Log.open(directory, { writers: 'shared' })).close();
  const lock = await lockOf(directory);
  expect((await failure(() => Log.open(directory))).code).toBe('ERR_WRITER_ACTIVE');
  lock.close();
  await using opened = await Log.open(directory);
  expect(await opened.commit('one')).toBe(0);
  expect((await failure(() => lockOf(directory))).code).toBe('ERR_WRITER_ACTIVE');
});

async function damagedLog(): Promise<string> {
  const { directory } = await someLog();
  flip(lockPath(directory), 20);
  return directory;
}

describe('what is wrong with the lock file is told', () => {
  test('nothing, of a sound one', async () => {
    const { directory } = await someLog();
    const lock = await lockOf(directory, () => Promise.reject(new Error('It is sound')));
    expect(lock.fault).toBeUndefined();
    expect(lock.lock.id).toBe(idOf(directory));
    lock.close();
  });

  test.each([
    ['damaged', (path: string) => flip(path, 20)],
    ['missing', remove],
    ['of another log', (path: string) => forge(path, (bytes) => bytes.fill(0x77, 16, 32))],
  ] as const)('that it is %s', async (what, harm) => {
    const { directory } = await someLog();
    const id = idOf(directory);
    const path = lockPath(directory);
    harm(path);
    const reasons: string[] = [];
    const lock = await lockOf(directory, async (reason) => void reasons.push(reason));
    lock.close();
    expect(lock.lock.id).toBe(id);
    expect(idOf(directory)).toBe(id);
    expect(lock.fault).toMatchObject({ code: 'ERR_FORMAT', file: path });
    expect(lock.fault?.message).toContain(what);
    expect(lock.fault?.message).toContain('that one process appends to, as far as that can be told');
    expect(reasons).toEqual(what === 'missing' ? [] : [lock.fault?.message]);
  });

  test.each([
    ['a bit of the id', (path: string) => flip(path, 20)],
    ['another feature', (path: string) => flip(path, 12, 3)],
    ['its length', (path: string) => shorten(path, 16)],
  ])(
    'and that the log is of several processes, where the file still says that: %s is damaged',
    async (_, harm) => {
      const directory = newDirectory();
      await (await Log.open(directory, { writers: 'shared' })).close();
      harm(lockPath(directory));
      const lock = await lockOf(directory);
      lock.close();
      expect(lock.fault?.message).toContain('that several processes append to');
      await (await Log.open(directory, { writers: 'shared' })).close();
    },
  );

  test('a file that is too short to say anything is of one process', async () => {
    const { directory } = await someLog();
    for (const bytes of [15, 0]) {
      writeFileSync(lockPath(directory), Buffer.alloc(bytes, 0xff));
      (await lockOf(directory)).close();
      await (await Log.open(directory, { writers: 'exclusive' })).close();
    }
  });
});

describe('what a later version wrote is left as it is', () => {
  test.each([
    ['format', (bytes: Buffer) => bytes.writeUInt32LE(2, 8)],
    ['features', (bytes: Buffer) => bytes.writeUInt32LE(0x80, 12)],
  ] as const)('a lock file of another %s', async (fact, change) => {
    for (const longer of [0, 4096]) {
      const { directory } = await someLog();
      forge(lockPath(directory), change);
      fs.appendFileSync(lockPath(directory), Buffer.alloc(longer));
      const before = contentsOf(directory);
      const error = await failure(() => Log.repair(directory));
      expect([error.code, error[fact]]).toEqual(['ERR_FORMAT', fact === 'format' ? 2 : 0x80]);
      expect(isOfLaterVersion(error)).toBe(true);
      expect(contentsOf(directory)).toEqual(before);
    }
  });

  test('a file of cursors can be told from a damaged one', async () => {
    const path = join((await withCursors()).directory, 'cursors.mr');
    const problem = (): MillraceError => thrown(() => new CursorFile(join(path, '..')).list());
    const bytes = readFileSync(path);
    flip(path, 8);
    expect([problem().code, isOfLaterVersion(problem())]).toEqual(['ERR_FORMAT', false]);
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(2 ** 21)]));
    forge(path, (bytes) => bytes.writeUInt32LE(2, 8));
    expect([problem().code, isOfLaterVersion(problem())]).toEqual(['ERR_FORMAT', true]);
  });
});

describe('which log it is', () => {
  /** With segments of another log behind its own. */
  async function withStrays(offsets: number[]) {
    const [log, other] = [await someLog(), await someLog()];
    const id = idOf(log.directory);
    for (const offset of offsets)
      cpSync(fileOf(other.directory, 0), fileOf(log.directory, log.next + offset));
    return { ...log, id, otherId: idOf(other.directory), other: other.directory };
  }

  test('a stray segment of another log does not decide', async () => {
    const { directory, id } = await withStrays([1000]);
    remove(lockPath(directory));
    const lock = await lockOf(directory);
    lock.close();
    expect(lock.lock.id).toBe(id);
  });

  test('nor does it where the log is opened', async () => {
    const { directory, id } = await withStrays([1000]);
    remove(lockPath(directory));
    await (await Log.open(directory)).close();
    expect(idOf(directory)).toBe(id);
  });

  test('nor a lock file that came with one', async () => {
    const { directory, id, other } = await withStrays([1000]);
    cpSync(lockPath(other), lockPath(directory));
    const lock = await lockOf(directory);
    lock.close();
    expect(lock.lock.id).toBe(id);
    expect(lock.fault?.message).toContain('of another log');
  });

  test('a lock file counts where as many segments are its log’s as another one’s', async () => {
    const { directory, id, otherId } = await withStrays([1000, 2000, 3000, 4000]);
    const segments = new Directory(directory).segments();
    expect([logOfMost(segments, id), logOfMost(segments, otherId)]).toEqual([id, otherId]);
    const lock = await lockOf(directory);
    lock.close();
    expect([lock.lock.id, lock.fault]).toEqual([id, undefined]);
  });

  test('no segment says anything: the lock file does, or nobody', async () => {
    const { directory, id } = await withStrays([]);
    for (const { path } of new Directory(directory).segments()) flip(path, 20);
    expect(logOfMost(new Directory(directory).segments(), id)).toBeUndefined();
    const lock = await lockOf(directory);
    lock.close();
    expect([lock.lock.id, lock.fault]).toEqual([id, undefined]);
  });
});

test.each([['missing'], ['damaged']])(
  'a writer whose lock file is %s is found by its segment',
  async (what) => {
    const { directory } = await someLog();
    await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
    for (const stray of [false, true]) {
      if (stray) cpSync(fileOf(directory, 0), fileOf(directory, 10 ** 6));
      fs.rmSync(lockPath(directory), { force: true });
      if (what === 'damaged') writeFileSync(lockPath(directory), 'no lock file');
      const before = readdirSync(directory);
      expect((await failure(() => lockOf(directory))).code).toBe('ERR_WRITER_ACTIVE');
      expect(readdirSync(directory)).toEqual(before);
    }
    await log.close();
    (await lockOf(directory)).close();
  },
);

describe('set aside', () => {
  test('a note takes the place of nothing', async () => {
    for (const way of ['move', 'copy', 'duplicate'] as const) {
      const directory = new Directory(newDirectory());
      for (const name of ['a', 'a.why']) writeFileSync(join(directory.path, name), `this is ${name}`);
      const folder = new SetAsideFolder(directory);
      await folder[way]('a.why', 'of the notes');
      await folder[way]('a', 'of the file');
      const [notes, file] = folder.all;
      expect(readFileSync(notes.path, 'utf8')).toBe('this is a.why');
      expect(readFileSync(file.path, 'utf8')).toBe('this is a');
      expect(readFileSync(`${notes.path}.why`, 'utf8')).toContain('of the notes');
      expect(readFileSync(`${file.path}.why`, 'utf8')).toContain('of the file');
    }
  });

  test('notes and duplicates are brought to the disk', async () => {
    const directory = new Directory(newDirectory());
    writeFileSync(join(directory.path, 'a'), 'this is a');
    const sync = vi.spyOn(fs, 'fsyncSync');
    syncBuiltinESMExports();
    const names = vi.spyOn(disk, 'syncDirectory');
    const folder = new SetAsideFolder(directory);
    await folder.copy('a', 'why');
    expect(sync).toHaveBeenCalledTimes(1);
    // Before another file takes the place of it.
    expect(names.mock.calls).toEqual([[join(directory.path, 'set-aside')], [directory.path]]);
    new SetAsideFolder(directory).duplicate('a', 'why');
    expect(sync).toHaveBeenCalledTimes(3);
  });

  test('a duplicate is another file', () => {
    const directory = new Directory(newDirectory());
    const path = join(directory.path, 'a');
    writeFileSync(path, 'this is a');
    const folder = new SetAsideFolder(directory);
    folder.duplicate('a', 'why');
    const [{ path: aside }] = folder.all;
    writeFileSync(path, 'something else');
    expect(readFileSync(aside, 'utf8')).toBe('this is a');
  });
});

async function withCursors() {
  const { directory } = await someLog();
  const log = await Log.open(directory);
  await log.cursor('one').set(11);
  await log.cursor('two').set(12);
  await log.close();
  return { directory, path: join(directory, 'cursors.mr') };
}

describe('a file of cursors whose header is damaged', () => {
  const rebuilt = async (directory: string, aside = nothing) => {
    const cursors = new CursorFile(directory);
    try {
      expect(['ERR_FORMAT', 'ERR_TRUNCATED']).toContain((await failure(() => cursors.repair(aside))).code);
      return await cursors.rebuild(aside);
    } finally {
      await cursors.close();
    }
  };
  const listed = async (directory: string) => {
    await using log = await Log.open(directory, { readOnly: true });
    return log.cursors().map(({ name, offset }) => [name, offset]);
  };

  test('is replaced, with the cursors that can be told', async () => {
    const { directory, path } = await withCursors();
    flip(path, 3);
    const found = readFileSync(path);
    let asideBytes: Buffer | undefined;
    const lost = await rebuilt(directory, async () => {
      asideBytes = readFileSync(path);
    });
    expect(lost).toEqual([]);
    expect(asideBytes?.equals(found)).toBe(true);
    expect(await listed(directory)).toEqual([
      ['one', 11],
      ['two', 12],
    ]);
  });

  test('and with them one that is damaged itself', async () => {
    const { directory, path } = await withCursors();
    const bytes = readFileSync(path);
    const at = bytes.indexOf('two') & ~511;
    writeFileSync(path, bytes.fill(0x55, at + 256, at + 512).fill(0, 0, 8));
    expect((await rebuilt(directory)).map(({ name }) => name)).toEqual(['two']);
    expect(await listed(directory)).toEqual([['one', 11]]);
  });

  test.each([0, 1, 100, 600, 4095])('that is all there is of it, and not whole: %i bytes', async (bytes) => {
    const { directory, path } = await withCursors();
    shorten(path, bytes);
    expect(await rebuilt(directory)).toEqual([]);
    expect(await listed(directory)).toEqual([]);
    await using log = await Log.open(directory);
    await log.cursor('one').set(5);
    expect(log.cursor('one').get()).toBe(5);
  });

  test('that is no file of cursors at all', async () => {
    const { directory, path } = await withCursors();
    writeFileSync(path, Buffer.alloc(5000, 'What is this? '));
    expect((await rebuilt(directory)).every(({ name }) => name === undefined)).toBe(true);
    expect(await listed(directory)).toEqual([]);
  });

  test('who has it open goes over to the new one, and nothing that is set is lost', async () => {
    const { directory, path } = await withCursors();
    await using beside = await Log.open(directory, { readOnly: 'records' });
    await beside.cursor('one').set(20);
    const file = fs.openSync(path, 'r+');
    fs.writeSync(file, Buffer.from('X'), 0, 1, 0);
    fs.closeSync(file);
    let set: Promise<void> | undefined;
    expect(
      await rebuilt(directory, async () => {
        const before = readFileSync(path);
        set = beside.cursor('two').set(22);
        expect(readFileSync(path).equals(before)).toBe(true);
      }),
    ).toEqual([]);
    await set;
    await beside.cursor('three').set(23);
    await beside.cursor('three').flush();
    expect(await listed(directory)).toEqual([
      ['one', 20],
      ['three', 23],
      ['two', 22],
    ]);
  });
});

import {
  closeSync,
  existsSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { disk as realDisk } from '../../lib/channel/runtime/disk.js';
import { binding, PAGES } from '../../lib/native.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { newDirectory } from '../helpers/run-directory.js';
import { Disk, type ImageMode, watchSyncs } from './simulator.js';

const PAGE = 4096;
const SECTOR = 512;
const DRAWS = 200;

let directory: string;
let simulator: Disk;
let random: (below: number) => number;

beforeEach(() => {
  directory = newDirectory();
  random = randomOf(1);
});

afterEach(() => simulator.close());

function store(name: string, bytes: string | Buffer, at = 0) {
  const descriptor = openSync(join(directory, name), existsSync(join(directory, name)) ? 'r+' : 'w');
  const buffer = Buffer.from(bytes);
  writeSync(descriptor, buffer, 0, buffer.length, at);
  closeSync(descriptor);
}

const pages = (letter: string, count = 1) => Buffer.alloc(count * PAGE, letter);
const inodeOf = (name: string) => statSync(join(directory, name)).ino;
const sync = (name: string) => simulator.beginFileSync(inodeOf(name))?.done();
const syncNames = () => simulator.beginNameSync(directory)?.done();

/** What one power cut leaves: each name with what is in it. */
function cut(mode?: ImageMode): Record<string, Buffer> {
  const target = newDirectory();
  simulator.image(random, target, mode);
  const left = readdirSync(target).map((name) => [name, readFileSync(join(target, name))]);
  rmSync(target, { recursive: true });
  return Object.fromEntries(left);
}

/** All that many power cuts leave, each outcome once. */
function outcomes(of: (left: Record<string, Buffer>) => string, mode?: ImageMode): string[] {
  const seen = new Set<string>();
  for (let i = 0; i < DRAWS; i++) seen.add(of(cut(mode)));
  return [...seen].sort();
}

/** The letter that all of it is filled with, or each of its pages' letters. */
function letters(bytes: Buffer | undefined, size = PAGE): string {
  if (bytes === undefined) return 'no file';
  const found: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    const even = part.every((byte) => byte === part[0]);
    found.push(even ? String.fromCharCode(part[0] || 0x30) : '?');
  }
  return found.join('');
}

describe('what is in a file', () => {
  test('is there for certain once a sync that began after it has ended', () => {
    store('file', pages('a', 3));
    simulator = new Disk(directory);
    store('file', pages('b', 3));
    sync('file');
    expect(outcomes(({ file }) => letters(file))).toEqual(['bbb']);
  });

  test('may be there or not, page by page, without one', () => {
    store('file', pages('a', 2));
    simulator = new Disk(directory);
    store('file', pages('b', 2));
    // Sectors may be mixed, but there is nothing in them that never was.
    const seen = outcomes(({ file }) => letters(file, SECTOR));
    for (const page of ['aaaaaaaa', 'bbbbbbbb'])
      for (const other of ['aaaaaaaa', 'bbbbbbbb']) expect(seen).toContain(page + other);
    expect(seen.filter((outcome) => /^[ab]{16}$/.test(outcome))).toEqual(seen);
  });

  test('is mixed of sectors from several moments at times', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    for (const letter of 'bcd') {
      store('file', pages(letter));
      simulator.look();
    }
    const seen = outcomes(({ file }) => letters(file, SECTOR));
    expect(seen.filter((outcome) => new Set(outcome).size === 1).length).toBe(4);
    expect(seen.filter((outcome) => new Set(outcome).size === 4).length).toBeGreaterThan(5);
    expect(seen.every((outcome) => /^[abcd]{8}$/.test(outcome))).toBe(true);
  });

  test('is at any look since the sync, and at none before it', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    store('file', pages('b'));
    simulator.look();
    store('file', pages('c'));
    sync('file');
    store('file', pages('d'));
    simulator.look();
    store('file', pages('e'));
    const seen = outcomes(({ file }) => letters(file));
    expect(seen).toEqual(expect.arrayContaining(['c', 'd', 'e']));
    expect(seen).not.toContain('a');
    expect(seen).not.toContain('b');
  });

  test('is not promised by a sync that began before it was stored', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    store('file', pages('b'));
    const begun = simulator.beginFileSync(inodeOf('file'));
    store('file', pages('c'));
    begun?.done();
    const seen = outcomes(({ file }) => letters(file));
    expect(seen).toEqual(expect.arrayContaining(['b', 'c']));
    expect(seen).not.toContain('a');
  });

  test('is promised by the later of two syncs at a time, whichever ends first', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    store('file', pages('b'));
    const early = simulator.beginFileSync(inodeOf('file'));
    store('file', pages('c'));
    const late = simulator.beginFileSync(inodeOf('file'));
    late?.done();
    early?.done();
    expect(outcomes(({ file }) => letters(file))).toEqual(['c']);
  });

  test('is not promised by a sync that has only begun', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    store('file', pages('b'));
    simulator.beginFileSync(inodeOf('file'));
    expect(outcomes(({ file }) => letters(file))).toEqual(expect.arrayContaining(['a', 'b']));
  });

  test('is there as far as the sync stored it itself, beside what came meanwhile', () => {
    store('file', pages('a', 2));
    simulator = new Disk(directory);
    const begun = simulator.beginFileSync(inodeOf('file'), { start: 512, end: 1024 });
    store('file', 'x'.repeat(512), 512);
    store('file', 'c'.repeat(512), 1024);
    begun?.done();
    expect(outcomes(({ file }) => letters(file.subarray(0, 2048), SECTOR))).toEqual(['axaa', 'axca']);
  });

  test('is nothing at all, where it was never synced', () => {
    simulator = new Disk(directory);
    store('file', pages('a', 2));
    syncNames();
    const seen = outcomes(({ file }) => letters(file));
    expect(seen).toEqual(expect.arrayContaining(['', '00', '0a', 'a0', 'aa']));
    sync('file');
    expect(outcomes(({ file }) => letters(file))).toEqual(['aa']);
  });

  test('ends at any of the sizes that it had', () => {
    store('file', pages('a'));
    simulator = new Disk(directory);
    store('file', 'b', PAGE + 9);
    simulator.look();
    const descriptor = openSync(join(directory, 'file'), 'r+');
    ftruncateSync(descriptor, 100);
    closeSync(descriptor);
    const seen = outcomes(({ file }) => String(file.length));
    expect(seen).toEqual(['100', String(PAGE), String(PAGE + 10)].sort());
    sync('file');
    expect(outcomes(({ file }) => String(file.length))).toEqual(['100']);
  });

  test('is found by what it is and not by its name', () => {
    store('file', pages('a'));
    store('other', pages('x'));
    simulator = new Disk(directory);
    const begun = simulator.beginFileSync(inodeOf('file'));
    renameSync(join(directory, 'other'), join(directory, 'file'));
    store('file', pages('y'));
    begun?.done();
    syncNames();
    expect(outcomes(({ file }) => letters(file))).toEqual(expect.arrayContaining(['x', 'y']));
  });
});

describe('names', () => {
  test('that are new may be missing until their directory was synced', () => {
    simulator = new Disk(directory);
    store('file', pages('a'));
    sync('file');
    expect(outcomes(({ file }) => letters(file))).toEqual(['a', 'no file']);
    syncNames();
    expect(outcomes(({ file }) => letters(file))).toEqual(['a']);
  });

  test('are not promised by a sync that began before they were there', () => {
    simulator = new Disk(directory);
    const begun = simulator.beginNameSync(directory);
    store('file', pages('a'));
    sync('file');
    begun?.done();
    expect(outcomes(({ file }) => letters(file))).toEqual(['a', 'no file']);
  });

  test('come and go each on its own', () => {
    store('old', pages('a'));
    simulator = new Disk(directory);
    unlinkSync(join(directory, 'old'));
    store('new', pages('b'));
    sync('new');
    const seen = outcomes((left) => Object.keys(left).join());
    expect(seen).toEqual(['', 'new', 'new,old', 'old']);
    syncNames();
    expect(outcomes((left) => Object.keys(left).join())).toEqual(['new']);
  });

  test('are the old one or the new one after a rename, never both and never neither', () => {
    store('before', pages('a'));
    simulator = new Disk(directory);
    renameSync(join(directory, 'before'), join(directory, 'after'));
    expect(outcomes((left) => Object.keys(left).join())).toEqual(['after', 'before']);
  });

  test('that a rename takes over lead to the old file or to the new one', () => {
    store('file', pages('a'));
    store('next', pages('b'));
    simulator = new Disk(directory);
    renameSync(join(directory, 'next'), join(directory, 'file'));
    const seen = outcomes(({ file, next }) => `${letters(file)} ${letters(next)}`);
    expect(seen).toEqual(['a b', 'b no file']);
    syncNames();
    expect(outcomes(({ file, next }) => `${letters(file)} ${letters(next)}`)).toEqual(['b no file']);
  });

  test('never both miss while a file goes from one to another by link and unlink', () => {
    store('before', pages('a'));
    simulator = new Disk(directory);
    linkSync(join(directory, 'before'), join(directory, 'after'));
    simulator.look();
    unlinkSync(join(directory, 'before'));
    expect(outcomes((left) => Object.keys(left).join())).toEqual(['after', 'after,before', 'before']);
  });

  test('that lead to one file lead to one file in the image, too', () => {
    store('one', pages('a'));
    linkSync(join(directory, 'one'), join(directory, 'two'));
    simulator = new Disk(directory);
    const target = newDirectory();
    simulator.image(random, target);
    expect(statSync(join(target, 'one')).ino).toBe(statSync(join(target, 'two')).ino);
  });

  test('of directories are passed over', () => {
    mkdirSync(join(directory, 'inner'));
    simulator = new Disk(directory);
    expect(cut()).toEqual({});
  });
});

describe('the modes', () => {
  beforeEach(() => {
    store('file', pages('a', 3));
    simulator = new Disk(directory);
    store('file', pages('b', 3));
    simulator.look();
    store('file', pages('c', 2));
    store('new', pages('x'));
  });
  const see = (mode: ImageMode) => outcomes((left) => `${letters(left.file)} ${letters(left.new)}`, mode);

  test.each([
    ['nothing but what is promised', ['aaa no file']],
    ['everything up to now', ['ccb x']],
    ['as of one moment', ['aaa no file', 'bbb no file', 'ccb x']],
  ] as const)('%s', (mode, expected) => expect(see(mode)).toEqual(expected));

  test('all but one page', () => {
    const seen = see('all but one page');
    expect(seen).toEqual(expect.arrayContaining(['acb x', 'bcb x', 'cab x', 'cbb x', 'cca x', 'ccb 0']));
    expect(seen).not.toContain('ccb x');
    expect(seen.every((outcome) => /^(..b|cc.) .$/.test(outcome))).toBe(true);
  });

  test('one page alone', () => {
    const seen = see('one page alone');
    expect(seen).toEqual(expect.arrayContaining(['baa 0', 'caa 0', 'aba 0', 'aca 0', 'aab 0', 'aaa x']));
    expect(seen).not.toContain('aaa 0');
  });

  test('all come up where none is asked for, mostly random', () => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < DRAWS; i++) {
      const target = newDirectory();
      const mode = simulator.image(random, target);
      rmSync(target, { recursive: true });
      counts[mode] = (counts[mode] ?? 0) + 1;
    }
    expect(Object.keys(counts).length).toBe(6);
    expect(counts.random).toBeGreaterThan(DRAWS / 3);
  });
});

describe('the object that brings stores to the disk', () => {
  const held = () => {
    let release = () => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    return { wait, release };
  };

  async function channelLike(name: string) {
    const file = await binding().createFile(directory, 4 * PAGE, 0o600, PAGES.DIRTY);
    const bytes = Buffer.from(binding().mapFile(file));
    return { file, bytes, link: () => binding().linkFile(file, join(directory, name)) };
  }

  test('promises what was stored before the call, also in a file that has no name yet', async () => {
    simulator = new Disk(directory);
    const undo = watchSyncs(realDisk, simulator);
    const { file, bytes, link } = await channelLike('file');
    bytes.fill('a');
    await realDisk.flushFrames(file, 0, 0, 0, 0, true);
    link();
    bytes.fill('b', 0, PAGE);
    await realDisk.syncDirectory(directory);
    undo();
    const seen = outcomes(({ file }) => letters(file));
    expect(seen).toEqual(expect.arrayContaining(['aaaa', 'baaa']));
    expect(seen.every((outcome) => outcome.endsWith('aaa'))).toBe(true);
    binding().closeFile(file);
  });

  test('promises nothing where it did not sync, where it failed, and where it has not ended', async () => {
    simulator = new Disk(directory);
    const { file, bytes, link } = await channelLike('file');
    link();
    syncNames();
    sync('file');
    bytes.fill('a', 0, PAGE);
    const seesBoth = () =>
      expect(outcomes(({ file }) => letters(file))).toEqual(expect.arrayContaining(['0000', 'a000']));

    const fails = { ...realDisk, flushFrames: async () => Promise.reject(new Error('EIO')) };
    let undo = watchSyncs(fails, simulator);
    await expect((fails as typeof realDisk).flushFrames(file, 0, 0, 0, 0, true)).rejects.toThrow('EIO');
    undo();
    seesBoth();

    undo = watchSyncs(realDisk, simulator, () => {
      throw new Error('EIO, late');
    });
    await expect(realDisk.flushFrames(file, 0, 0, 0, 0, true)).rejects.toThrow('EIO, late');
    undo();
    seesBoth();

    const gate = held();
    undo = watchSyncs(realDisk, simulator, () => gate.wait);
    await realDisk.flushFrames(file, 0, 0, 0, 0, false);
    seesBoth();
    // No frame is there: nothing is synced.
    expect(await realDisk.flushFrames(file, 2 * PAGE, 3 * PAGE, 7, 7, true)).toBe(2 * PAGE);
    seesBoth();
    const flushed = realDisk.flushFrames(file, 0, 0, 0, 0, true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    seesBoth();
    bytes.fill('b', PAGE, 2 * PAGE);
    gate.release();
    await flushed;
    expect(outcomes(({ file }) => letters(file))).toEqual(expect.arrayContaining(['a000', 'ab00']));
    undo();
    binding().closeFile(file);
  });

  test('promises the checksums that it filled in itself, also where the file was closed meanwhile', async () => {
    simulator = new Disk(directory);
    const { file, bytes, link } = await channelLike('file');
    link();
    syncNames();
    const stamp = 5;
    bytes.writeInt32LE(16 + 40, PAGE);
    bytes.writeInt32LE(1, PAGE + 4);
    bytes.writeInt32LE(stamp, PAGE + 8);
    bytes.fill('p', PAGE + 16, PAGE + 56);
    const undo = watchSyncs(realDisk, simulator);
    const flushed = realDisk.flushFrames(file, PAGE, PAGE + 64, stamp, 99, true);
    binding().closeFile(file);
    expect(await flushed).toBe(PAGE + 64);
    undo();
    const sums = outcomes(({ file }) => file.toString('hex', PAGE + 12, PAGE + 16));
    expect(sums.length).toBe(1);
    expect(sums[0]).not.toBe('00000000');
  });

  test('is as it was once it is undone', () => {
    simulator = new Disk(directory);
    const { flushFrames, syncDirectory } = realDisk;
    const undo = watchSyncs(realDisk, simulator);
    expect(realDisk.flushFrames).not.toBe(flushFrames);
    undo();
    expect(realDisk).toMatchObject({ flushFrames, syncDirectory });
  });

  test('of files and directories elsewhere promises nothing here', async () => {
    simulator = new Disk(directory);
    const elsewhere = newDirectory();
    writeFileSync(join(elsewhere, 'file'), 'x');
    expect(simulator.beginFileSync(statSync(join(elsewhere, 'file')).ino)).toBeUndefined();
    expect(simulator.beginNameSync(elsewhere)).toBeUndefined();
  });
});

test('lets go of files that no power cut can bring back', () => {
  simulator = new Disk(directory);
  const open = () => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let i = 0; i < 20; i++) {
    store('file', 'x');
    simulator.look();
    unlinkSync(join(directory, 'file'));
    syncNames();
  }
  expect(open()).toBe(before);
});

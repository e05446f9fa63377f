import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { Log, type LogRepair } from '../../lib/log/index.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { contentsOf } from '../helpers/stopped-writer.js';
import {
  DATA,
  damage,
  FRAME,
  fileOf,
  flip,
  overwrite,
  range,
  readable,
  remove,
  shorten,
  someLog,
  textOf,
  without,
} from './damaging.js';

afterEach(endAll);

const nameOf = (base: number) => `${String(base).padStart(20, '0')}.mr`;

/** It is sound, what it has is this and nothing else, it goes on at `next`, and nothing of what was there is gone. */
async function expectRepaired(directory: string, offsets: number[], next: number): Promise<LogRepair> {
  const before = new Map(contentsOf(directory).map(({ name, bytes }) => [name, bytes]));
  const repair = await Log.repair(directory);
  const aside = new Map(repair.setAside.map(({ name, path }) => [name, path]));
  for (const [name, path] of aside) {
    expect(existsSync(`${path}.why`)).toBe(true);
    expect(readFileSync(path).toString('latin1')).toBe(before.get(name));
  }
  const there = readdirSync(directory);
  const gone = [...before.keys()].filter((name) => !there.includes(name) || repair.rewritten.includes(name));
  expect(gone.filter((name) => !aside.has(name))).toEqual([]);
  const { sound, faults, cutOffAt } = await Log.verify(directory);
  expect([sound, faults, cutOffAt]).toEqual([true, [], undefined]);
  expect(await readable(directory)).toEqual(offsets);
  await using log = await Log.open(directory, { segment: '16KiB', sync: 'none' });
  expect(log.recovery?.setAside).toEqual([]);
  expect(log.next).toBe(next);
  for (let i = 0; i < 300; i++) expect(log.append(textOf(log.next))).toBe(next + i);
  expect(await readable(directory)).toEqual([...offsets, ...range(next, next + 300)]);
  const backwards: number[] = [];
  for await (const { offset } of log.read({ reverse: true })) backwards.push(offset);
  expect(backwards.reverse()).toEqual([...offsets, ...range(next, next + 300)]);
  return repair;
}

test('a sound log is left as it is', async () => {
  const { directory, next } = await someLog();
  const before = contentsOf(directory);
  const repair = await Log.repair(directory);
  expect(repair).toEqual({ path: directory, faults: [], lost: [], rewritten: [], setAside: [], cursors: [] });
  expect(contentsOf(directory)).toEqual(before);
  expect(await readable(directory)).toEqual(range(0, next));
});

test('where there is no log, none is made', async () => {
  const directory = newDirectory();
  expect((await failure(() => Log.repair(directory))).code).toBe('ERR_NOT_FOUND');
  expect(readdirSync(directory)).toEqual([]);
});

test.each(['exclusive', 'shared'] as const)(
  'a log that is open to append is left alone: %s',
  async (writers) => {
    const directory = newDirectory();
    await using log = await Log.open(directory, { writers });
    await log.commit('x');
    const before = contentsOf(directory).map(({ name, bytes }) => ({ name, bytes }));
    const error = await failure(() => Log.repair(directory));
    expect(error).toMatchObject({ code: 'ERR_WRITER_ACTIVE', path: directory });
    expect(contentsOf(directory).map(({ name, bytes }) => ({ name, bytes }))).toEqual(before);
  },
);

describe('each intact record keeps its offset, and is read without a stop', () => {
  test('damaged records in several segments, the last one too', async () => {
    const { directory, bases, next } = await someLog();
    const gone = [bases[0], bases[1] + 7, bases[1] + 30, bases[1] + 31, bases[2] - 1, bases[3] + 2];
    for (const offset of gone) {
      const base = bases.findLast((base) => base <= offset) as number;
      damage(fileOf(directory, base), base, offset);
    }
    const { lost, rewritten } = await expectRepaired(directory, without(range(0, next), ...gone), next);
    expect(lost.flatMap(({ from, to }) => range(from, to))).toEqual(gone);
    expect(rewritten).toEqual([bases[0], bases[1], bases[3]].map(nameOf));
  });

  test('a missing segment', async () => {
    const { directory, bases, next } = await someLog();
    remove(fileOf(directory, bases[1]));
    await using log = await Log.open(directory, { readOnly: true });
    using tail = log.tail({ from: 'earliest' });
    expect(tail.readBatch(10_000).length).toBe(bases[1]);
    expect(await failure(() => tail.read())).toMatchObject({ code: 'ERR_GAP', from: bases[1], to: bases[2] });
    const offsets = [...range(0, bases[1]), ...range(bases[2], next)];
    const { lost } = await expectRepaired(directory, offsets, next);
    expect(lost).toEqual([{ from: bases[1], to: bases[2] }]);
    tail.seek(bases[2]);
    expect(tail.read()?.offset).toBe(bases[2]);
  });

  test('a header that is damaged, wherever that is', async () => {
    for (const byte of [0, 20, 30, 40, 48, 51, 52, 60, 72, 76, 100, 112, 120, 200, 4096, 4110, 8000]) {
      const { directory, bases, next } = await someLog();
      flip(fileOf(directory, bases[1]), byte, byte % 8);
      await expectRepaired(directory, range(0, next), next);
    }
  });

  test('a header that is damaged, of the first one and of the last one', async () => {
    for (const number of [0, 3]) {
      const { directory, bases, next } = await someLog();
      flip(fileOf(directory, bases[number]), 50);
      await expectRepaired(directory, range(0, next), next);
    }
  });

  test('a header of which nothing is left but what its frames tell', async () => {
    for (const [from, to] of [
      [0, 512],
      [0, 4096],
      [4096, 8192],
      [0, 8192],
    ]) {
      for (const number of [0, 1]) {
        const { directory, bases, next } = await someLog();
        const path = fileOf(directory, bases[number]);
        writeFileSync(path, readFileSync(path).fill(0, from, to));
        await expectRepaired(directory, range(0, next), next);
      }
    }
  });

  test('a last segment whose header is gone though it was synced', async () => {
    const { directory, next, path } = await syncedLog();
    writeFileSync(path, readFileSync(path).fill(0, 0, 4096));
    expect((await failure(() => Log.open(directory))).code).toBe('ERR_CORRUPT');
    await expectRepaired(directory, range(0, next), next);
  });

  test('words of the header that are damaged', async () => {
    // State, final position, tail, limit, durable position.
    for (const byte of [512, 513, 520, 524, 640, 644, 646, 768, 772, 1664, 1668, 1670]) {
      for (const number of [1, 3]) {
        const { directory, bases, next } = await someLog();
        flip(fileOf(directory, bases[number]), byte, 5);
        const { sound } = await Log.verify(directory);
        if (!sound) await Log.repair(directory);
        expect((await Log.verify(directory)).sound, `${byte} of ${number}`).toBe(true);
        expect(await readable(directory), `${byte} of ${number}`).toEqual(range(0, next));
        await using log = await Log.open(directory);
        // One that said that more was written may have been right.
        expect(log.next, `${byte} of ${number}`).toBeGreaterThanOrEqual(next);
        expect(log.append(textOf(log.next))).toBe(log.next - 1);
      }
    }
  });

  test('all words of a header that change, so that it seems to be of another start of the machine', async () => {
    const { directory, bases, next } = await someLog();
    overwrite(fileOf(directory, bases[1]), 512, Buffer.alloc(1536, 0xaa));
    const { cutOffAt, faults } = await Log.verify(directory);
    expect({ cutOffAt, offset: faults[0].offset, nextOffset: faults[0].nextOffset }).toEqual({
      cutOffAt: undefined,
      offset: bases[1],
      nextOffset: bases[2],
    });
    await expectRepaired(directory, range(0, next), next);
  });

  test('a segment that was cut short', async () => {
    const { directory, bases, next } = await someLog();
    shorten(fileOf(directory, bases[1]), DATA + 20 * FRAME + 5);
    const offsets = [...range(0, bases[1] + 20), ...range(bases[2], next)];
    const { lost } = await expectRepaired(directory, offsets, next);
    expect(lost).toEqual([{ from: bases[1] + 20, to: bases[2] }]);
  });

  test('a last segment that was cut short: no offset is given twice', async () => {
    const { directory, bases } = await someLog();
    shorten(fileOf(directory, bases[3]), DATA + 3 * FRAME);
    expect((await failure(() => Log.open(directory))).code).toBe('ERR_CORRUPT');
    const repair = await Log.repair(directory);
    const [{ from, to }] = repair.lost;
    expect(from).toBe(bases[3] + 3);
    expect(to).toBeGreaterThanOrEqual(bases[3] + 10);
    expect(await readable(directory)).toEqual(range(0, bases[3] + 3));
    await using log = await Log.open(directory);
    expect(log.append('next')).toBe(to);
    expect((await log.verify()).sound).toBe(true);
  });

  test('a last segment of which nothing is left: no offset is given twice', async () => {
    const { directory, bases, next } = await someLog();
    const path = fileOf(directory, bases[3]);
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(7, 8));
    const repair = await Log.repair(directory);
    expect(repair.lost).toHaveLength(1);
    expect(repair.lost[0].from).toBe(bases[3]);
    expect(repair.setAside.map(({ name }) => name)).toContain(nameOf(bases[3]));
    expect(await readable(directory)).toEqual(range(0, bases[3]));
    await using log = await Log.open(directory);
    expect(log.next).toBe(repair.lost[0].to);
    expect(log.next).toBeGreaterThan(next);
    log.append(textOf(log.next));
    expect((await log.verify()).sound).toBe(true);
  });

  test('a log of which nothing is left', async () => {
    const { directory } = await someLog(1);
    const path = fileOf(directory, 0);
    writeFileSync(path, readFileSync(path).fill(7, 8));
    const { lost } = await Log.repair(directory);
    expect(await readable(directory)).toEqual([]);
    expect((await Log.verify(directory)).sound).toBe(true);
    await using log = await Log.open(directory);
    expect(log.append('x')).toBe(lost[0].to);
  });

  test('a first record that is damaged, in a log that has no other', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, { sync: 'none' });
    log.append(textOf(0));
    await log.close();
    damage(fileOf(directory, 0), 0, 0);
    const { lost } = await Log.repair(directory);
    expect((await Log.verify(directory)).sound).toBe(true);
    await using again = await Log.open(directory);
    expect(again.append(textOf(again.next))).toBe(lost[0].to);
    expect((await again.verify()).sound).toBe(true);
  });

  test('records that can not be decoded, though their checksums hold', async () => {
    const { directory, bases, next } = await someLog();
    const path = fileOf(directory, bases[1]);
    const bytes = readFileSync(path);
    const at = DATA + 5 * FRAME;
    const { binding } = await import('../../lib/native.js');
    // Of a type that nobody knows.
    bytes[at + 7] = 0x80;
    bytes.writeUInt32LE(0, at + 12);
    const summed = Buffer.concat([bytes.subarray(48, 52), bytes.subarray(at, at + FRAME)]);
    bytes.writeInt32LE(binding().crc32c(summed, 0, summed.length, 0), at + 12);
    writeFileSync(path, bytes);
    const offset = bases[1] + 5;
    const { faults } = await expectRepaired(directory, without(range(0, next), offset), next);
    expect(faults).toMatchObject([{ code: 'ERR_FORMAT', file: path, position: 5 * FRAME, offset }]);
  });

  test('a compacted segment: what was left out before is not lost', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, {
      segment: '16KiB',
      sync: 'none',
      compaction: { tombstonesMs: 0 },
    });
    while (log.segments().length < 4) log.append({ key: `k${log.next % 50}`, value: textOf(log.next) });
    await log.compact();
    const { next } = log;
    const kept: number[] = [];
    for await (const { offset } of log.read()) kept.push(offset);
    const [, , { base, path }] = log.segments();
    await log.close();
    const bytes = readFileSync(path);
    const victim = kept.find((offset) => offset >= base) as number;
    bytes[bytes.indexOf(textOf(victim))] ^= 1;
    writeFileSync(path, bytes);
    const { lost } = await expectRepaired(directory, without(kept, victim), next);
    expect(lost).toHaveLength(1);
    expect(range(lost[0].from, lost[0].to)).toContain(victim);
  });
});

test('what is foreign is set aside; a segment of another log too, and one under a wrong name', async () => {
  const [{ directory, bases, next }, other] = [await someLog(), await someLog()];
  writeFileSync(join(directory, 'notes.txt'), 'mine');
  cpSync(fileOf(other.directory, 0), fileOf(directory, next + 1000));
  renameSync(fileOf(directory, bases[2]), fileOf(directory, bases[2] + 1));
  writeFileSync(fileOf(directory, next + 2000), 'no segment at all');
  const offsets = [...range(0, bases[2]), ...range(bases[3], next)];
  const { setAside } = await expectRepaired(directory, offsets, next);
  const names = setAside.map(({ name }) => name);
  for (const name of ['notes.txt', nameOf(next + 1000), nameOf(bases[2] + 1), nameOf(next + 2000)]) {
    expect(names).toContain(name);
  }
  expect(readFileSync(join(directory, 'set-aside/notes.txt'), 'utf8')).toBe('mine');
});

describe('the lock file', () => {
  test.each([
    ['damaged', (path: string) => flip(path, 20)],
    ['cut short', (path: string) => shorten(path, 100)],
    ['missing', remove],
    ['of another log', (path: string) => cpSync(join(path, '../../other/log.lock'), path)],
  ] as const)('that is %s is made anew, and the log is the same', async (_, harm) => {
    const home = newDirectory();
    const other = await someLog();
    const { directory, next } = await someLog();
    cpSync(other.directory, join(home, 'other'), { recursive: true });
    cpSync(directory, join(home, 'log'), { recursive: true });
    const path = join(home, 'log/log.lock');
    harm(path);
    await expectRepaired(join(home, 'log'), range(0, next), next);
    expect(readFileSync(path).subarray(0, 68)).toEqual(
      readFileSync(join(directory, 'log.lock')).subarray(0, 68),
    );
  });

  test('of a log that several processes append to still says so', async () => {
    const directory = newDirectory();
    const log = await Log.open(directory, { writers: 'shared' });
    await log.commit('one');
    await log.close();
    flip(join(directory, 'log.lock'), 0);
    await Log.repair(directory);
    await using again = await Log.open(directory, { writers: 'shared' });
    expect(await again.commit('two')).toBe(1);
  });

  test('that is damaged under a live writer is left alone', async () => {
    const directory = newDirectory();
    await using log = await Log.open(directory);
    await log.commit('one');
    const path = join(directory, 'log.lock');
    // In place: the writer's lock is on this very file.
    const { openSync, writeSync, closeSync } = await import('node:fs');
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.from('X'), 0, 1, 0);
    closeSync(file);
    const { ino } = statSync(path);
    expect((await failure(() => Log.repair(directory))).code).toBe('ERR_WRITER_ACTIVE');
    expect(statSync(path).ino).toBe(ino);
  });
});

test('cursors that nobody can tell are given up, the others stay', async () => {
  const { directory, next } = await someLog();
  const log = await Log.open(directory);
  for (const [name, offset] of [
    ['one', 1],
    ['two', 2],
  ] as const)
    await log.cursor(name).set(offset);
  await log.close();
  const path = join(directory, 'cursors.mr');
  const bytes = readFileSync(path);
  // Both copies of one of them.
  const at = bytes.indexOf('two') & ~511;
  writeFileSync(path, bytes.fill(0x55, at + 256, at + 512));
  const { cursors, setAside } = await expectRepaired(directory, range(0, next), next);
  expect(cursors).toEqual(['two']);
  expect(setAside.map(({ name }) => name)).toEqual(['cursors.mr']);
  await using again = await Log.open(directory);
  expect(again.cursors()).toMatchObject([{ name: 'one', offset: 1 }]);
});

test('a file of cursors that was cut short is kept as it was found', async () => {
  const { directory, next } = await someLog();
  const log = await Log.open(directory);
  await log.cursor('one').set(1);
  await log.close();
  shorten(join(directory, 'cursors.mr'), 4096 + 256);
  const { cursors, setAside } = await expectRepaired(directory, range(0, next), next);
  expect(cursors).toEqual([undefined]);
  expect(setAside.map(({ name }) => name)).toEqual(['cursors.mr']);
});

test('single bits of a file of cursors are put back in it, and nothing is put aside', async () => {
  const { directory, next } = await someLog();
  const log = await Log.open(directory);
  await log.cursor('one').set(1);
  await log.close();
  const path = join(directory, 'cursors.mr');
  const sound = readFileSync(path);
  flip(path, sound.indexOf('one'));
  const { faults, cursors, setAside } = await expectRepaired(directory, range(0, next), next);
  expect([faults.length, cursors, setAside]).toEqual([1, [], []]);
  expect(readFileSync(path).equals(sound)).toBe(true);
});

test('it can be aborted, and done again', async () => {
  const { directory, bases, next } = await someLog();
  damage(fileOf(directory, 0), 0, 3);
  remove(fileOf(directory, bases[2]));
  expect((await failure(() => Log.repair(directory, { signal: AbortSignal.abort() }))).code).toBe(
    'ERR_ABORTED',
  );
  const offsets = without([...range(0, bases[2]), ...range(bases[3], next)], 3);
  await expectRepaired(directory, offsets, next);
});

/** A log of one segment, in which a CHECKPOINT tells of a sync: records came while that ran. */
async function syncedLog() {
  const directory = newDirectory();
  await using log = await Log.open(directory, { sync: 'none' });
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 50; i++) log.append(textOf(log.next));
    let isFlushed = false;
    const flushing = log.flush().then(() => {
      isFlushed = true;
    });
    // All in one segment.
    for (let i = 0; i < 5 && !isFlushed; i++) {
      log.append(textOf(log.next));
      await turn();
    }
    await flushing;
  }
  return { directory, next: log.next, path: log.segments()[0].path };
}

test('by root, a log stays its owner’s', async ({ skip }) => {
  if (process.getuid?.() !== 0) skip('only root can do it');
  const { directory, bases } = await someLog();
  for (const name of readdirSync(directory)) chownSync(join(directory, name), 65534, 65534);
  chownSync(directory, 65534, 65534);
  const path = fileOf(directory, bases[1]);
  damage(path, bases[1], bases[1] + 3);
  chmodSync(path, 0o640);
  await Log.repair(directory);
  const { uid, gid, mode } = statSync(path);
  expect([uid, gid, mode & 0o777]).toEqual([65534, 65534, 0o640]);
  expect(statSync(join(directory, 'set-aside')).uid).toBe(65534);
});

/** Damage of all kinds: what is intact in it. */
async function muchDamaged(): Promise<{ directory: string; offsets: number[]; next: number }> {
  const { directory, bases, next } = await someLog(7);
  damage(fileOf(directory, 0), 0, 3);
  flip(fileOf(directory, bases[1]), 60);
  remove(fileOf(directory, bases[3]));
  const path = fileOf(directory, bases[4]);
  writeFileSync(path, readFileSync(path).fill(7, 8));
  flip(join(directory, 'log.lock'), 20);
  damage(fileOf(directory, bases[6]), bases[6], bases[6]);
  const offsets = without([...range(0, bases[3]), ...range(bases[5], next)], 3, bases[6]);
  return { directory, offsets, next };
}

test('much at once', async () => {
  const { directory, offsets, next } = await muchDamaged();
  await expectRepaired(directory, offsets, next);
});

describe('who dies on the way leaves a log to be repaired again', () => {
  test.each([112, 113, 120, 121, 122, 123, 130, 131, 132, 133, 134])('killed at step %i', async (step) => {
    for (const nth of [1, 2, 3, 4]) {
      const { directory, offsets, next } = await muchDamaged();
      const child = new Child(
        '../../log/fixtures/repairing-child.js',
        { directory, die: { step, nth } },
        { steps: true },
      );
      const { code, signal } = await child.exit;
      child.throwIfFailed();
      if (nth === 1) expect(signal).toBe('SIGKILL');
      else expect([code, signal]).toContain(signal === null ? 0 : 'SIGKILL');
      const { setAside } = await Log.repair(directory);
      for (const { path } of setAside) expect(existsSync(`${path}.why`)).toBe(true);
      expect((await Log.verify(directory)).sound).toBe(true);
      expect(await readable(directory)).toEqual(offsets);
      await using log = await Log.open(directory);
      expect(log.append(textOf(next))).toBe(next);
    }
  });
});

import { readdirSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { COMPACTION_BYTE, LockFile, SEGMENTS_BYTE } from '../../lib/log/files/lock-file.js';
import { type CursorSetOptions, Log, type LogOptions } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { Child } from '../crash/fixtures/child.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { addAtRandom, checkChain, generationsOf, Modelled, offsetsOf, readAll, stored } from './modelled.js';
import { clock, withOwnClock } from './own-clock.js';

withOwnClock();

/** A log of three segments that can be compacted to one, and a hold of its lock file as another process has it. */
async function threeAndAnother() {
  const model = await Modelled.open();
  for (let i = 0; i < 3; i++) {
    model.add('key', `value ${i}`);
    model.roll();
  }
  const other = LockFile.open(model.log.path, true) as LockFile;
  onTestFinished(() => other.close());
  return { model, other };
}

describe('while it goes on', () => {
  test('the event loop has its turns, and progress is told', async () => {
    const model = await Modelled.open({ segment: '4MiB' });
    const { log } = model;
    const value = 'x'.repeat(100);
    while (log.segments().length < 9) for (let i = 0; i < 100; i++) model.add(`key-${i}`, value);
    const told: [number, number][] = [];
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    const { bytes } = await log.compact({ onProgress: (done, total) => void told.push([done, total]) });
    isDone = true;
    // Each megabyte is read three times.
    expect(turns).toBeGreaterThan((2 * bytes) / 2 ** 20);
    expect(told.length).toBe(log.segments().length * 2 - 1);
    const [, total] = told[0];
    for (const [i, [done, all]] of told.entries()) {
      expect(all).toBe(total);
      expect(done).toBeGreaterThan(told[i - 1]?.[0] ?? 0);
    }
    expect(told.at(-1)).toEqual([total, total]);
  });

  test('it can be aborted anywhere, and what it came to is sound', async () => {
    const random = randomOf(20_265);
    const model = await Modelled.open({ compaction: { tombstonesMs: 0 } });
    const { log } = model;
    addAtRandom(model, random, 1500, 40);
    const before = Modelled.fold(await stored(log.path));
    const most = log.segments().length * 2 - 1;
    let halfDone = 0;
    for (let after = 1; after < most; after += 3) {
      const aborting = new AbortController();
      let told = 0;
      const onProgress = () => {
        if (++told === after) aborting.abort(new Error('enough'));
      };
      const error = await failure(() => log.compact({ signal: aborting.signal, onProgress }));
      expect(error).toMatchObject({ code: 'ERR_ABORTED', cause: { message: 'enough' } });
      const now = await stored(log.path);
      expect(Modelled.fold(now)).toEqual(before);
      if (now.length < model.appended.length && now.length > model.left(model.lastBase, 0).length) halfDone++;
      expect(readdirSync(log.path).filter((name) => name.startsWith('.'))).toEqual([]);
    }
    expect(halfDone).toBeGreaterThan(5);
    await log.compact();
    expect(await stored(log.path)).toEqual(model.left(model.lastBase, 0));
    const signal = AbortSignal.abort();
    expect(await failure(() => log.compact({ signal }))).toMatchObject({ code: 'ERR_ABORTED' });
  });

  test('what is appended meanwhile is as good as appended afterwards', async () => {
    const random = randomOf(20_266);
    const model = await Modelled.open({ compaction: { tombstonesMs: 0 } });
    const { log } = model;
    addAtRandom(model, random, 1000, 40);
    const { lastBase } = model;
    const expected = model.left(lastBase, 0);
    const onProgress = () => addAtRandom(model, random, 20, 40);
    await log.compact({ onProgress });
    const added = model.appended.slice(1000);
    expect(added.length).toBeGreaterThan(500);
    // Time went on: what is over by now is not what was over when it began.
    const left = await stored(log.path);
    expect(offsetsOf(left.slice(-added.length))).toEqual(offsetsOf(added));
    const kept = new Set(offsetsOf(left));
    for (const { offset } of expected) expect(kept.has(offset) || offset >= lastBase).toBe(true);
    checkChain(log);
  });

  test('retention removes what it removes, and nothing comes back', async () => {
    const random = randomOf(20_267);
    const model = await Modelled.open({ retention: { segments: 12 }, compaction: { tombstonesMs: 0 } });
    const { log } = model;
    let compactions = 0;
    let removals = 0;
    for (let round = 0; round < 8; round++) {
      addAtRandom(model, random, 600, 60);
      await log.lookAfter();
      const onProgress = () => {
        const { earliest } = log;
        addAtRandom(model, random, 20, 60);
        if (log.earliest > earliest) removals++;
      };
      const first = log.earliest;
      await log.compact({ onProgress });
      if (log.earliest > first) removals++;
      compactions++;
      await log.lookAfter();
      expect(log.segments().length).toBeLessThanOrEqual(13);
      checkChain(log);
      const left = await stored(log.path);
      const { earliest } = log;
      expect(left.every(({ offset }) => offset >= earliest)).toBe(true);
      expect(new Set(offsetsOf(left)).size).toBe(left.length);
    }
    expect(compactions).toBe(8);
    expect(removals).toBeGreaterThan(4);
  });

  describe('a cursor', () => {
    /** A log of five segments, each of the first three with a record that may go; and it again, with a cursor at its end. */
    async function five(writers: LogOptions['writers']) {
      const log = await Log.open(newDirectory(), { segment: '16KiB', sync: 'none', writers });
      const other = await Log.open(log.path, { readOnly: 'records' });
      for (const one of [log, other]) onTestFinished(() => one.close());
      const keyed: number[] = [];
      for (let i = 1; i < 5; i++) {
        keyed.push(await log.appendAsync({ key: 'key', value: `value ${i}` }));
        while (log.segments().length === i) await log.appendAsync('fills'.padEnd(2000, '.'));
      }
      await other.cursor('far').set(log.next);
      const bases = log.segments().map(({ base }) => base);
      return { log, other, bases, superfluous: keyed.slice(0, 3), all: [...Array(log.next).keys()] };
    }

    /** Offsets that a reader by that name gets. */
    const readBy = async (log: Log, cursor: string) => offsetsOf(await readAll(log, { cursor }));

    describe.each(['exclusive', 'shared'] as const)('of a log with %s writers', (writers) => {
      test.each<[string, string, CursorSetOptions]>([
        ['made', 'new', {}],
        ['set back', 'far', { force: true }],
      ])('that is %s before anything is replaced reads all from there on', async (_, name, force) => {
        const { log, other, bases, superfluous, all } = await five(writers);
        const from = bases[2] - 1;
        let set: Promise<void> | undefined;
        const onProgress = () => {
          set ??= other.cursor(name).set(from, force);
        };
        expect(await log.compact({ onProgress })).toMatchObject({ segments: 1 });
        await set;
        expect(generationsOf(log)).toEqual([1, 0, 0, 0, 0]);
        expect(await readBy(log, name)).toEqual(all.slice(from));
        await log.compact();
        expect(offsetsOf(await stored(log.path))).toEqual(
          all.filter((offset) => !superfluous.includes(offset)),
        );
      });

      test('that is set back after some are replaced reads all that was not', async () => {
        const { log, other, superfluous, all } = await five(writers);
        let set: Promise<void> | undefined;
        const onProgress = () => {
          if (generationsOf(log)[1] === 1) set ??= other.cursor('far').set(0, { force: true });
        };
        expect(await log.compact({ onProgress })).toMatchObject({ segments: 2, records: 2 });
        await set;
        expect(generationsOf(log)).toEqual([1, 1, 0, 0, 0]);
        const gone = superfluous.slice(0, 2);
        expect(await readBy(log, 'far')).toEqual(all.filter((offset) => !gone.includes(offset)));
      });

      test('that is set back while what is left is being written finds the segment as it was', async () => {
        const { log, other, all } = await five(writers);
        const native = binding();
        const { createFile } = native;
        onTestFinished(() => void Object.assign(native, { createFile }));
        native.createFile = (...given) => {
          native.createFile = createFile;
          const made = createFile(...given);
          void other.cursor('far').set(0, { force: true });
          return made;
        };
        expect(await log.compact()).toEqual({ segments: 0, records: 0, bytes: 0 });
        expect(readdirSync(log.path).filter((name) => name.startsWith('.'))).toEqual([]);
        expect(await readBy(log, 'far')).toEqual(all);
      });
    });

    test('that was set back and moved on has kept an earlier value: what ended that one stays', async () => {
      const model = await Modelled.open({ compaction: { tombstonesMs: 0 } });
      const { log } = model;
      model.add('key', 'value');
      model.roll();
      const tombstone = model.add('key', null);
      model.roll();
      clock.us += 1;
      const cursor = log.cursor('c');
      await cursor.set(log.next);
      const before = Modelled.fold(await stored(log.path));
      let calls = 0;
      // All three are looked through, and then the first two replaced.
      const onProgress = () => {
        calls++;
        if (calls === 3) void cursor.set(0, { force: true });
        if (calls === 4) void cursor.set(log.next);
      };
      await log.compact({ onProgress });
      expect(calls).toBe(5);
      const left = await stored(log.path);
      expect(offsetsOf(left)).toEqual(expect.arrayContaining([0, tombstone]));
      expect(Modelled.fold(left)).toEqual(before);
    });
  });

  test('two at once are one after the other', async () => {
    const model = await Modelled.open();
    for (let i = 0; i < 5; i++) {
      model.add('key', `value ${i}`);
      model.roll();
    }
    const both = await Promise.all([model.log.compact(), model.log.compact()]);
    expect(both.map(({ segments }) => segments).sort()).toEqual([0, 4]);
    expect(await stored(model.log.path)).toEqual(model.left(model.lastBase));
  });

  test('who waits for another one of the same log ends by a signal of its own, and the next still comes after the first', async () => {
    const { model, other } = await threeAndAnother();
    expect(other.tryLock(COMPACTION_BYTE)).toBe(true);
    const ended: string[] = [];
    const first = model.log.compact().finally(() => ended.push('first'));
    const aborting = new AbortController();
    const second = failure(() => model.log.compact({ signal: aborting.signal }));
    aborting.abort();
    expect(await second).toMatchObject({ code: 'ERR_ABORTED' });
    const third = model.log.compact().finally(() => ended.push('third'));
    expect(ended).toEqual([]);
    other.unlock(COMPACTION_BYTE);
    expect([await first, await third]).toMatchObject([{ segments: 2 }, { segments: 0 }]);
    expect(ended).toEqual(['first', 'third']);
  });

  test.each([
    ['compacts', COMPACTION_BYTE],
    ['changes segments', SEGMENTS_BYTE],
  ])('it waits as long as another process %s', async (_, byte) => {
    const { model, other } = await threeAndAnother();
    expect(other.tryLock(byte)).toBe(true);
    let refused = 0;
    const native = binding();
    const { lockByte } = native;
    onTestFinished(() => void Object.assign(native, { lockByte }));
    native.lockByte = (file, at) => {
      const isLocked = lockByte(file, at);
      if (at === byte && !isLocked) refused++;
      return isLocked;
    };
    const aborting = new AbortController();
    const aborted = failure(() => model.log.compact({ signal: aborting.signal }));
    while (refused < 2) await new Promise((resolve) => setImmediate(resolve));
    aborting.abort();
    expect(await aborted).toMatchObject({ code: 'ERR_ABORTED' });
    expect(generationsOf(model.log)).toEqual([0, 0, 0, 0]);
    const compacting = model.log.compact();
    other.unlock(byte);
    expect(await compacting).toMatchObject({ segments: 2 });
    expect(await stored(model.log.path)).toEqual(model.left(model.lastBase));
  });

  test('a log that several append to is compacted by one, and all read what is left', async () => {
    const directory = newDirectory();
    const options = { segment: '16KiB', sync: 'none', writers: 'shared' } as const;
    const logs = await Promise.all([Log.open(directory, options), Log.open(directory, options)]);
    for (const log of logs) onTestFinished(() => log.close());
    const values = new Map<string, string>();
    for (let i = 0; i < 300; i++) {
      const [key, value] = [`key-${i % 7}`, `${i}`.padEnd(300, '.')];
      await logs[i % 2].appendAsync({ key, value });
      values.set(key, value);
    }
    const results = await Promise.all(logs.map((log) => log.compact()));
    expect(results.filter(({ segments }) => segments > 0).length).toBe(1);
    await logs[0].appendAsync({ key: 'key-0', value: 'last' });
    values.set('key-0', 'last');
    for (const log of logs) {
      const read = await readAll(log);
      expect(read.length).toBeLessThan(100);
      expect(new Map(read.map(({ key, value }) => [key, value]))).toEqual(values);
      checkChain(log);
    }
  });

  test('closing ends it', async () => {
    const model = await Modelled.open();
    for (let i = 0; i < 20; i++) {
      model.add('key', `value ${i}`);
      model.roll();
    }
    let closing: Promise<void> | undefined;
    const compacting = failure(() =>
      model.log.compact({
        onProgress: () => {
          closing ??= model.log.close();
        },
      }),
    );
    expect(await compacting).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    await closing;
    expect(await failure(() => model.log.compact())).toMatchObject({ code: 'ERR_CLOSED_HANDLE' });
    expect(await stored(model.log.path)).toEqual(model.appended);
  });
});

test('now and then it is compacted by itself, where it is worth it', async () => {
  const model = await Modelled.open({ compaction: { everyMs: 1, minDeadRatio: 0.6 } });
  const { log } = model;
  // Half of the first segment goes, and nearly all of the second one.
  for (let i = 0; i < 7; i++) model.add('often', 'x'.repeat(1000));
  for (let i = 0; i < 7; i++) model.add(undefined, 'x'.repeat(1000));
  model.roll();
  for (let i = 0; i < 13; i++) model.add('often', 'x'.repeat(1000));
  model.roll();
  while (generationsOf(log)[1] === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(generationsOf(log)[0]).toBe(0);
  expect(Modelled.fold(await readAll(log))).toEqual(Modelled.fold(model.appended));
});

describe('who reads meanwhile', () => {
  test('reads a replaced segment to its end, and goes on in what is left', async () => {
    const random = randomOf(20_268);
    for (let round = 0; round < 20; round++) {
      const model = await Modelled.open();
      const { log } = model;
      addAtRandom(model, random, 600, 1 + random(60));
      for (const record of model.appended) record.expiresAt = Number.POSITIVE_INFINITY;
      const tails = Array.from({ length: 5 }, () => log.tail({ from: 'earliest' }));
      const read = tails.map(() => [] as number[]);
      const step = (i: number, max: number) =>
        void read[i].push(...tails[i].readBatch(max).map(({ offset }) => offset));
      for (const i of tails.keys()) step(i, 1 + random(500));
      const bases = log.segments().map(({ base }) => base);
      const onProgress = () => step(random(5), 1 + random(40));
      await log.compact({ onProgress });
      for (const i of tails.keys()) step(i, 10_000);
      const left = offsetsOf(await readAll(log));
      const all = new Set(offsetsOf(model.appended));
      for (const offsets of read) {
        const known = new Set(offsets);
        expect(offsets).toEqual([...known].sort((a, b) => a - b));
        for (const offset of left) expect(known.has(offset), `round ${round}`).toBe(true);
        for (const offset of offsets) expect(all.has(offset)).toBe(true);
      }
      expect(bases).toEqual(log.segments().map(({ base }) => base));
      await log.close();
    }
  });

  test('in another process misses nothing that is left, and reads nothing twice', async () => {
    const directory = newDirectory();
    const random = randomOf(20_269);
    const model = await Modelled.open({ compaction: { tombstonesMs: 2 ** 40 } }, directory);
    const { log } = model;
    const add = (count: number) => {
      for (let i = 0; i < count; i++) model.add(`key-${random(50)}`, 'v'.repeat(random(600)));
    };
    add(300);
    const readers = [0, 100, 250].map(
      (from) => new Child('../../log/fixtures/reading-child.js', { directory, outOfRange: 'throw', from }),
    );
    await Promise.all(readers.map((reader) => reader.expect('open')));
    for (let i = 0; i < 15; i++) {
      add(100);
      await log.compact();
    }
    for (const reader of readers) reader.send({ until: log.next });
    const left = offsetsOf(await stored(directory));
    for (const [i, reader] of readers.entries()) {
      const { runs, error } = await reader.expect('done');
      expect(error).toBeUndefined();
      const isRead = (offset: number) =>
        runs.some(([from, to]: [number, number]) => from <= offset && offset < to);
      for (let k = 1; k < runs.length; k++) expect(runs[k][0]).toBeGreaterThan(runs[k - 1][1]);
      for (const offset of left) if (offset >= [0, 100, 250][i]) expect(isRead(offset)).toBe(true);
      await reader.exit;
    }
  });
});

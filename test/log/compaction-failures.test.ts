import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { rewriteSegment } from '../../lib/log/files/rewrite.js';
import { Log } from '../../lib/log/index.js';
import { binding } from '../../lib/native.js';
import { Child } from '../crash/fixtures/child.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import {
  addAtRandom,
  checkChain,
  compactWith,
  generationsOf,
  Modelled,
  readAll,
  stored,
} from './modelled.js';
import { clock, withOwnClock } from './own-clock.js';

withOwnClock();

describe('what goes wrong', () => {
  async function some(): Promise<Modelled> {
    const model = await Modelled.open();
    for (let i = 0; i < 4; i++) {
      for (let k = 0; k < 3; k++) model.add('key', `value ${i} ${k}`);
      model.roll();
    }
    return model;
  }

  test('a full disk: all is as before, and it goes on once there is room', async () => {
    const model = await some();
    const native = binding();
    const { createFile } = native;
    onTestFinished(() => void Object.assign(native, { createFile }));
    let files = 0;
    native.createFile = async (...given) => {
      if (++files < 3) return createFile(...given);
      throw Object.assign(new Error('no space'), { code: 'ENOSPC', errno: 28, syscall: 'fallocate' });
    };
    expect(await failure(() => model.log.compact())).toMatchObject({ code: 'ERR_NO_SPACE' });
    expect(generationsOf(model.log)).toEqual([1, 1, 0, 0, 0]);
    expect(Modelled.fold(await readAll(model.log))).toEqual(Modelled.fold(model.appended));
    native.createFile = createFile;
    await model.log.compact();
    expect(await stored(model.log.path)).toEqual(model.left(model.lastBase));
  });

  test('damage: nothing is compacted by what can be read only in part', async () => {
    const model = await some();
    const [, , { path }] = model.log.segments();
    const bytes = readFileSync(path);
    bytes[bytes.length - 16 * 1024 + 50] ^= 1;
    await model.log.close();
    writeFileSync(path, bytes);
    const log = await Log.open(model.log.path, { segment: '16KiB', sync: 'none' });
    onTestFinished(() => log.close());
    expect(await failure(() => log.compact())).toMatchObject({ code: 'ERR_CORRUPT', path });
    expect(generationsOf(log)).toEqual([0, 0, 0, 0, 0]);
  });

  test('a segment that is missing may come back: until then nothing is compacted that would bring back what it had', async () => {
    const model = await Modelled.open({ compaction: { tombstonesMs: 0 } });
    const { log } = model;
    model.add('other', 'value');
    model.roll();
    const [, { base: from, path }] = log.segments();
    model.add('over', 'value');
    model.roll();
    const { lastBase: to } = model;
    model.add('over', null);
    model.roll();
    clock.us += 1000;
    const away = `${newDirectory()}/away`;
    renameSync(path, away);
    expect(await failure(() => log.compact())).toMatchObject({ code: 'ERR_GAP', path: log.path, from, to });
    const bases = log.segments().map(({ base }) => base);
    expect(generationsOf(log)).toEqual(bases.map(() => 0));
    renameSync(away, path);
    expect(Modelled.fold(await readAll(log))).toEqual(Modelled.fold(model.appended));
    await log.compact();
    expect(await stored(log.path)).toEqual(model.left(model.lastBase, 0));
  });

  test('a cursor of which nobody can tell where it stands', async () => {
    const model = await some();
    await model.log.cursor('damaged').set(5);
    await model.log.close();
    const path = `${model.log.path}/cursors.mr`;
    const bytes = readFileSync(path);
    const name = bytes.indexOf('damaged');
    bytes.fill(0xff, name, name + 400);
    writeFileSync(path, bytes);
    const { log } = await model.reopen();
    expect(await failure(() => log.compact())).toMatchObject({ code: 'ERR_CORRUPT', path });
    expect(generationsOf(log)).toEqual([0, 0, 0, 0, 0]);
  });

  test('a segment that another one took the place of meanwhile', async () => {
    const model = await some();
    const [{ path }] = model.log.segments();
    const alone = async <T>(work: () => Promise<T>) => {
      await rewriteSegment(path);
      return work();
    };
    const error = await failure(() => compactWith(model.log, { alone }));
    expect(error).toMatchObject({ code: 'ERR_BUSY', path });
  });

  test('a log that is open to read only, and options that there are not', async () => {
    const model = await some();
    const reader = await Log.open(model.log.path, { readOnly: true });
    onTestFinished(() => reader.close());
    expect(await failure(() => reader.compact())).toMatchObject({ code: 'ERR_PERMISSION' });
    const { log } = model;
    const invalid = { code: 'ERR_INVALID_ARGUMENT' };
    expect(await failure(() => log.compact({ onprogress: () => {} } as object))).toMatchObject({
      ...invalid,
      meant: 'onProgress',
    });
    expect(await failure(() => log.compact({ onProgress: 1 as never }))).toMatchObject(invalid);
    expect(await failure(() => log.compact({ signal: {} as never }))).toMatchObject(invalid);
    for (const compaction of [
      { minDeadRatio: 1.1 },
      { minDeadRatio: Number.NaN },
      { everyMs: 0 },
      { tombstonesMs: -1 },
      { everyMS: 1 },
    ]) {
      expect(await failure(() => Log.open(newDirectory(), { compaction } as object))).toMatchObject(invalid);
    }
  });
});

describe('whoever compacts is killed', () => {
  test.each([120, 121, 55, 122, 123])('at step %i: what was valid is valid, nothing more', async (step) => {
    let replaced = 0;
    for (const nth of [1, 3]) {
      const directory = newDirectory();
      const model = await Modelled.open({}, directory);
      const random = randomOf(20_270 + step);
      addAtRandom(model, random, 900, 30);
      const before = Modelled.fold(model.appended);
      await model.log.close();
      const open = { segment: '16KiB', sync: 'none', compaction: { tombstonesMs: 0 } };
      const child = new Child(
        '../../log/fixtures/compacting-child.js',
        { directory, open, nowUs: clock.us, die: { step, nth } },
        { steps: true },
      );
      const { signal } = await child.exit;
      child.throwIfFailed();
      expect(signal).toBe('SIGKILL');
      const again = await model.reopen({ compaction: { tombstonesMs: 0 } });
      const left = await stored(directory);
      expect(Modelled.fold(left)).toEqual(before);
      checkChain(again.log);
      replaced += generationsOf(again.log).filter((generation) => generation > 0).length;
      expect(readdirSync(directory).filter((name) => name.startsWith('.'))).toEqual([]);
      expect(again.log.next).toBe(model.appended.length);
      await again.log.compact();
      expect(await stored(directory)).toEqual(model.left(again.lastBase, 0));
      await again.log.close();
    }
    // Of the first and the third segment that it replaces.
    expect(replaced).toBe(step >= 122 ? 4 : 2);
  });
});

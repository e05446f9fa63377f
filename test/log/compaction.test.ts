import { describe, expect, test, vi } from 'vitest';
import { SegmentReader } from '../../lib/channel/index.js';
import type { Log } from '../../lib/log/index.js';
import { randomOf } from '../crash/fixtures/plan.js';
import {
  addAtRandom,
  checkChain,
  compactByTime,
  compactWith,
  DAY_MS,
  generationsOf,
  Modelled,
  offsetsOf,
  readAll,
  stored,
} from './modelled.js';
import { clock, withOwnClock } from './own-clock.js';
import { packSegment } from './pack-segment.js';
import { fillTo, open } from './retained.js';

withOwnClock();

describe('what goes and what stays', () => {
  test('of each key the last value stays, with its offset, and so does what has no key', async () => {
    const model = await Modelled.open();
    const { log } = model;
    model.add('a', 'first of a');
    model.add(undefined, 'no key');
    model.add('b', 'first of b');
    model.add('a', 'second of a');
    model.roll();
    model.add('a', 'third of a');
    model.add('', 'an empty key');
    model.roll();
    model.add('b', 'in the last segment');
    model.add('b', 'in the last segment, too');
    const { lastBase } = model;
    const result = await log.compact();
    const left = await stored(log.path);
    expect(left).toEqual(model.left(lastBase));
    expect(offsetsOf(left)).not.toContain(0);
    expect(offsetsOf(left).filter((offset) => offset < 5)).toEqual([1, 4]);
    expect(await readAll(log)).toEqual(left);
    expect(log.next).toBe(model.appended.length);
    expect(log.earliest).toBe(0);
    expect(result).toMatchObject({ segments: 1, records: 3 });
    expect(generationsOf(log)).toEqual([1, 0, 0]);
    checkChain(log);
    expect(await log.compact()).toEqual({ segments: 0, records: 0, bytes: 0 });
  });

  test('a tombstone stays for as long as it was said, and then goes', async () => {
    const model = await Modelled.open({ compaction: { tombstonesMs: 1000 } });
    const { log } = model;
    model.add('gone', 'value');
    model.add('stays', 'value');
    const tombstone = model.add('gone', null);
    model.add('never there', null);
    model.roll();
    clock.us += 999_999;
    await log.compact();
    expect(offsetsOf(await stored(log.path)).slice(0, 3)).toEqual([1, 2, 3]);
    expect((await readAll(log)).find(({ offset }) => offset === tombstone)?.isTombstone).toBe(true);
    clock.us += 1;
    await log.compact();
    expect(offsetsOf(await stored(log.path)).slice(0, 1)).toEqual([1]);
    expect(await stored(log.path)).toEqual(model.left(model.lastBase, 1000));
  });

  test('tombstones stay a day by default', async () => {
    const model = await Modelled.open();
    model.add('gone', null);
    model.roll();
    clock.us += DAY_MS * 1000 - 1;
    await model.log.compact();
    expect((await stored(model.log.path))[0].offset).toBe(0);
    clock.us += 1;
    await model.log.compact();
    expect((await stored(model.log.path))[0].offset).not.toBe(0);
  });

  test('what has expired goes, with a key or without', async () => {
    const model = await Modelled.open();
    model.add('a', 'earlier value');
    model.add('a', 'with an end', { ttlMs: 1000 });
    model.add(undefined, 'with an end', { ttlMs: 1000 });
    model.add('b', 'lives longer', { ttlMs: 1001 });
    model.roll();
    clock.us += 1_000_000;
    await model.log.compact();
    // The earlier value does not come back.
    expect(offsetsOf(await stored(model.log.path))[0]).toBe(3);
    expect(await stored(model.log.path)).toEqual(model.left(model.lastBase));
  });

  test('what is over stays as long as earlier values of its key do', async () => {
    const model = await Modelled.open({ compaction: { tombstonesMs: 0 } });
    const { log } = model;
    // A segment of which little would go, and one of which nearly all does.
    model.add('a', 'value');
    model.add('b', 'value');
    model.roll();
    const tombstone = model.add('a', null);
    const expired = model.add('b', 'with an end', { ttlMs: 1 });
    for (let i = 0; i < 30; i++) model.add('often', 'x'.repeat(400));
    model.roll();
    clock.us += 1_000_000;
    const before = Modelled.fold(await stored(log.path));
    await compactByTime(log);
    expect(generationsOf(log).slice(0, 2)).toEqual([0, 1]);
    const left = await stored(log.path);
    expect(left.length).toBeLessThan(model.appended.length - 20);
    expect(offsetsOf(left)).toEqual(expect.arrayContaining([0, 1, tombstone, expired]));
    expect(Modelled.fold(left)).toEqual(before);
    await log.compact();
    expect(await stored(log.path)).toEqual(model.left(model.lastBase, 0));
  });

  test('what the lowest cursor has still to read stays, and the segment that it stands in', async () => {
    const model = await Modelled.open();
    const { log } = model;
    for (let i = 0; i < 4; i++) {
      for (let k = 0; k < 3; k++) model.add('key', `value ${i} ${k}`);
      model.roll();
    }
    const bases = log.segments().map(({ base }) => base);
    await log.cursor('far').set(log.next);
    const near = log.cursor('near');
    await near.set(0);
    expect(await log.compact()).toEqual({ segments: 0, records: 0, bytes: 0 });
    await near.set(bases[2] + 1);
    await log.compact();
    expect(await stored(log.path)).toEqual(model.left(bases[2]));
    expect(generationsOf(log)).toEqual([1, 1, 0, 0, 0]);
    await near.set(bases[3] - 1);
    expect((await log.compact()).segments).toBe(0);
    await near.delete();
    await log.compact();
    expect(await stored(log.path)).toEqual(model.left(bases[4]));
  });

  test('what is not on the disk takes the place of nothing', async () => {
    const model = await Modelled.open();
    const { log } = model;
    model.add('a', 'first');
    model.add('b', 'first');
    model.roll();
    const limit = model.add('a', 'second') + 1;
    model.add('b', 'second');
    await compactWith(log, { synced: async () => limit });
    expect(offsetsOf(await stored(log.path))[0]).toBe(1);
    const untold = compactWith(log, { synced: () => Promise.reject(new Error('no disk')) });
    await expect(untold).rejects.toThrow('no disk');
  });

  test('what is over goes also where its batch takes more room without it', async () => {
    const log = await open({ compression: 'deflate', segment: '64KiB' });
    const numbers = Array.from({ length: 500 }, (_, i) => String(i).padStart(4, '0'));
    log.appendBatch(numbers.map((number) => ({ key: `k${number}`, value: `state ${number}` })));
    log.append({ key: 'k0250', value: 'new' });
    fillTo(log, 2);
    expect(await log.compact()).toMatchObject({ segments: 1, records: 1 });
    expect(offsetsOf(await stored(log.path)).slice(249, 252)).toEqual([249, 251, 252]);
    expect(await log.compact()).toMatchObject({ segments: 0 });
  });

  test('a segment of which nothing is left is an empty one, and gives its space back', async () => {
    const model = await Modelled.open({ segment: '1MiB' });
    const { log } = model;
    while (log.segments().length < 7) model.add('key', 'x'.repeat(1000));
    const before = log.segments();
    const { bytes, segments } = await log.compact();
    const after = log.segments();
    expect(segments).toBe(6);
    expect(after.map(({ base }) => base)).toEqual(before.map(({ base }) => base));
    const sum = (infos: typeof after) => infos.reduce((sum, info) => sum + info.bytes, 0);
    expect(bytes).toBe(sum(before) - sum(after));
    for (const info of after.slice(0, -1)) expect(info.bytes).toBeLessThan(64 * 1024);
    expect(offsetsOf(await readAll(log))).toEqual(offsetsOf(model.left(model.lastBase)));
    checkChain(log);
    const left = offsetsOf(model.left(model.lastBase));
    const again = await model.reopen({ segment: '1MiB' });
    expect(again.log.recovery).toMatchObject({ dropped: 0, setAside: [] });
    expect(again.log.next).toBe(model.appended.length);
    expect(offsetsOf(await readAll(again.log))).toEqual(left);
  });
});

describe('of any log', () => {
  const LONGEST_MS = 400_000;

  test.each([
    ['as it was written', false],
    ['in compressed batches', true],
  ])('just what is superfluous goes, %s', async (_, isPacked) => {
    const random = randomOf(20_261);
    const counts = { segments: 0, records: 0 };
    for (let round = 0; round < 20; round++) {
      const model = await Modelled.open();
      const { log } = model;
      const keys = 1 + random(random(2) === 0 ? 5 : 200);
      addAtRandom(model, random, random(1200), keys);
      const tombstonesMs = random(LONGEST_MS);
      for (let run = 0; run < 3; run++) {
        const segments = log.segments();
        if (isPacked) await packSome(segments.slice(0, -1), random);
        let end = model.lastBase;
        if (random(2) === 0) {
          const offset = random(log.next + 1);
          await log.cursor('reader').set(offset, { force: true });
          end = Math.min(end, segments.findLast(({ base }) => base <= offset)?.base ?? 0);
        } else await log.cursor('reader').delete();
        const before = await stored(log.path);
        const { records, segments: replaced } = await compactWith(log, { tombstonesMs });
        const left = await stored(log.path);
        // What an earlier run took away does not come back, should the end of what is compacted be an earlier one now.
        const known = new Set(offsetsOf(before));
        expect(left, `round ${round}`).toEqual(
          model.left(end, tombstonesMs).filter(({ offset }) => known.has(offset)),
        );
        expect(before.length - left.length).toBe(records);
        expect(Modelled.fold(left)).toEqual(Modelled.fold(before));
        expect(log.next).toBe(model.appended.length);
        checkChain(log);
        counts.segments += replaced;
        counts.records += records;
        addAtRandom(model, random, random(200), keys);
      }
      await log.close();
    }
    console.log(`compaction: ${JSON.stringify(counts)}`);
    expect(counts.segments).toBeGreaterThan(100);
  });

  test('it makes no difference in how many passes the keys are looked up', async () => {
    const random = randomOf(20_262);
    for (let round = 0; round < 2; round++) {
      const model = await Modelled.open();
      const { log } = model;
      addAtRandom(model, random, 6000, 3000);
      const opened = vi.spyOn(SegmentReader, 'open');
      await compactWith(log, { memory: 1, tombstonesMs: 0 });
      // Each pass opens each segment from where it begins.
      const segments = log.segments().length;
      const reads = opened.mock.calls.filter(([path]) => path === log.segments().at(-1)?.path).length;
      opened.mockRestore();
      expect(reads).toBeGreaterThan(2);
      expect(segments).toBeGreaterThan(100);
      expect(await stored(log.path)).toEqual(model.left(model.lastBase, 0));
      await log.close();
    }
  });

  test('what an earlier pass knew of a tombstone holds in a later one', async () => {
    const model = await Modelled.open();
    const { log } = model;
    // A segment that stays, since little would go; more keys than one pass takes; and one that nearly all goes of.
    model.add('a', 'value');
    model.roll();
    for (let i = 0; i < 3000; i++) model.add(`key-${i}`, '');
    model.roll();
    const tombstone = model.add('a', null);
    for (let i = 0; i < 30; i++) model.add('often', 'x'.repeat(400));
    model.roll();
    const before = Modelled.fold(model.appended);
    const { segments } = await compactWith(log, { memory: 1, tombstonesMs: 0, minDeadRatio: 0.5 });
    expect(segments).toBeGreaterThan(0);
    const left = await stored(log.path);
    expect(offsetsOf(left)).toEqual(expect.arrayContaining([0, tombstone]));
    expect(Modelled.fold(left)).toEqual(before);
  });

  test('where little would go it stays, and nothing that was over comes back by that', async () => {
    const random = randomOf(20_263);
    let left = 0;
    let replaced = 0;
    for (let round = 0; round < 15; round++) {
      const model = await Modelled.open();
      const { log } = model;
      addAtRandom(model, random, 200 + random(1500), 1 + random(100));
      for (let run = 0; run < 4; run++) {
        const before = await stored(log.path);
        const generations = generationsOf(log);
        const sizes = await frameBytesOf(log);
        const minDeadRatio = random(11) / 10;
        const { segments } = await compactWith(log, { tombstonesMs: random(LONGEST_MS), minDeadRatio });
        const after = await stored(log.path);
        expect(Modelled.fold(after), `round ${round}`).toEqual(Modelled.fold(before));
        const sizesAfter = await frameBytesOf(log);
        const changed = generationsOf(log).map((generation, i) => generation !== generations[i]);
        expect(changed.filter(Boolean).length).toBe(segments);
        for (const [i, isChanged] of changed.entries()) {
          if (!isChanged) expect(sizesAfter[i]).toBe(sizes[i]);
          else expect(sizesAfter[i]).toBeLessThanOrEqual(sizes[i] * (1 - minDeadRatio));
          if (isChanged) replaced++;
          else left++;
        }
        addAtRandom(model, random, random(300), 100);
        clock.us += random(LONGEST_MS) * 1000;
      }
      await log.close();
    }
    expect(left).toBeGreaterThan(100);
    expect(replaced).toBeGreaterThan(100);
  });

  test('times, the way back, and any offset lead to what is left', async () => {
    const random = randomOf(20_264);
    for (let round = 0; round < 10; round++) {
      const model = await Modelled.open();
      const { log } = model;
      for (let i = 0; i < 800; i++) {
        clock.us += random(40) === 0 ? (random(200) - 120) * 60_000_000 : random(2_000_000);
        model.add(`key-${random(round % 2 === 0 ? 300 : 10)}`, 'v'.repeat(random(600)));
      }
      await log.compact();
      const left = model.left(model.lastBase);
      const times = model.appended.map(({ timestamp }) => timestamp);
      for (let i = 0; i < 60; i++) {
        const us = times[random(times.length)] + random(3) - 1;
        const [first] = await readAll(log, { from: { time: { us } }, limit: 1 });
        expect(first?.offset, `round ${round}, time ${us}`).toBe(
          left.find(({ timestamp }) => timestamp >= us)?.offset,
        );
        const offset = random(log.next + 1);
        expect(offsetsOf(await readAll(log, { from: offset, limit: 5 }))).toEqual(
          offsetsOf(left.filter((record) => record.offset >= offset)).slice(0, 5),
        );
      }
      expect(offsetsOf(await readAll(log, { reverse: true }))).toEqual(offsetsOf(left).reverse());
      await log.close();
    }
  });
});

async function packSome(
  segments: readonly { path: string }[],
  random: (below: number) => number,
): Promise<void> {
  for (const { path } of segments) if (random(3) > 0) await packSegment(path, 500 + random(3500));
}

/** How many bytes the records of each segment take, with their frames. */
async function frameBytesOf(log: Log): Promise<number[]> {
  return log.segments().map(({ path }) => {
    const segment = SegmentReader.openNow(path, { readOnly: true });
    segment.seekLatest();
    segment.close();
    return segment.position;
  });
}

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { environment, SegmentReader } from '../../lib/channel/index.js';
import { Compaction } from '../../lib/log/compaction.js';
import { CursorFile } from '../../lib/log/cursor-file.js';
import { Directory, factsOf } from '../../lib/log/directory.js';
import { Log, type LogOptions, type LogRecord, type LogRecordInput } from '../../lib/log/index.js';
import { COMPACTION_BYTE, LockFile, SEGMENTS_BYTE } from '../../lib/log/lock-file.js';
import { unpack } from '../../lib/log/packing.js';
import { PACKED } from '../../lib/log/record.js';
import { decodeRecord, fromPool } from '../../lib/log/record-decoder.js';
import { rewriteSegment } from '../../lib/log/rewrite.js';
import { walkFrames } from '../../lib/log/segment-walk.js';
import { binding } from '../../lib/native.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { packSegment } from './pack-segment.js';

const DAY_MS = 86_400_000;
/** Long ago: what is read is not to be over by the real clock in one test and not in another. */
const START_US = 1_700_000_000_000_000;

let nowUs: number;

beforeEach(() => {
  nowUs = START_US;
  vi.spyOn(environment, 'nowUs').mockImplementation(() => nowUs);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
});

/** A record as it was appended. */
interface Appended {
  offset: number;
  key: string | undefined;
  value: string;
  timestamp: number;
  isTombstone: boolean;
  expiresAt: number;
}

/** A log, and beside it an array of all that went into it. */
class Modelled {
  readonly appended: Appended[] = [];
  readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  static async open(options: LogOptions = {}, directory = newDirectory()): Promise<Modelled> {
    const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
    onTestFinished(() => log.close());
    return new Modelled(log);
  }

  add(key: string | undefined, value: string | null, { ttlMs }: { ttlMs?: number } = {}): number {
    const record: LogRecordInput = { value };
    if (key !== undefined) record.key = key;
    if (ttlMs !== undefined) record.ttlMs = ttlMs;
    const offset = this.log.append(record);
    this.appended.push({
      offset,
      key,
      value: value ?? '',
      timestamp: nowUs,
      isTombstone: value === null,
      expiresAt: nowUs + (ttlMs ?? Number.POSITIVE_INFINITY) * 1000,
    });
    return offset;
  }

  /** Goes on in a new segment. */
  roll(): void {
    const before = this.log.segments().length;
    while (this.log.segments().length === before) this.add(undefined, 'fills'.padEnd(2000, '.'));
  }

  /** What is to be there after a compaction that leaves what begins at `end`. */
  left(end: number, tombstonesMs = DAY_MS): Appended[] {
    const last = new Map(this.appended.map(({ key, offset }) => [key, offset]));
    return this.appended.filter((record) => {
      const { offset, key, timestamp, isTombstone, expiresAt } = record;
      if (offset >= end) return true;
      if (key !== undefined && last.get(key) !== offset) return false;
      return expiresAt > nowUs && !(isTombstone && timestamp + tombstonesMs * 1000 <= nowUs);
    });
  }

  /** What somebody who reads all of it knows at last: of each key its value, and what has none. */
  static fold(records: readonly Appended[]): unknown[] {
    const values = new Map<string, Appended>();
    const others: Appended[] = [];
    for (const record of records) {
      if (record.key !== undefined) values.set(record.key, record);
      else if (record.expiresAt > nowUs) others.push(record);
    }
    const valid = [...values.values()].filter((one) => !one.isTombstone && one.expiresAt > nowUs);
    return [...others, ...valid].sort((a, b) => a.offset - b.offset);
  }

  get lastBase(): number {
    return this.log.segments().at(-1)?.base as number;
  }

  /** Closes it and opens it again. */
  async reopen(options: LogOptions = {}): Promise<Modelled> {
    await this.log.close();
    const again = await Modelled.open(options, this.log.path);
    again.appended.push(...this.appended);
    return again;
  }
}

function seen({ offset, key, value, timestamp, tombstone, expiresAt }: LogRecord): Appended {
  return {
    offset,
    key: key && String(key),
    value: String(value),
    timestamp,
    isTombstone: tombstone === true,
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
  };
}

/** All records that are in the files, also those that no reader is handed any more. */
async function stored(path: string): Promise<Appended[]> {
  const records: LogRecord[] = [];
  for (const file of new Directory(path).segments()) {
    const segment = await SegmentReader.open(file.path, { readOnly: true });
    await walkFrames(segment, (bytes, start, end, type) => {
      const { tag, timeUs } = segment;
      if (type === PACKED) records.push(...unpack(bytes, start, end, tag, timeUs));
      else records.push(decodeRecord(bytes, start, end, type, tag, timeUs, fromPool));
    });
    segment.close();
  }
  return records.map(seen);
}

async function readAll(log: Log, options: Parameters<Log['read']>[0] = {}): Promise<Appended[]> {
  const records = [];
  for await (const record of log.read(options)) records.push(seen(record));
  return records;
}

/** The segments are chained without a gap, and each says of itself what it is. */
function checkChain(log: Log): void {
  const segments = log.segments();
  for (const [i, { base, path }] of segments.slice(0, -1).entries()) {
    const segment = SegmentReader.openNow(path, { readOnly: true });
    expect(factsOf(segment.metadata, path).base).toBe(base);
    segment.seekLatest();
    expect(segment.hasEnded()).toBe(true);
    expect(segment.link()?.record).toBe(segments[i + 1].base);
    segment.close();
  }
}

function generationsOf(log: Log): number[] {
  return log.segments().map(({ path }) => {
    const segment = SegmentReader.openNow(path, { readOnly: true });
    segment.close();
    return factsOf(segment.metadata, path).generation;
  });
}

const offsetsOf = (records: readonly Appended[]) => records.map(({ offset }) => offset);

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
    nowUs += 999_999;
    await log.compact();
    expect(offsetsOf(await stored(log.path)).slice(0, 3)).toEqual([1, 2, 3]);
    expect((await readAll(log)).find(({ offset }) => offset === tombstone)?.isTombstone).toBe(true);
    nowUs += 1;
    await log.compact();
    expect(offsetsOf(await stored(log.path)).slice(0, 1)).toEqual([1]);
    expect(await stored(log.path)).toEqual(model.left(model.lastBase, 1000));
  });

  test('tombstones stay a day by default', async () => {
    const model = await Modelled.open();
    model.add('gone', null);
    model.roll();
    nowUs += DAY_MS * 1000 - 1;
    await model.log.compact();
    expect((await stored(model.log.path))[0].offset).toBe(0);
    nowUs += 1;
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
    nowUs += 1_000_000;
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
    nowUs += 1_000_000;
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

/** Appends at random: few keys that come again and again, or many that hardly ever do; tombstones, ends, and neither. */
function addAtRandom(model: Modelled, random: (below: number) => number, count: number, keys: number): void {
  for (let i = 0; i < count; i++) {
    nowUs += random(2_000_000);
    if (random(50) === 0) nowUs += (random(200) - 100) * 60_000_000;
    const key = random(10) === 0 ? undefined : `key-${random(keys)}`;
    const ttlMs = random(8) === 0 ? 1 + random(600_000) : undefined;
    const isTombstone = key !== undefined && random(6) === 0;
    model.add(key, isTombstone ? null : 'v'.repeat(random(600)), { ttlMs });
  }
}

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
        nowUs += random(LONGEST_MS) * 1000;
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
        nowUs += random(40) === 0 ? (random(200) - 120) * 60_000_000 : random(2_000_000);
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

  test.each([
    ['compacts', COMPACTION_BYTE],
    ['changes segments', SEGMENTS_BYTE],
  ])('it waits as long as another process %s', async (_, byte) => {
    const model = await Modelled.open();
    for (let i = 0; i < 3; i++) {
      model.add('key', `value ${i}`);
      model.roll();
    }
    const other = LockFile.open(model.log.path, true) as LockFile;
    onTestFinished(() => other.close());
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
        { directory, open, nowUs, die: { step, nth } },
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

/** Compacts as the timer does. */
async function compactByTime(log: Log): Promise<void> {
  await compactWith(log, { minDeadRatio: 0.5, tombstonesMs: 0 });
}

async function compactWith(
  log: Log,
  {
    memory,
    tombstonesMs = DAY_MS,
    minDeadRatio = 0,
    synced = async () => log.next,
    alone = (work) => work(),
  }: {
    memory?: number;
    tombstonesMs?: number;
    minDeadRatio?: number;
    synced?: () => Promise<number>;
    alone?: <T>(work: () => Promise<T>) => Promise<T>;
  },
) {
  const cursors = new CursorFile(log.path, { readOnly: true });
  const compacted = { directory: new Directory(log.path), cursors, synced, alone };
  const settings = { everyMs: undefined, minDeadRatio, tombstonesMs };
  try {
    const compaction = new Compaction(compacted, settings, memory);
    return await compaction.run(minDeadRatio, undefined, new AbortController().signal);
  } finally {
    await cursors.close();
    compacted.directory.mappings.close();
  }
}

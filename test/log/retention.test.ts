import diagnostics from 'node:diagnostics_channel';
import { existsSync, readdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { disk, environment, Teller } from '../../lib/channel/index.js';
import { CursorFile } from '../../lib/log/cursor-file.js';
import { Directory } from '../../lib/log/directory.js';
import { Log, type LogOptions, type LogRecord, type SegmentInfo } from '../../lib/log/index.js';
import { type RetentionSettings, settingsOf } from '../../lib/log/options.js';
import { Retention } from '../../lib/log/retention.js';
import { binding } from '../../lib/native.js';
import { Child, endAll } from '../crash/fixtures/child.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';

const HOUR_MS = 3_600_000;
const BASE_US = 1_700_000_000_000_000;
const VALUE = 1000;
/** So many of them are in a segment of 16 KiB. */
const A_SEGMENT = 15;

let nowUs: number;

beforeEach(() => {
  nowUs = BASE_US;
  vi.spyOn(environment, 'nowUs').mockImplementation(() => nowUs);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await endAll();
});

async function open(options: LogOptions = {}, directory = newDirectory()): Promise<Log> {
  const log = await Log.open(directory, { segment: '16KiB', sync: 'none', ...options });
  onTestFinished(() => log.close());
  return log;
}

/** Appends until there are so many segments. */
function fillTo(log: Log, segments: number, value = VALUE): void {
  while (log.segments().length < segments) log.append(String(log.next).padEnd(value, '.'));
}

/** Appends a segment's worth of records, all of that time; a log that is filled by this has no others. */
function appendSegment(log: Log, timestampUs: number): void {
  nowUs = timestampUs;
  for (let i = 0; i < A_SEGMENT; i++) log.append(Buffer.alloc(VALUE));
}

/** What is retained of a log by these rules, applied once, from without. */
async function apply(
  log: Log,
  retention: LogOptions['retention'],
  {
    signal = new AbortController().signal,
    teller = new Teller({ role: 'log', path: log.path }, undefined),
  } = {},
): Promise<void> {
  const cursors = new CursorFile(log.path, { readOnly: true });
  const settings = settingsOf({ retention }).retention;
  const directory = new Directory(log.path);
  try {
    await new Retention(settings, { directory, cursors, teller, settled: async () => {} }).apply(signal);
  } finally {
    await cursors.close();
  }
}

const basesOf = (log: Log) => log.segments().map(({ base }) => base);

async function readAll(log: Log, options: Parameters<Log['read']>[0] = {}): Promise<LogRecord[]> {
  const records = [];
  for await (const record of log.read(options)) records.push(record);
  return records;
}

/** Hears of what the log was made to lose. */
function overruns(): { cursor?: string; from: number; to: number; path: string; role: string }[] {
  const heard: ReturnType<typeof overruns> = [];
  const hear = (message: unknown) => void heard.push(message as (typeof heard)[number]);
  diagnostics.subscribe('millrace:overrun', hear);
  onTestFinished(() => void diagnostics.unsubscribe('millrace:overrun', hear));
  return heard;
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

describe('by number', () => {
  test('the oldest go, and the last one never does', async () => {
    const log = await open();
    fillTo(log, 6);
    const bases = basesOf(log);
    await apply(log, { segments: 4 });
    expect(basesOf(log)).toEqual(bases.slice(2));
    expect(log.earliest).toBe(bases[2]);
    await apply(log, { segments: 4 });
    expect(basesOf(log)).toEqual(bases.slice(2));
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(5));
    expect((await readAll(log)).map(({ offset }) => offset)).toEqual(
      Array.from({ length: log.next - bases[5] }, (_, i) => bases[5] + i),
    );
  });

  test('a roll has it applied, and so has whoever looks after the log', async () => {
    const log = await open({ retention: { segments: 3 } });
    let seen = 0;
    for (let i = 0; i < 10; i++) {
      fillTo(log, log.segments().length + 1);
      seen = Math.max(seen, log.segments().length);
      await until(() => log.segments().length <= 3);
      expect(log.earliest).toBe(log.segments()[0].base);
    }
    expect(seen).toBe(4);
    await log.close();

    const kept = await open({}, log.path);
    const [{ base }] = kept.segments();
    await kept.close();
    const other = await open({ retention: { segments: 1 } }, log.path);
    expect(other.earliest).toBe(base);
    await other.lookAfter();
    expect(other.segments().length).toBe(1);
  });

  test('nothing is removed within the append that rolls', async () => {
    const log = await open({ retention: { segments: 1 } });
    fillTo(log, 6);
    expect(log.segments().length).toBe(6);
    await until(() => log.segments().length === 1);
  });
});

describe('by bytes', () => {
  test('the oldest go as long as the files take more of the disk', async () => {
    const log = await open();
    fillTo(log, 6);
    const segments = log.segments();
    const sizes = segments.map(({ bytes }) => bytes);
    const sum = (from: number) => sizes.slice(from).reduce((a, b) => a + b, 0);
    expect(sizes[0]).toBe(statSync(segments[0].path).blocks * 512);
    await apply(log, { bytes: sum(2) });
    expect(basesOf(log)).toEqual(segments.slice(2).map(({ base }) => base));
    await apply(log, { bytes: sum(2) - 1 });
    expect(basesOf(log)).toEqual(segments.slice(3).map(({ base }) => base));
    await apply(log, { bytes: 0 });
    expect(basesOf(log)).toEqual([segments[5].base]);
  });

  test('what a segment gives back when it is sealed does not count', async () => {
    const native = binding();
    const { punchHole } = native;
    onTestFinished(() => void Object.assign(native, { punchHole }));
    native.punchHole = async (...given) => {
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
      return punchHole(...given);
    };
    let skew = 0;
    const { now } = performance;
    vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + skew);
    const log = await open({ segment: '1MiB', rollAfterMs: 1000, retention: { bytes: '1536KiB' } });
    const rolls = 10;
    for (let i = 0; i < rolls; i++) {
      log.append('few');
      // Of the megabyte that a segment takes while it is written it keeps next to nothing.
      skew += 1000;
      await log.lookAfter();
    }
    expect(log.segments().length).toBe(rolls + 1);
    expect(log.segments().at(-1)?.bytes).toBeGreaterThan(2 ** 20);
  });
});

describe('by age', () => {
  const age = (hours: number) => ({ ageMs: hours * HOUR_MS });
  const at = (hours: number) => BASE_US + hours * HOUR_MS * 1000;

  test('a segment goes when its newest record is older, however old the others are', async () => {
    const log = await open();
    appendSegment(log, at(0));
    appendSegment(log, at(1));
    log.append({ value: Buffer.alloc(VALUE - 10), timestamp: new Date(at(5) / 1000) });
    for (let i = 1; i < A_SEGMENT; i++) log.append(Buffer.alloc(VALUE));
    appendSegment(log, at(6));
    log.append(Buffer.alloc(VALUE));
    const bases = basesOf(log);
    expect(bases).toEqual([0, 15, 30, 45, 60]);

    nowUs = at(2);
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases);
    nowUs = at(2) + 1;
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases.slice(1));
    nowUs = at(7);
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases.slice(2));
    nowUs = at(100);
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases.slice(4));
  });

  test('a record of the future in an earlier segment keeps none of the later ones', async () => {
    const log = await open();
    appendSegment(log, at(1000));
    appendSegment(log, at(1));
    appendSegment(log, at(3));
    appendSegment(log, at(2));
    log.append(Buffer.alloc(VALUE));
    nowUs = at(4);
    // Its own time says nothing of its age: it goes with the one behind it.
    await apply(log, age(3.5));
    expect(basesOf(log)).toEqual([0, 15, 30, 45, 60]);
    await apply(log, age(2.5));
    expect(basesOf(log)).toEqual([30, 45, 60]);
    await apply(log, age(1.5));
    expect(basesOf(log)).toEqual([30, 45, 60]);
    await apply(log, age(0.5));
    expect(basesOf(log)).toEqual([60]);
  });

  test('a clock that went back far takes nothing along that is not that old by its own time', async () => {
    const log = await open();
    appendSegment(log, at(10));
    appendSegment(log, at(-10_000));
    appendSegment(log, at(11));
    log.append(Buffer.alloc(VALUE));
    nowUs = at(12);
    await apply(log, age(5));
    expect(basesOf(log)).toEqual([0, 15, 30, 45]);
    nowUs = at(15.5);
    await apply(log, age(5));
    expect(basesOf(log)).toEqual([30, 45]);
  });

  test('what is in the future, and all behind it but the last segment too, stays', async () => {
    const log = await open();
    appendSegment(log, at(1000));
    appendSegment(log, at(1001));
    log.append(Buffer.alloc(VALUE));
    nowUs = at(4);
    await apply(log, age(1));
    expect(basesOf(log)).toEqual([0, 15, 30]);
  });

  test('a segment of which nobody can tell goes with the one behind it', async () => {
    const log = await open();
    appendSegment(log, at(1000));
    appendSegment(log, at(1));
    appendSegment(log, at(2));
    log.append(Buffer.alloc(VALUE));
    await log.close();
    const [, second] = new Directory(log.path).segments();
    const bytes = readFileSync(second.path);
    bytes[bytes.length - 15_000] ^= 1;
    writeFileSync(second.path, bytes);
    const again = await open({}, log.path);
    nowUs = at(10);
    await apply(again, age(8.5));
    expect(basesOf(again)).toEqual([0, 15, 30, 45]);
    await apply(again, age(7.5));
    expect(basesOf(again)).toEqual([45]);
  });
});

describe('what cursors have not read', () => {
  test('is kept, up to maxUnread', async () => {
    const log = await open();
    fillTo(log, 10);
    const segments = log.segments();
    const bases = basesOf(log);
    const sum = (from: number) => segments.slice(from).reduce((bytes, segment) => bytes + segment.bytes, 0);
    await log.cursor('quick').set(log.next);
    await log.cursor('slow').set(bases[3] + 1);
    const heard = overruns();

    await apply(log, { segments: 1, keepUnread: true });
    expect(basesOf(log)).toEqual(bases.slice(3));
    await log.cursor('slow').set(bases[4] - 1);
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(3));
    await log.cursor('slow').set(bases[4]);
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(4));
    expect(heard).toEqual([]);

    await apply(log, { segments: 1, maxUnread: sum(6) });
    expect(basesOf(log)).toEqual(bases.slice(6));
    const overrun = { role: 'log', path: log.path, cursor: 'slow' };
    expect(heard).toEqual([{ ...overrun, from: bases[4], to: bases[6] }]);
    await apply(log, { segments: 1, maxUnread: sum(6) });
    expect(heard.length).toBe(1);
    await apply(log, { segments: 2, keepUnread: false });
    expect(basesOf(log)).toEqual(bases.slice(8));
    expect(heard.slice(1)).toEqual([{ ...overrun, from: bases[6], to: bases[8] }]);
    await log.cursor('slow').delete();
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(9));
    expect(heard.length).toBe(2);
  });

  test('is four times the bytes by default', async () => {
    const log = await open();
    fillTo(log, 12);
    const segments = log.segments();
    const bytes = Math.max(...segments.map((segment) => segment.bytes));
    await log.cursor('dead').set(0);
    await apply(log, { bytes: bytes * 2 });
    expect(log.segments().length).toBe(8);
  });

  test('what a cursor of which nobody can tell has not read is all there is', async () => {
    const log = await open();
    fillTo(log, 4);
    const bases = basesOf(log);
    await log.cursor('damaged').set(log.next);
    await log.close();
    const path = `${log.path}/cursors.mr`;
    const bytes = readFileSync(path);
    const name = bytes.indexOf('damaged');
    bytes.fill(0xff, name, name + 400);
    writeFileSync(path, bytes);
    const again = await open({}, log.path);
    await apply(again, { segments: 1 });
    expect(basesOf(again)).toEqual(bases);
    const heard = overruns();
    await apply(again, { segments: 2, maxUnread: 0 });
    expect(basesOf(again)).toEqual(bases.slice(2));
    expect(heard).toMatchObject([{ from: 0, to: bases[2] }]);
    expect(heard[0].cursor).toBeUndefined();
  });

  test('who reads with a cursor that was overrun hears of it, or goes on where it said', async () => {
    const lines: [level: string, message: string, facts: object][] = [];
    const at = (level: string) => (message: string, facts: object) =>
      void lines.push([level, message, facts]);
    const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    const log = await open({ retention: { segments: 2, maxUnread: 0 }, logger });
    fillTo(log, 1);
    await log.cursor('late').set(3);
    fillTo(log, 5);
    await log.lookAfter();
    expect(log.segments().length).toBe(2);
    const { earliest, next } = log;
    expect(earliest).toBeGreaterThan(3);
    expect(lines).toEqual([
      [
        'warn',
        `The cursor 'late' of ${log.path} had not read records 3 to ${earliest - 1}, and they are removed`,
        { role: 'log', path: log.path, cursor: 'late', from: 3, to: earliest },
      ],
    ]);
    const error = await failure(() => readAll(log, { cursor: 'late' }));
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: 3, earliest, next });
    expect(log.cursor('late').get()).toBe(3);
    expect(await readAll(log, { cursor: 'late', outOfRange: 'latest' })).toEqual([]);
    const [first] = await readAll(log, { cursor: 'late', outOfRange: 'earliest' });
    expect(first.offset).toBe(earliest);
    await until(() => log.cursor('late').get() === next);
    expect(await readAll(log, { cursor: 'late' })).toEqual([]);
  });
});

/** What the rules say of a log of which all is known; by other means. */
function expectedStart(
  segments: readonly SegmentInfo[],
  times: readonly number[],
  cursors: readonly number[],
  { bytes, ageMs, segments: most, keepUnread, maxUnread }: RetentionSettings,
): number {
  const last = segments.length - 1;
  const bytesFrom = (i: number) => segments.slice(i).reduce((sum, segment) => sum + segment.bytes, 0);
  const newest = (i: number) => Math.max(...times.slice(segments[i].base, segments[i + 1].base));
  const told = (i: number) => newest(i) <= nowUs;
  const isOld = (i: number) => {
    const teller = Array.from({ length: last - i }, (_, k) => i + k).find(told);
    return teller !== undefined && newest(teller) < nowUs - ageMs * 1000;
  };
  const isWanted = (i: number) =>
    keepUnread && bytesFrom(i) <= maxUnread && cursors.some((offset) => offset < segments[i + 1].base);
  const goes = (i: number) =>
    (bytesFrom(i) > bytes || segments.length - i > most || isOld(i)) && !isWanted(i);
  const stays = Array.from({ length: last }, (_, i) => i).find((i) => !goes(i));
  return segments[stays ?? last].base;
}

test('of logs with any times, cursors and rules just what is to go goes', async () => {
  const random = randomOf(20_261);
  const removedBy = { some: 0, none: 0, all: 0 };
  for (let round = 0; round < 150; round++) {
    const log = await open();
    const times: number[] = [];
    const jumpiness = random(3);
    nowUs = BASE_US;
    const records = 1 + random(12 * A_SEGMENT);
    while (times.length < records) {
      nowUs += random(HOUR_MS) * 100;
      if (random(40) < jumpiness) nowUs += (random(400) - 200) * HOUR_MS * 1000;
      times.push(nowUs);
      log.append(Buffer.alloc(VALUE - random(500)));
    }
    const cursors = Array.from({ length: random(3) }, () => random(log.next + 1));
    for (const [i, offset] of cursors.entries()) await log.cursor(`cursor-${i}`).set(offset);
    const segments = log.segments();
    const all = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const retention = {
      ...(random(2) === 0 ? {} : { bytes: random(all) }),
      ...(random(2) === 0 ? {} : { ageMs: random(48) * HOUR_MS }),
      ...(random(2) === 0 ? {} : { segments: 1 + random(segments.length + 1) }),
      ...(random(2) === 0 ? {} : { maxUnread: random(all * 2) }),
      keepUnread: random(4) > 0,
    };
    const start = expectedStart(segments, times, cursors, settingsOf({ retention }).retention);
    await apply(log, retention);
    expect(basesOf(log), `round ${round}: ${JSON.stringify(retention)}`).toEqual(
      segments.map(({ base }) => base).filter((base) => base >= start),
    );
    const offsets = (await readAll(log)).map(({ offset }) => offset);
    expect(offsets).toEqual(Array.from({ length: log.next - start }, (_, i) => start + i));
    removedBy[start === 0 ? 'none' : start === segments.at(-1)?.base ? 'all' : 'some']++;
    await log.close();
  }
  console.log(`retention: ${JSON.stringify(removedBy)}`);
  for (const count of Object.values(removedBy)) expect(count).toBeGreaterThan(20);
});

describe('step by step', () => {
  test('each segment is gone for good before the next one goes', async () => {
    const log = await open();
    fillTo(log, 6);
    const bases = basesOf(log);
    const atSync: number[][] = [];
    vi.spyOn(disk, 'syncDirectory').mockImplementation(async (directory) => {
      expect(directory).toBe(log.path);
      atSync.push(basesOf(log));
      await new Promise((resolve) => setImmediate(resolve));
      expect(basesOf(log)).toEqual(atSync.at(-1));
    });
    await apply(log, { segments: 3 });
    expect(atSync).toEqual([bases.slice(1), bases.slice(2), bases.slice(3)]);
  });

  test('what cannot be removed stays, with all behind it, and whoever listens hears of it', async () => {
    const log = await open({ retention: { segments: 2 } });
    const heard: { error: unknown; path: string }[] = [];
    const hear = (message: unknown) => void heard.push(message as (typeof heard)[number]);
    diagnostics.subscribe('millrace:failed', hear);
    onTestFinished(() => void diagnostics.unsubscribe('millrace:failed', hear));
    const cause = Object.assign(new Error('broken'), { code: 'EIO', errno: -5, syscall: 'fsync' });
    vi.spyOn(disk, 'syncDirectory').mockRejectedValueOnce(cause);
    fillTo(log, 5);
    await until(() => heard.length === 1);
    expect(heard).toMatchObject([{ role: 'log', path: log.path, error: cause }]);
    expect(log.segments().length).toBe(4);
    await log.lookAfter();
    expect(log.segments().length).toBe(2);
    expect(heard.length).toBe(1);
  });

  test('closing ends it with the segment that goes', async () => {
    const log = await open({ retention: { segments: 1 } });
    let closing: Promise<void> | undefined;
    vi.spyOn(disk, 'syncDirectory').mockImplementation(async () => {
      closing ??= log.close();
    });
    fillTo(log, 6);
    await until(() => closing !== undefined);
    await closing;
    const after = await open({}, log.path);
    expect(after.segments().length).toBe(5);
  });

  test('what another process removed is as good as removed', async () => {
    const log = await open();
    fillTo(log, 6);
    const [first, second, , fourth] = log.segments();
    vi.spyOn(disk, 'syncDirectory').mockImplementationOnce(async () => unlinkSync(second.path));
    await apply(log, { segments: 3 });
    expect(existsSync(first.path)).toBe(false);
    expect(log.earliest).toBe(fourth.base);
  });

  test.each([140, 141, 142])('killed at step %i it leaves all from some segment on', async (step) => {
    for (const nth of [1, 2, 3]) {
      const directory = newDirectory();
      const log = await open({}, directory);
      fillTo(log, 6);
      const bases = basesOf(log);
      await log.close();
      const child = new Child(
        '../../log/fixtures/rolling-child.js',
        {
          directory,
          open: { segment: '16KiB', sync: 'none', retention: { segments: 3 } },
          die: { step, nth },
        },
        { steps: true },
      );
      const { signal } = await child.exit;
      child.throwIfFailed();
      expect(signal).toBe('SIGKILL');
      const gone = step === 140 ? nth - 1 : nth;
      const again = await open({ retention: { segments: 3 } }, directory);
      // It rolled once before it died.
      expect(basesOf(again).slice(0, 6 - gone)).toEqual(bases.slice(gone));
      expect(basesOf(again).length).toBe(7 - gone);
      const offsets = (await readAll(again)).map(({ offset }) => offset);
      expect(offsets).toEqual(Array.from({ length: again.next - bases[gone] }, (_, i) => bases[gone] + i));
      expect(readdirSync(directory)).not.toContain('set-aside');
      await again.lookAfter();
      expect(again.segments().length).toBe(3);
      await again.close();
    }
  });
});

describe('who reads meanwhile', () => {
  test('inside a removed segment reads it to its end, and then hears that more is gone, or goes on', async () => {
    const log = await open();
    fillTo(log, 5);
    const bases = basesOf(log);
    const strict = log.tail({ from: 0 });
    const lenient = log.tail({ from: 0, outOfRange: 'earliest' });
    const latest = log.tail({ from: 0, outOfRange: 'latest' });
    const near = log.tail({ from: bases[1] });
    for (const tail of [strict, lenient, latest, near]) tail.readBatch(2);
    await apply(log, { segments: 3 });
    const rest = (tail: typeof strict) => tail.readBatch(10_000).map(({ offset }) => offset);
    const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
    expect(rest(near)).toEqual(range(bases[1] + 2, log.next));
    expect(rest(lenient)).toEqual([...range(2, bases[1]), ...range(bases[2], log.next)]);
    expect(rest(latest)).toEqual(range(2, bases[1]));
    expect(rest(strict)).toEqual(range(2, bases[1]));
    const error = await failure(() => strict.read());
    expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: bases[1], earliest: bases[2] });
    log.append('new');
    expect(`${latest.read()?.value}`).toBe('new');
  });

  test('has removed segments mapped no longer than it reads them, in a log that is open to read, too', async () => {
    const log = await open({ retention: { segments: 2 } });
    log.append(Buffer.alloc(VALUE));
    const reader = await Log.open(log.path, { readOnly: true });
    onTestFinished(() => reader.close());
    const inFirst = reader.tail({ from: 0 });
    inFirst.read();
    fillTo(log, 6);
    const gone = log.segments().slice(0, 4);
    // Before retention has its turn. Those that are not read to their ends are kept for who comes back.
    for (const from of [log, reader]) {
      for (const { base } of gone) {
        const tail = from.tail({ from: base });
        expect(tail.read()?.offset).toBe(base);
        tail.close();
      }
    }
    const isMapped = ({ path }: { path: string }) => readFileSync('/proc/self/maps', 'utf8').includes(path);
    expect(gone.every(isMapped)).toBe(true);
    await until(() => log.segments().length === 2);
    await reader.lookAfter();
    // They are unmapped behind the event loop's back.
    await until(() => !gone.slice(1).some(isMapped));
    expect(isMapped(gone[0])).toBe(true);
    inFirst.close();
    await until(() => !isMapped(gone[0]));
  });

  test('backwards, ends where the log begins by then', async () => {
    const log = await open();
    fillTo(log, 10);
    const bases = basesOf(log);
    const offsets: number[] = [];
    for await (const { offset } of log.read({ reverse: true })) {
      offsets.push(offset);
      // It reads up to 64 records ahead.
      if (offset === log.next - 1) await apply(log, { segments: 2 });
    }
    expect(offsets).toEqual(Array.from({ length: log.next - bases[4] }, (_, i) => bases[4] + i).reverse());
  });

  test('in another process misses nothing and repeats nothing but what is said to be gone', async () => {
    const directory = newDirectory();
    const log = await open({ retention: { segments: 3 } }, directory);
    log.append('0'.padEnd(VALUE, '.'));
    const readers = ['throw', 'earliest'].map(
      (outOfRange) => new Child('../../log/fixtures/reading-child.js', { directory, outOfRange, from: 0 }),
    );
    await Promise.all(readers.map((reader) => reader.expect('open')));
    for (let i = 0; i < 40; i++) {
      fillTo(log, log.segments().length + 1);
      await until(() => log.segments().length <= 3);
    }
    for (const reader of readers) reader.send({ until: log.next });
    for (const reader of readers) {
      const { runs, error } = await reader.expect('done');
      expect(runs[0][0]).toBe(0);
      for (let i = 1; i < runs.length; i++) {
        expect(runs[i][0]).toBeGreaterThan(runs[i - 1][1]);
        // A gap is as long as segments are.
        expect((runs[i][0] - runs[i - 1][1]) % A_SEGMENT).toBe(0);
      }
      if (error === undefined) expect(runs.at(-1)[1]).toBe(log.next);
      else expect(error).toMatchObject({ code: 'ERR_OFFSET_OUT_OF_RANGE', offset: runs.at(-1)[1] });
      await reader.exit;
    }
  });
});

import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { disk, SegmentReader } from '../../lib/channel/index.js';
import * as L from '../../lib/channel/layout.js';
import { MillraceError } from '../../lib/errors.js';
import { Directory } from '../../lib/log/files/directory.js';
import type { SegmentInfo } from '../../lib/log/index.js';
import { type RetentionSettings, settingsOf } from '../../lib/log/options.js';
import { binding } from '../../lib/native.js';
import { randomOf } from '../crash/fixtures/plan.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { flip } from './damaging.js';
import { clock, START_US, withOwnClock } from './own-clock.js';
import {
  A_SEGMENT,
  appendSegment,
  apply,
  basesOf,
  fillTo,
  HOUR_MS,
  open,
  overruns,
  readAll,
  until,
  VALUE,
} from './retained.js';

withOwnClock();

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

  test('who opens the log has it applied: a full disk may have room for no new segment otherwise', async () => {
    const log = await open();
    fillTo(log, 6);
    await log.close();
    const again = await open({ retention: { segments: 2 } }, log.path);
    await until(() => again.segments().length === 2);
  });

  test('who closes it at once removes one: those who never have it open for long keep up all the same', async () => {
    const log = await open();
    fillTo(log, 4);
    await log.close();
    for (const left of [3, 2, 1, 1]) {
      const shortly = await open({ retention: { segments: 1 } }, log.path);
      await shortly.close();
      expect(new Directory(log.path).segments().length).toBe(left);
    }
  });

  test('a new segment that there is no room for has it applied, and is begun once there is some', async () => {
    const log = await open({ retention: { segments: 2 } });
    const cursor = log.cursor('slow');
    await cursor.set(0);
    fillTo(log, 6);
    await log.lookAfter();
    expect(log.segments().length).toBe(6);
    await cursor.set(log.next);
    const full = Object.assign(new Error('full'), { code: 'ENOSPC', errno: -28, syscall: 'fallocate' });
    const noRoom = () => {
      throw full;
    };
    const mocks = (['createFileNow', 'takePrepared'] as const).map((name) =>
      vi.spyOn(binding(), name).mockImplementation(noRoom),
    );
    expect(() => fillTo(log, 7)).toThrow(expect.objectContaining({ code: 'ERR_NO_SPACE' }));
    await until(() => log.segments().length === 2);
    for (const mock of mocks) mock.mockRestore();
    fillTo(log, 3);
    await until(() => log.segments().length === 2);
  });

  test.each(
    [L.MAGIC_OFFSET, L.FORMAT_MAJOR_OFFSET, L.INCOMPATIBLE_OFFSET, L.CHANNEL_ID_OFFSET].map((byte) => [byte]),
  )('a segment whose header is damaged (byte %i) is set aside, and keeps none behind it', async (byte) => {
    const log = await open();
    fillTo(log, 4);
    const bases = basesOf(log);
    const [, { path }] = log.segments();
    flip(path, byte);
    const found = readFileSync(path);
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(3));
    expect(readFileSync(join(log.path, 'set-aside', basename(path))).equals(found)).toBe(true);
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
  const at = (hours: number) => START_US + hours * HOUR_MS * 1000;

  test.each(['exclusive', 'shared'] as const)(
    'segments go also where each writer lives a short time only: %s',
    async (writers) => {
      const directory = newDirectory();
      const lives: number[][] = [];
      for (let i = 0; i < 8; i++) {
        clock.us = START_US + i * 36 * 60_000_000;
        const log = await open({ writers, rollAfterMs: HOUR_MS, retention: age(2) }, directory);
        await log.appendAsync(`in life ${i}`);
        await log.lookAfter();
        lives.push(basesOf(log));
        await log.close();
      }
      expect(lives).toEqual([[0], [0], [0, 2], [0, 2], [0, 2, 4], [2, 4], [2, 4, 6], [4, 6]]);
    },
  );

  test('a segment that was made when the clock was ahead is followed by a new one, once', async () => {
    const directory = newDirectory();
    const lives: number[][] = [];
    for (const hour of [10, 9.5, 0, 0.5]) {
      clock.us = at(hour);
      const log = await open({ rollAfterMs: HOUR_MS }, directory);
      log.append('x');
      lives.push(basesOf(log));
      await log.close();
    }
    expect(lives).toEqual([[0], [0], [0, 2], [0, 2]]);
  });

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

    clock.us = at(2);
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases);
    clock.us = at(2) + 1;
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases.slice(1));
    clock.us = at(7);
    await apply(log, age(2));
    expect(basesOf(log)).toEqual(bases.slice(2));
    clock.us = at(100);
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
    clock.us = at(4);
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
    clock.us = at(12);
    await apply(log, age(5));
    expect(basesOf(log)).toEqual([0, 15, 30, 45]);
    clock.us = at(15.5);
    await apply(log, age(5));
    expect(basesOf(log)).toEqual([30, 45]);
  });

  test('what is in the future, and all behind it but the last segment too, stays', async () => {
    const log = await open();
    appendSegment(log, at(1000));
    appendSegment(log, at(1001));
    log.append(Buffer.alloc(VALUE));
    clock.us = at(4);
    await apply(log, age(1));
    expect(basesOf(log)).toEqual([0, 15, 30]);
  });

  test('a segment that can not be opened for want of files is as old as it is, and nothing goes', async () => {
    const log = await open();
    appendSegment(log, at(10));
    appendSegment(log, at(0));
    appendSegment(log, at(-5));
    log.append(Buffer.alloc(VALUE));
    clock.us = at(0.2);
    const cause = Object.assign(new Error('EMFILE'), { code: 'EMFILE', errno: -24, syscall: 'open' });
    const short = new MillraceError('ERR_SYSTEM', 'no more files', { cause });
    vi.spyOn(SegmentReader, 'open').mockRejectedValueOnce(short);
    expect(await failure(() => apply(log, age(1)))).toBe(short);
    await apply(log, age(1));
    expect(basesOf(log)).toEqual([0, 15, 30, 45]);
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
    clock.us = at(10);
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

  test('is kept, too, of a cursor that is made as retention begins', async () => {
    const log = await open();
    fillTo(log, 4);
    const bases = basesOf(log);
    const { syncDirectory } = disk;
    const names = vi.spyOn(disk, 'syncDirectory').mockImplementationOnce(async (path) => {
      await log.cursor('new').set(0);
      return syncDirectory(path);
    });
    onTestFinished(() => names.mockRestore());
    const heard = overruns();
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases);
    expect(heard).toEqual([]);
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
  const told = (i: number) => newest(i) <= clock.us;
  const isOld = (i: number) => {
    const teller = Array.from({ length: last - i }, (_, k) => i + k).find(told);
    return teller !== undefined && newest(teller) < clock.us - ageMs * 1000;
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
    clock.us = START_US;
    const records = 1 + random(12 * A_SEGMENT);
    while (times.length < records) {
      clock.us += random(HOUR_MS) * 100;
      if (random(40) < jumpiness) clock.us += (random(400) - 200) * HOUR_MS * 1000;
      times.push(clock.us);
      log.append(Buffer.alloc(VALUE - random(500)));
    }
    const cursors = Array.from({ length: random(3) }, () => random(log.next + 1));
    for (const [i, offset] of cursors.entries()) await log.cursor(`cursor-${i}`).set(offset);
    const segments = log.segments();
    const all = segments.reduce((sum, { bytes }) => sum + bytes, 0);
    const kept = {
      ...(random(2) === 0 ? {} : { bytes: random(all) }),
      ...(random(2) === 0 ? {} : { ageMs: random(48) * HOUR_MS }),
      ...(random(2) === 0 ? {} : { segments: 1 + random(segments.length + 1) }),
    };
    const maxUnread = random(2) === 0 ? undefined : random(all * 2);
    const keepUnread = random(4) > 0;
    const retention = { ...kept, keepUnread, maxUnread: keepUnread ? maxUnread : undefined };
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

import diagnostics from 'node:diagnostics_channel';
import { existsSync, readdirSync, readFileSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { disk, SegmentReader } from '../../lib/channel/index.js';
import { Log } from '../../lib/log/index.js';
import { Child } from '../crash/fixtures/child.js';
import { failure } from '../helpers/failure.js';
import { newDirectory } from '../helpers/run-directory.js';
import { withOwnClock } from './own-clock.js';
import { A_SEGMENT, apply, basesOf, fillTo, open, overruns, readAll, until, VALUE } from './retained.js';

withOwnClock();

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
    expect(atSync).toEqual([bases, bases.slice(1), bases.slice(2), bases.slice(3)]);
  });

  test('a removal that could not be brought to the disk is, before the next one', async () => {
    const log = await open({ retention: { segments: 3 } });
    const { syncDirectory } = disk;
    const atSync: number[][] = [];
    vi.spyOn(disk, 'syncDirectory').mockImplementation(async (directory) => {
      atSync.push(basesOf(log));
      if (atSync.length === 2) throw new Error('not now');
      await syncDirectory(directory);
    });
    fillTo(log, 6);
    const bases = basesOf(log);
    await log.lookAfter();
    await log.lookAfter();
    expect(atSync).toEqual([0, 1, 1, 2, 3].map((gone) => bases.slice(gone)));
  });

  test('what cannot be removed stays, with all behind it, and whoever listens hears of it', async () => {
    const log = await open({ retention: { segments: 2 } });
    const heard: { error: unknown; path: string }[] = [];
    const hear = (message: unknown) => void heard.push(message as (typeof heard)[number]);
    diagnostics.subscribe('millrace:failed', hear);
    onTestFinished(() => void diagnostics.unsubscribe('millrace:failed', hear));
    const cause = Object.assign(new Error('broken'), { code: 'EIO', errno: -5, syscall: 'fsync' });
    vi.spyOn(disk, 'syncDirectory').mockResolvedValueOnce().mockRejectedValueOnce(cause);
    fillTo(log, 5);
    await until(() => heard.length === 1);
    expect(heard).toMatchObject([
      { role: 'log', path: log.path, error: { code: 'ERR_SYSTEM', path: log.path, cause } },
    ]);
    expect(log.segments().length).toBe(4);
    await log.lookAfter();
    expect(log.segments().length).toBe(2);
    expect(heard.length).toBe(1);
  });

  test('a cursor that is made, or moved back, while segments go is respected from then on', async () => {
    const log = await open();
    fillTo(log, 8);
    const bases = basesOf(log);
    await log.cursor('moved').set(log.next);
    vi.spyOn(disk, 'syncDirectory').mockImplementation(async () => {
      const gone = bases.length - basesOf(log).length;
      if (gone === 2) await log.cursor('made').set(bases[5]);
      if (gone === 3) await log.cursor('moved').set(bases[4], { force: true });
    });
    await apply(log, { segments: 1 });
    expect(basesOf(log)).toEqual(bases.slice(4));
  });

  test('a cursor that is made while segments go without regard to it is told as overrun', async () => {
    const log = await open();
    fillTo(log, 6);
    const bases = basesOf(log);
    const heard = overruns();
    vi.spyOn(disk, 'syncDirectory').mockImplementationOnce(() => log.cursor('made').set(bases[1]));
    await apply(log, { segments: 3, keepUnread: false });
    expect(heard).toMatchObject([{ cursor: 'made', from: bases[1], to: bases[3] }]);
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

  test('whose directory cannot be looked at for a while keeps what it has mapped, and goes on', async () => {
    const log = await open();
    log.append('one');
    const reader = await Log.open(log.path, { readOnly: true });
    onTestFinished(() => reader.close());
    const tail = reader.tail({ from: 0 });
    expect(`${tail.read()?.value}`).toBe('one');
    renameSync(log.path, `${log.path}-elsewhere`);
    symlinkSync(basename(log.path), log.path);
    await reader.lookAfter();
    unlinkSync(log.path);
    renameSync(`${log.path}-elsewhere`, log.path);
    log.append('two');
    expect(`${tail.read()?.value}`).toBe('two');
  });

  test('finds the end of the log, and of what is on the disk, though what it was about to look at goes', async () => {
    for (const where of ['next', 'durable'] as const) {
      const log = await open();
      fillTo(log, 3);
      await log.flush();
      const reader = await open({ readOnly: true }, log.path);
      const { openNow } = SegmentReader;
      const opening = vi.spyOn(SegmentReader, 'openNow').mockImplementationOnce((...given) => {
        opening.mockRestore();
        fillTo(log, 6);
        for (const { path } of log.segments().slice(0, 4)) unlinkSync(path);
        return openNow(...given);
      });
      expect(reader[where]).toBe(where === 'next' ? log.next : log.earliest);
      expect(log.segments().length).toBe(2);
    }
  });

  test('backwards, ends where the log begins by then', async () => {
    const log = await open();
    fillTo(log, 10);
    const bases = basesOf(log);
    const offsets: number[] = [];
    // It reads up to 64 records ahead, if there is time for that.
    const now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    for await (const { offset } of log.read({ reverse: true })) {
      offsets.push(offset);
      if (offset === log.next - 1) await apply(log, { segments: 2 });
    }
    vi.restoreAllMocks();
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

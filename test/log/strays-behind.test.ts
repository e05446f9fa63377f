import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Log, type Retention } from '../../lib/log/index.js';
import { failure } from '../helpers/failure.js';
import { collect } from './collect.js';
import { fileOf, range, readable, someLog } from './damaging.js';

/** What may be left of a segment that nobody finished; `segment`: a whole one. */
const HALF_MADE: [what: string, put: (path: string, segment: string) => void][] = [
  ['an empty file', (path) => writeFileSync(path, '')],
  ['zeros', (path) => writeFileSync(path, Buffer.alloc(81_920))],
  ['half a header', (path, segment) => writeFileSync(path, readFileSync(segment).subarray(0, 5000))],
];

describe.each(HALF_MADE)('%s behind a segment that was never sealed', (_, put) => {
  test.each([0, 4])('%i records behind its end, is set aside: nothing was appended to it', async (behind) => {
    const { directory, next } = await someLog(2);
    const stray = fileOf(directory, next + behind);
    put(stray, fileOf(directory, 0));
    const fault = { code: 'ERR_FORMAT', file: stray };
    expect((await Log.verify(directory)).faults).toMatchObject([fault]);
    {
      await using log = await Log.open(directory);
      expect(log.recovery?.setAside).toMatchObject([{ name: basename(stray) }]);
      expect(log.append('behind')).toBe(next);
    }
    expect(await Log.verify(directory)).toMatchObject({ sound: true, next: next + 1 });
  });

  test('is set aside by repair, which gives up no offset', async () => {
    const { directory, next } = await someLog(2);
    const stray = fileOf(directory, next);
    put(stray, fileOf(directory, 0));
    const { lost, rewritten, setAside } = await Log.repair(directory);
    expect({ lost, rewritten }).toEqual({ lost: [], rewritten: [] });
    expect(setAside).toMatchObject([{ name: basename(stray) }]);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, next });
  });

  test('is damage behind one that was sealed: records may have been in it', async () => {
    const { directory, bases } = await someLog(2);
    const [first, last] = bases;
    put(fileOf(directory, last), fileOf(directory, first));
    expect(await failure(() => Log.open(directory))).toMatchObject({ code: 'ERR_CORRUPT' });
    expect((await Log.repair(directory)).lost).toEqual([{ from: last, to: last + 2 ** 30 }]);
  });
});

describe.each([
  ['a text', (path: string) => writeFileSync(path, 'hello, not a segment')],
  ['a copy of a segment', (path: string, segment: string) => cpSync(segment, path)],
])('%s that comes behind the last segment of a log that is open', (_, put) => {
  async function openWithStray(retention?: Retention) {
    const { directory, bases, next } = await someLog(4);
    const log = await Log.open(directory, { sync: 'none', retention });
    onTestFinished(() => log.close());
    put(fileOf(directory, next + 4), fileOf(directory, 0));
    return { log, bases, next, basesNow: () => log.segments().map(({ base }) => base) };
  }

  test.each([1, 2, 3])('does not count for retention, which keeps %i segments', async (segments) => {
    const { log, bases, next, basesNow } = await openWithStray({ segments });
    await log.lookAfter();
    expect(basesNow()).toEqual([...bases.slice(-segments), next + 4]);
  });

  test('is nothing that compaction looks at', async () => {
    const { log, bases, basesNow, next } = await openWithStray();
    expect(await log.compact()).toMatchObject({ segments: 0, records: 0 });
    expect(basesNow()).toEqual([...bases, next + 4]);
  });
});

describe('a link that leads nowhere, behind the last segment', () => {
  async function linked() {
    const log = await someLog(2);
    const stray = fileOf(log.directory, log.next + 4);
    symlinkSync('/nonexistent/file', stray);
    return { ...log, stray };
  }

  test('is set aside by who opens the log to append', async () => {
    const { directory, next, stray } = await linked();
    await using log = await Log.open(directory);
    expect(log.recovery?.setAside).toMatchObject([{ name: basename(stray) }]);
    expect(readdirSync(join(directory, 'set-aside'))).toContain(basename(stray));
    expect(log.append('behind')).toBe(next);
  });

  test('is told by verify, and set aside by repair', async () => {
    const { directory, next, stray } = await linked();
    const fault = { code: 'ERR_FORMAT', file: stray, message: expect.stringContaining('leads nowhere') };
    expect(await Log.verify(directory)).toMatchObject({ sound: false, records: next, faults: [fault] });
    const { lost, rewritten, setAside } = await Log.repair(directory);
    expect({ lost, rewritten }).toEqual({ lost: [], rewritten: [] });
    expect(setAside).toMatchObject([{ name: basename(stray) }]);
    expect(await Log.verify(directory)).toMatchObject({ sound: true, next });
    expect(await readable(directory)).toEqual(range(0, next));
  });

  test('is an error behind all that there is for who only reads', async () => {
    const { directory, next, stray } = await linked();
    await using log = await Log.open(directory, { readOnly: true });
    expect(await failure(async () => log.next)).toMatchObject({ code: 'ERR_FORMAT', path: stray });
    expect((await collect(log.read({ limit: next }))).length).toBe(next);
  });
});

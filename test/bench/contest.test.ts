import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compare } from '../../bench/harness/comparison.js';
import { holdContests } from '../../bench/harness/contest.js';
import { Line } from '../../bench/harness/line.js';
import { contestRows } from '../../bench/trials/beside.js';
import { Contenders } from '../../bench/trials/contenders.js';
import { storeContender } from '../../bench/trials/log-contenders.js';
import { millraceRoundTrip, shmRingRoundTrip } from '../../bench/trials/sides.js';
import { ringbuf, threadRing } from '../../bench/trials/thread-sides.js';

test('two things that are said in one breath are both heard', async () => {
  const input = new PassThrough();
  const line = new Line('somebody', input, new PassThrough());
  const first = line.hear();
  input.write('{"running":true}\n{"records":1}\n');
  expect(await first).toEqual({ running: true });
  expect(await line.hear()).toEqual({ records: 1 });
});

test('what is no JSON is a failure of whoever said it', async () => {
  const input = new PassThrough();
  const line = new Line('somebody', input, new PassThrough());
  input.write('Segmentation fault\n');
  await expect(line.hear()).rejects.toThrow("somebody said what isn't JSON: Segmentation fault");
});

describe('a contest', () => {
  const OPTIONS = { turns: 2, ms: 400 };
  let folder: string;
  let ended: string[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-contest-'));
    ended = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const ends = { ms: 400, cpuMs: 400, waitedMs: 0 };
  const contender = (name: string, perSecond: number) => ({
    name,
    start: async () => ({
      turn: async () => ({ records: 1, perSecond, front: ends, back: ends }),
      end: async () => void ended.push(name),
    }),
  });
  const missing = {
    name: 'missing',
    mayBeAbsent: true,
    start: () => Promise.reject(new Error("Error: Cannot find package 'missing'")),
  };
  const failing = {
    name: 'failing',
    start: async () => ({
      turn: () => Promise.reject(new Error('lost or mangled records')),
      end: async () => void ended.push('failing'),
    }),
  };
  const hold = (contenders: unknown[]) => {
    const folders: string[] = [];
    const contendersIn = (own: string) => {
      expect(existsSync(own)).toBe(true);
      folders.push(own);
      return contenders;
    };
    const description = { group: '64 bytes', contendersIn };
    return holdContests([description], { folder, progress: () => {}, probe: undefined, options: OPTIONS });
  };

  test('goes on without who is absent, says why, and leaves nobody and nothing behind', async () => {
    const [held] = await hold([contender('ours', 60), missing, contender('theirs', 10)]);
    expect(held).toMatchObject({ group: '64 bytes', names: ['ours', 'missing', 'theirs'] });
    expect(held.absent).toEqual({ missing: "Error: Cannot find package 'missing'" });
    expect(held.rounds).toHaveLength(OPTIONS.turns);
    expect(ended.sort()).toEqual(['ours', 'theirs']);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('without who must be there is a failure, which ends all of them', async () => {
    const needed = { ...missing, mayBeAbsent: false };
    await expect(hold([contender('ours', 60), needed])).rejects.toThrow("Cannot find package 'missing'");
    expect(ended).toEqual(['ours']);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('with one that loses records is a failure, which ends all of them', async () => {
    await expect(hold([contender('ours', 60), failing])).rejects.toThrow('lost or mangled records');
    expect(ended.sort()).toEqual(['failing', 'ours']);
    expect(readdirSync(folder)).toEqual([]);
  });

  test('shows a bar met or missed by the quickest of those who are there', async () => {
    const [held] = await hold([contender('ours', 60), missing, contender('slow', 2), contender('quick', 10)]);
    const others = ['missing', 'slow', 'quick'];
    const bars = [
      { ours: 'ours', others, called: 'others', least: 6 },
      { ours: 'ours', others, called: 'others', least: 7 },
      { ours: 'ours', others: ['missing'], called: 'nobody', least: 1 },
    ];
    const rows = contestRows(held, () => ({ figures: {} }), bars);
    expect(rows.slice(0, 2)).toMatchObject([
      { name: 'ours', samples: 2 },
      { name: 'missing', absent: "Error: Cannot find package 'missing'" },
    ]);
    expect(rows.slice(4)).toMatchObject([
      { ratio: { to: 'quick', median: 6 }, bar: { met: true }, note: '1 of them absent' },
      { ratio: { to: 'quick', median: 6 }, bar: { met: false } },
      { absent: 'nobody to compare' },
    ]);
  });
});

describe('a comparison', () => {
  const CPUS = [0, 1];
  const nobody = { name: 'nobody', kind: 'one-way', front: ['/nowhere/front'], back: ['/nowhere/back'] };
  const between = (base: object) => compare({ base, contender: base }, CPUS, undefined, { pairs: 1, ms: 1 });

  test('fails without who must be there, and tells of who may be absent', async () => {
    await expect(between(nobody)).rejects.toThrow();
    expect(await between({ ...nobody, mayBeAbsent: true })).toEqual({ absent: expect.any(String) });
  });
});

test('only what needs a package may be absent', () => {
  const place = { folder: '/nowhere', cpus: [0, 1], node: [] };
  const contenders = new Contenders(place);
  const script = new URL(import.meta.url);
  const talking = (crossing: string) => contenders.talking('one', script, () => '', { crossing });
  const storing = (store: string) => storeContender('one', () => '', { store }, place);
  const spinning = (side: object) => contenders.spinning('one', side);
  const may = [talking('zeromq'), storing('sqlite'), storing('lmdb')];
  may.push(spinning(shmRingRoundTrip('', 64)), spinning(ringbuf('one-way', 64, 'one')));
  const must = [talking('millrace'), talking('socket'), storing('log'), storing('file')];
  must.push(spinning(millraceRoundTrip('', 64, 'spin')), spinning(threadRing('one-way', 64)));
  expect(may.filter(({ mayBeAbsent }) => !mayBeAbsent)).toEqual([]);
  expect(must.filter(({ mayBeAbsent }) => mayBeAbsent)).toEqual([]);
});

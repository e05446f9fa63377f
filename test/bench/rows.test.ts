import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { barOf, barOfRates } from '../../bench/harness/figures.js';
import { verdictOf } from '../../bench/harness/table.js';
import { flood } from '../../bench/trials/flood.js';
import { logHop } from '../../bench/trials/log-hop.js';
import { floorRoundTrip } from '../../bench/trials/pairs.js';
import { waking } from '../../bench/trials/waking.js';

// What trials make of results: here of such as nobody measured, or changed ones.

interface Row {
  name: string;
  figures?: object;
  note?: string;
}

function measured(name: string) {
  const file = new URL(`../../bench/results/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')).results;
}

const ends = { ms: 400, cpuMs: 400, waitedMs: 0 };
const SILENCE = 'after 5 ms of silence';

describe('log-hop', () => {
  const CHANNEL = 'channel, for await, park';
  const TAIL = 'log, tail, park';
  const rowsOf = (channel: object, tail: object) => {
    const turn = (facts: object) => ({ records: 60, perSecond: 180, front: ends, back: ends, ...facts });
    const rounds = [{ facts: { [CHANNEL]: turn(channel), [TAIL]: turn(tail) } }];
    const contests = [{ group: SILENCE, names: [CHANNEL, TAIL], absent: {}, rounds }];
    return logHop.rows({ contests });
  };

  test('compares what hops take after silence without the silence', () => {
    const [, tail] = rowsOf({ us: { p50: 400 } }, { us: { p50: 1200 } });
    expect(tail).toMatchObject({
      figures: { 'two hops': { unit: 'us', median: 1200 } },
      ratio: { to: CHANNEL, median: 3 },
      bar: { met: false },
    });
  });
});

describe('pairs', () => {
  const SHARED = ', shared cores';
  const results = measured('floor-round-trip');
  const judged = results.comparisons.find(({ bar }: { bar?: number }) => bar !== undefined);
  const groups: [string, object][] = Object.entries(judged.summary.groups);
  const [placement, group] = groups.find(([name]) => name.endsWith(SHARED)) ?? groups[0];
  const barOfPairs = (pairs: number) => {
    const summary = { ...judged.summary, groups: { [placement.replace(SHARED, '')]: { ...group, pairs } } };
    return (floorRoundTrip.rows({ comparisons: [{ ...judged, summary }] })[1] as { bar: object }).bar;
  };

  test('of which there are a few decide nothing', () => {
    expect(barOfPairs(4)).toMatchObject({ met: undefined, why: '4 of the pairs only' });
    expect(barOfPairs(5)).toMatchObject({ met: expect.any(Boolean) });
  });
});

describe('a verdict', () => {
  const spread = { median: 1.2, p10: 0.9, p90: 1.4 };
  const wordOf = (row: object) => verdictOf(row as Parameters<typeof verdictOf>[0])?.word;

  test('says so where only the median is on its side of the bar', () => {
    const judged = (met: boolean, limit: number) => wordOf({ bar: barOf('', met, { limit }), ratio: spread });
    expect(judged(true, 1)).toBe('met by the median');
    expect(judged(false, 1.3)).toBe('MISSED by the median');
    expect(judged(true, 0.9)).toBe('met');
    expect(judged(false, 1.4)).toBe('MISSED');
    const waited = { ours: 0, other: 0 };
    expect(wordOf({ bar: barOfRates('', 1.2, 1, waited), ratio: spread })).toBe('met by the median');
  });

  test('goes by the figure that its bar is about', () => {
    const bar = barOf('', true, { of: 'took', limit: 1 });
    const figures = { took: { unit: 'ms', median: 0.5, p10: 0.4, p90: 0.6 } };
    expect(wordOf({ bar, figures, ratio: spread })).toBe('met');
  });

  test('that can’t be said says why, and no more', () => {
    const bar = barOf('', true, { waited: [0.2], limit: 1 });
    expect(wordOf({ bar, ratio: spread })).toBe("can't be said: waited for a cpu 20 %");
  });
});

test('a flood says where p99.99 is of so few turns that it is the longest', () => {
  const results = measured('flood');
  const noteOf = (count: number) => {
    results.alone['millrace poll'].back.held.turns.count = count;
    const rows: Row[] = flood.rows(results);
    return rows.filter(({ name }) => name === 'millrace poll').map(({ note }) => note);
  };
  expect(noteOf(9_999)).toEqual([undefined, 'so few turns that p99.99 is the longest']);
  expect(noteOf(10_000)).toEqual([undefined, undefined]);
});

test('waking says nothing of a call that wakes nobody', () => {
  const rows: Row[] = waking.rows(measured('waking'));
  const called = rows.filter(({ figures }) => figures && 'the call that wakes' in figures);
  const silent = rows.filter((row) => !called.includes(row));
  expect(silent).toMatchObject([{ group: 'back to back', note: 'mostly found awake' }]);
  expect(called).toHaveLength(15);
});

import { describe, expect, test } from 'vitest';
import { logHop } from '../../bench/trials/log-hop.js';

// What trials make of results: here of such as nobody measured.

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

  test('judges nothing by times that the silence is in', () => {
    const [, tail] = rowsOf({}, {});
    expect(tail).toMatchObject({
      ratio: { median: 1 },
      bar: { met: undefined, why: 'the pauses are in it' },
    });
    expect(Object.keys(tail?.figures ?? {})).toContain('two hops and the pause');
  });
});

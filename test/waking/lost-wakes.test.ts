import { afterEach, describe, expect, test, vi } from 'vitest';
import { endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';
import { killWakers, parkAndWake, ROUNDS } from './fixtures/parks.js';
import { writeAt } from './fixtures/windows.js';

// The same work each time; `npm run soak -- --parks N` has more of it, and other.
const SEED = 20_265;
const CYCLES = 800;

// A hang guard: they take seconds, but each has processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

describe.each(ROUNDS.map((sleepers) => ({ sleepers, name: sleepers.join(' and ') })))(
  'readers asleep in: $name',
  ({ sleepers, name }) => {
    test('are woken by each record, and none by the look that comes in any case', async () => {
      const done = await parkAndWake({ newPath, seed: SEED, cycles: CYCLES, sleepers });
      console.log(`${name}: ${JSON.stringify(done)}, seed ${SEED}`);
      // It is about those who do sleep.
      expect(done.parked).toBeGreaterThan(CYCLES / 4);
      expect(done.lost).toBe(0);
      // It may look by itself just when it is about to be told, but not often.
      expect(done.late + done.answers.late).toBeLessThan(5);
    });

    test('are woken by each record where no such look comes', async () => {
      const cycles = CYCLES / 4;
      const done = await parkAndWake({ newPath, seed: SEED, cycles, sleepers, lacking: ['no bound'] });
      expect(done.parked).toBeGreaterThan(cycles / 4);
    });
  },
);

test('three readers asleep miss nothing while writers are killed and others go on', async () => {
  const done = await killWakers({ newPath, seed: SEED, cycles: 1000, kills: 5 });
  console.log(`${JSON.stringify(done)}, seed ${SEED}`);
  expect(done.kills).toBe(5);
  expect(done.parked).toBeGreaterThan(100);
  // As above: one of them may have looked just then.
  expect(done.late).toBeLessThan(2);
  expect(done.lateAtFirst).toBeLessThan(4);
});

describe.each([
  ['ready', ['idle', 93, 94]],
  ['waitSync', ['idle', 93, 94, 95]],
] as const)('a record that is written while %s() lies down', (how, moments) => {
  test.each(moments)('at %s, is found or told of', async (at) => {
    const { written, result, waits } = await writeAt({ path: newPath(), how, at });
    expect({ written, result }).toEqual({ written: true, result: true });
    expect(waits.late).toBe(0);
    expect(waits.woken).toBe(waits.parked);
    // It was there at the last look before the sleep, which may not be left out.
    if (at === 'idle') expect(waits.parked).toBe(0);
  });
});

describe('what would lose wake-ups is seen', () => {
  const PATIENCE_MS = 500;

  test.each([
    ['ready', 'no look after the bit is set, in an event loop'],
    ['waitSync', 'no look after the bit is set, in a blocked thread'],
  ] as const)('%s(), %s', async (how, part) => {
    const options = { path: newPath(), how, at: 'idle', lacking: [part] };
    const { result, waits } = await writeAt(options);
    expect({ result, waits }).toEqual({ result: true, waits: { parked: 1, woken: 0, late: 1 } });
    const forEver = { ...options, path: newPath(), lacking: [part, 'no bound'], patienceMs: PATIENCE_MS };
    // The last look, when the time is up, finds it.
    expect((await writeAt(forEver)).waits.woken).toBe(0);
  });

  test.each([['loop'], ['blocked']])('no wake, %s', async (how) => {
    const options = { newPath, seed: SEED, cycles: 10, sleepers: [how], lacking: ['no wake', 'no bound'] };
    await expect(parkAndWake({ ...options, patienceMs: PATIENCE_MS })).rejects.toThrow('Nobody woke it');
  });
});

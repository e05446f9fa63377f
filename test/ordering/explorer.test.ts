import { describe, expect, test } from 'vitest';
import { asIt, SCENARIOS } from './explorer/scenarios.js';
import { search, walk } from './explorer/search.js';
import { BROKEN, HARMLESS } from './explorer/variants.js';

// The protocol itself, step by step as it is built, with all ways in which the steps of a writer and its readers may
// interleave, on machines that keep memory in order, that let loads overtake stores (x64), and that keep little order
// (arm64). What a test on one machine can't show, this does. `npm run soak -- --explore` for all of it in full.
const WALKS = 100;
/** Who looks at fewer has not looked. */
const FEWEST_STATES = 5000;

describe.each(SCENARIOS)('$name', (scenario) => {
  test('in every state on x64 the protocol holds', () => {
    const { states, complete, taken, violation, trace } = search(asIt('quick', scenario, 'TSO'));
    expect({ violation, trace }).toEqual({ violation: undefined, trace: undefined });
    expect(complete).toBe(true);
    expect(states).toBeGreaterThan(FEWEST_STATES);
    expect([...taken]).toEqual(expect.arrayContaining(scenario.meets));
  });

  test('in every state of its smaller form on arm64', () => {
    const { states, complete, violation, trace } = search(asIt('weak', scenario, 'ARM'));
    expect({ violation, trace }).toEqual({ violation: undefined, trace: undefined });
    expect(complete).toBe(true);
    expect(states).toBeGreaterThan(FEWEST_STATES);
  });

  test(`in ${WALKS} walks at random on arm64`, () => {
    const { steps, violation, trace } = walk(asIt('full', scenario, 'ARM'), {
      walks: WALKS,
      seed: 271,
    });
    expect({ violation, trace }).toEqual({ violation: undefined, trace: undefined });
    expect(steps).toBeGreaterThan(FEWEST_STATES);
  });
});

// In order (SC), with store buffers (TSO), or hardly ordered (ARM): what a variant breaks is to be found on the machines that
// it is said of, and on no other. So it is shown that the explorer finds it, and what of a machine makes the fault.
describe.each(BROKEN)('found out: $name', ({ as, foundOn, models }) => {
  test.each(models)('on %s', (model) => {
    const { complete, violation, trace } = search(as(model));
    expect(violation !== undefined).toBe(foundOn.includes(model));
    expect(trace !== undefined).toBe(foundOn.includes(model));
    expect(complete).toBe(true);
  });
});

/** The scenarios of the variants, each once. */
const soundAgain = new Map(
  BROKEN.map(({ name, as }) => [
    JSON.stringify(as('TSO')),
    { name, scenario: { ...as('TSO'), defects: new Set() } },
  ]),
);

test.each([...soundAgain.values()])('without the fault there is nothing to find: $name', ({ scenario }) => {
  const { complete, violation } = search(scenario);
  expect(violation).toBeUndefined();
  expect(complete).toBe(true);
});

describe.each(HARMLESS)('does no harm: $name', ({ as, models }) => {
  test.each(models)('on %s', (model) => {
    const { states, complete, violation } = search(as(model));
    expect(violation).toBeUndefined();
    expect(complete).toBe(true);
    expect(states).toBeGreaterThan(100);
  });
});

test('a trace is the shortest there is, and tells each step with its place in the source', () => {
  const [{ as }] = BROKEN.filter(
    ({ name }) => name === 'no fence between limit and the look at registrations',
  );
  const { depth, trace } = search(as('TSO'));
  // But for the first step of each program, which does nothing.
  expect(trace).toHaveLength(depth - 2);
  expect(trace).toContainEqual(
    expect.stringMatching(/^writer {3}\| raise limit \(flow\.ts #raiseLimit, step 30\): store limit = \d/),
  );
  expect(trace?.at(-1)).toMatch(/^reader 0 \| /);
});

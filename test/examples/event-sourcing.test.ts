import { expect, test } from 'vitest';
import { command } from '../../examples/event-sourcing/commands.js';
import { Warehouse } from '../../examples/event-sourcing/warehouse.js';
import { numberIn, run, testInterruptions } from './example.js';

/** The state that so many events make, without any log or snapshot. */
function stateAfter(events: number): string {
  const warehouse = new Warehouse();
  for (let number = 0; warehouse.events < events; number++) {
    const event = warehouse.decide(command(number));
    if (event !== undefined) warehouse.apply(event);
  }
  return warehouse.hash();
}

test('a snapshot and the events since then make the state that all events make', async () => {
  const { code, text, left } = await run('event-sourcing');
  expect(code, text).toBe(0);
  expect(left).toEqual([]);

  const events = numberIn(text, /^killed; the log has (\d+) events/m);
  const state = stateAfter(events);
  expect(text).toContain(`they all make state ${state}\n`);
  expect(text).toContain(`events since then make state ${state}\n`);
  expect(state).not.toBe(stateAfter(events - 1));

  const offset = numberIn(text, /^snapshot at (\d+)/m);
  const replayed = numberIn(text, /^snapshot at \d+ and (\d+) events/m);
  expect(offset).toBeGreaterThan(0);
  expect(replayed).toBeGreaterThan(0);
  expect(offset + replayed).toBe(events);

  const total = numberIn(text, /all (\d+) events make state \w+$/m);
  expect(total).toBeGreaterThan(events);
  expect(text).toMatch(/^stopped after event (\d+) in state (\w+); all \1 events make state \2$/m);
});

testInterruptions('event-sourcing', /^snapshot at/);

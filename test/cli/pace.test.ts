import { expect, test } from 'vitest';
import { type Clock, Pace } from '../../lib/cli/recording/pace.js';

const NEVER = new AbortController().signal;
const SECOND = 1_000_000;

/** A clock that stands still but in sleeping, and then goes so many milliseconds too far. */
class FakeClock implements Clock {
  readonly slept: number[] = [];
  readonly #tooLong: number;
  #now = 5000;

  constructor(tooLong = 0) {
    this.#tooLong = tooLong;
  }

  now(): number {
    return this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.#now += ms + this.#tooLong;
  }
}

test.each([
  [1, [1000, 2000]],
  [4, [250, 500]],
  [0.5, [2000, 4000]],
  [Number.POSITIVE_INFINITY, []],
])('at speed %d records are as far apart as their times, divided by it', async (speed, expected) => {
  const clock = new FakeClock();
  const pace = new Pace(speed, clock);
  for (const seconds of [100, 101, 103]) await pace.until(seconds * SECOND, NEVER);
  expect(clock.slept).toEqual(expected);
});

test('however late each sleep ends, the last record is no later than one sleep is', async () => {
  const clock = new FakeClock(3);
  const pace = new Pace(1, clock);
  for (let i = 0; i <= 1000; i++) await pace.until(i * 10_000, NEVER);
  expect(clock.now()).toBe(5000 + 10_000 + 3);
});

test('after what took long it makes up for it, and then keeps to the times again', async () => {
  const clock = new FakeClock();
  const pace = new Pace(1, clock);
  await pace.until(0, NEVER);
  clock.pass(2500);
  for (const seconds of [1, 2, 3]) await pace.until(seconds * SECOND, NEVER);
  expect(clock.slept).toEqual([500]);
});

test('a time that goes back is due at once', async () => {
  const clock = new FakeClock();
  const pace = new Pace(1, clock);
  for (const seconds of [10, 11, 5, 12]) await pace.until(seconds * SECOND, NEVER);
  expect(clock.slept).toEqual([1000, 1000]);
});

test('a time beyond what timers know is slept for in parts', async () => {
  const clock = new FakeClock();
  const pace = new Pace(1, clock);
  await pace.until(0, NEVER);
  await pace.until(3e9 * 1000, NEVER);
  expect(clock.slept).toEqual([2 ** 31 - 1, 3e9 - (2 ** 31 - 1)]);
});

test('the signal ends a sleep', async () => {
  const pace = new Pace(1);
  await pace.until(0, NEVER);
  const controller = new AbortController();
  const sleeping = pace.until(3600 * SECOND, controller.signal);
  controller.abort();
  await expect(sleeping).rejects.toMatchObject({ name: 'AbortError' });
});

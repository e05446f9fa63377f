import { afterEach, beforeEach, vi } from 'vitest';
import { environment } from '../../lib/channel/index.js';
import { endAll } from '../crash/fixtures/child.js';

/** Long ago: what is read is not to be over by the real clock in one test and not in another. */
export const START_US = 1_700_000_000_000_000;

/** What the time is. */
export const clock = { us: START_US };

/** For a file of tests: the clock stands still but for who sets it, and what a test left behind ends. */
export function withOwnClock(): void {
  beforeEach(() => {
    clock.us = START_US;
    vi.spyOn(environment, 'nowUs').mockImplementation(() => clock.us);
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await endAll();
  });
}

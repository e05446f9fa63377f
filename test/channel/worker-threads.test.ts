import { afterEach, describe, expect, test, vi } from 'vitest';
import { Child, endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';

// The same work each time.
const SEED = 20_268;
const THREADS = new URL('../waking/fixtures/waiting-threads.js', import.meta.url).href;
const SENDER = new URL('../waking/fixtures/sender.js', import.meta.url).href;
const SLEEPER = new URL('../waking/fixtures/parks-sleeper.js', import.meta.url).href;

// A hang guard: they take seconds, but each has many threads to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

/** A process in which threads wait and are terminated: it has to live on, and say so. */
async function terminate(what: string, path: string, times: number) {
  const child = new Child(THREADS, { path, what, times, seed: SEED });
  await child.expect('open');
  child.send('go');
  const done = await child.expect('done');
  expect(await child.exit).toEqual({ code: 0, signal: null });
  return done;
}

describe('threads that are terminated leave nothing behind, and others go on', () => {
  test('while they sleep until something is written', async () => {
    const { terminated, late } = await terminate('asleep', newPath(), 3);
    expect({ terminated, late }).toEqual({ terminated: 9, late: 0 });
  });

  test('while they sleep until there is room', async () => {
    const { terminated, records } = await terminate('room', newPath(), 8);
    expect(terminated).toBe(8);
    // Each of them went on where the one before it was.
    expect(records).toBeGreaterThan(8 + 60);
  });

  test('at any time, while others of this and other processes read the same channel', async () => {
    const path = newPath();
    const first = new Child(SENDER, { path, create: {} });
    await first.expect('open');
    const others = ['loop', 'iteration', 'blocked'].map(
      (how) => new Child(SLEEPER, { path, how, seed: SEED }),
    );
    for (const other of others) {
      await other.expect('open');
      other.send('go');
    }
    await first.end();
    const { terminated, records } = await terminate('all', path, 16);
    // Of each kind.
    expect(Object.keys(terminated).sort()).toEqual(['next', 'ready', 'waitSync', 'write']);
    for (const other of others) {
      const { next, parked, woken } = await other.expect('done');
      expect(next).toBe(records);
      expect(parked).toBeGreaterThan(0);
      expect(woken).toBeGreaterThan(0);
      expect(await other.exit).toEqual({ code: 0, signal: null });
    }
  });
});

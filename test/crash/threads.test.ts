import { afterEach, describe, expect, test, vi } from 'vitest';
import { newPath } from '../helpers/run-directory.js';
import { endAll } from './fixtures/child.js';
import {
  exitWithAllOpen,
  readInThreadsAndProcesses,
  terminateOpeners,
  terminateReaders,
  terminateWriters,
} from './fixtures/threads.js';

// The same work each time; `npm run soak -- --seed N` has other.
const SEED = 20_264;

// A hang guard: they take seconds, but each has many processes to begin.
vi.setConfig({ testTimeout: 180_000 });
afterEach(endAll);

test('one thread writes, others and other processes read, a second writer is refused', async () => {
  await readInThreadsAndProcesses({ newPath, seed: SEED });
});

describe('a thread that is terminated lets go of all it had', () => {
  test('while it writes, claims or waits for room', async () => {
    const { terminated } = await terminateWriters({ newPath, times: 12, seed: SEED });
    expect(terminated).toBe(12);
  });

  test('while it polls, iterates or opens', async () => {
    const { terminated } = await terminateReaders({ newPath, times: 12, seed: SEED });
    expect(terminated).toBe(12);
  });

  test('while channels are being made and opened for it', async () => {
    const { terminated } = await terminateOpeners({ newPath, times: 12, seed: SEED });
    expect(terminated).toBe(12);
  });
});

test.each(['exit', 'handler'])('a process may end with everything open (%s)', async (how) => {
  await exitWithAllOpen({ newPath, how });
});

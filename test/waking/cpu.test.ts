import { afterEach, expect, test } from 'vitest';
import { Child, endAll } from '../crash/fixtures/child.js';
import { newPath } from '../helpers/run-directory.js';

const IDLE = new URL('fixtures/idle-child.js', import.meta.url).href;
const MS = 600;

afterEach(endAll);

/** What a process takes of a cpu, whose readers wait for nothing for so long. */
async function cpuOf(idle: string, readers: number) {
  const child = new Child(IDLE, { path: newPath(), idle, readers, ms: MS });
  const { cpuMs } = await child.expect('done');
  await child.exit;
  return cpuMs as number;
}

// Measured in time of the cpu, which is the same whatever else the machine does.
test('readers that park take nearly nothing of a cpu, and those that do not all of it', async () => {
  const parked = await cpuOf('park', 10);
  const adaptive = await cpuOf('adaptive', 10);
  const yielding = await cpuOf('yield', 1);
  const spinning = await cpuOf('spin', 1);
  console.log({ parked, adaptive, yielding, spinning });
  for (const sleeping of [parked, adaptive]) {
    expect(sleeping).toBeLessThan(MS / 4);
    expect(sleeping).toBeLessThan(Math.min(yielding, spinning) / 2);
  }
});

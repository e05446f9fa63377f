import { Stopwatch, syncFile } from '../../channel/index.js';
import { binding } from '../../native.js';
import { type Finding, faultOf, ok, warning } from './finding.js';

const BYTES = 4096;
const SYNCS = 20;
const LONGEST_MS = 2000;
/** As slow as a disk that turns, with others at work on it. */
const SLOW_MS = 50;

/** How long a disk takes to keep what `commit` and `flush` bring to it. The file has no name, and goes with this process. */
export async function syncFinding(directory: string, stop: AbortSignal): Promise<Finding> {
  try {
    return judged(await timeSyncs(directory, stop));
  } catch (error) {
    return faultOf('sync', error);
  }
}

async function timeSyncs(directory: string, stop: AbortSignal) {
  const file = binding().createFileNow(directory, BYTES, 0o600);
  try {
    const bytes = Buffer.from(binding().mapFile(file));
    const watch = new Stopwatch();
    const until = performance.now() + LONGEST_MS;
    for (let n = 1; n <= SYNCS && !stop.aborted; n++) {
      // Something to sync.
      bytes[0] = n;
      const beganAt = performance.now();
      await syncFile(file);
      watch.since(beganAt);
      if (performance.now() >= until) break;
    }
    return watch.times;
  } finally {
    binding().closeFile(file);
  }
}

function judged({ count, p50, max }: { count: number; p50: number; max: number }): Finding {
  const times = `half of ${count} syncs took ${milliseconds(p50)} or less, the slowest ${milliseconds(max)}`;
  if (p50 < SLOW_MS) return ok('sync', times);
  return warning(
    'sync',
    `${times}: each commit waits for that; append in batches, commit many at once, or use another disk`,
  );
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

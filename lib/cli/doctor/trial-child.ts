import { setImmediate as turn } from 'node:timers/promises';
import { Reader } from '../../index.js';
import { CHANNEL_FD, type Order, type Word } from './trial-words.js';

/**
 * The other process of the trial: a reader of the channel that it was given as an open file, which waits whenever it is
 * told to. The channel's records are the times at which they were written.
 */

const LONGEST_MS = 5000;
/** Longer than it takes to fall asleep. */
const MOST_TURNS = 10_000;

function tell(word: Word): void {
  process.send?.(word);
}

async function wait(reader: Reader, order: Order): Promise<void> {
  const before = parked(reader);
  if (order === 'ready') {
    const ready = reader.ready({ timeoutMs: LONGEST_MS });
    for (let turns = 0; parked(reader) === before && turns < MOST_TURNS; turns++) await turn();
    tell({ say: 'asleep', can: parked(reader) > before });
    await ready;
  } else {
    // Nobody who is blocked can say so.
    tell({ say: 'asleep', can: true });
    reader.waitSync({ timeoutMs: LONGEST_MS });
  }
  const now = process.hrtime.bigint();
  const written = BigInt(reader.read()?.data.toString() ?? now);
  tell({ say: 'woken', tookMs: Number(now - written) / 1e6, slept: parked(reader) > before });
}

function parked(reader: Reader): number {
  return reader.stats().waits.parked;
}

async function run(): Promise<void> {
  const reader = await Reader.open(`/proc/self/fd/${CHANNEL_FD}`, {
    from: 'oldest',
    idle: 'park',
    gate: true,
  });
  process.on('message', (order: Order) => void wait(reader, order).catch(fail));
  tell({ say: 'open', read: reader.read()?.data.toString(), status: reader.status });
}

function fail(error: unknown): void {
  tell({ say: 'failed', message: (error as Error).message });
}

// Who asked is gone.
process.on('disconnect', () => process.exit());
await run().catch(fail);

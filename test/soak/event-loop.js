/**
 * How long the event loop is held while a large channel is created, opened by readers, and closed. Prints it, too:
 *
 *   node test/soak/event-loop.js [directory] [capacity] [rounds]
 *
 * The directory should lie in RAM. The loop is never idle: it allocates a little and asks for another turn at once, so
 * that what a collection costs beside a mapping of that size shows too. "idle" is the same without a channel. "held" leaves out
 * the time that the thread was ready to run and other processes had the cores.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Reader, Writer } from '../../dist/index.js';

/** Unmapping goes on after close, on another thread. As long as nothing is done to compare with. */
const WATCH_MS = 1500;

/** For each step a figure a round, in ms: how long it took, and the longest the loop was held, as seen in three ways. */
export async function measureEventLoop({ directory, capacity = '1GiB', rounds = 5 }) {
  const steps = {};
  const loop = new BusyLoop();
  const step = async (what, work) => {
    const { result, ...figures } = await loop.measure(work);
    steps[what] ??= { tookMs: [], heldMs: [], turnMs: [], monitorMs: [] };
    for (const [figure, ms] of Object.entries(figures)) steps[what][figure].push(Math.round(ms * 100) / 100);
    return result;
  };
  try {
    await delay(500);
    for (let round = 1; round <= rounds; round++) {
      const path = join(directory, `round-${round}`);
      await step('idle', () => delay(WATCH_MS));
      const writer = await step('create', () => Writer.create(path, { capacity }));
      const lent = await step('open, lent the mapping', () => Reader.open(path, { gate: true }));
      const copying = await step('open, lent copies', () => Reader.open(path));
      for (const reader of [lent, copying]) await step('close a reader', () => closeAndWatch(reader));
      await step('close the writer', () => closeAndWatch(writer));
      // The kernel frees the pages within unlink, which is not the library's to call.
      rmSync(path);
    }
  } finally {
    loop.stop();
  }
  return steps;
}

function closeAndWatch(handle) {
  handle.close();
  return delay(WATCH_MS);
}

/** A loop that turns all the time and looks how long each turn took. */
class BusyLoop {
  #busy = true;
  #lastTurn = performance.now();
  #lastWait = 0;
  #turnMs = 0;
  #heldMs = 0;
  #schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
  #text = Buffer.alloc(64);
  #kept = new Array(1000);
  #turns = 0;

  constructor() {
    this.#turn();
  }

  /** The longest time between two turns while `work` runs, as this loop sees it and as Node does, with how long it took. */
  async measure(work) {
    const monitor = monitorEventLoopDelay({ resolution: 1 });
    await delay(20);
    monitor.enable();
    this.#turnMs = this.#heldMs = 0;
    const start = performance.now();
    const result = await work();
    const tookMs = performance.now() - start;
    // What held the loop last shows in the turn after it.
    await delay(20);
    monitor.disable();
    return { result, tookMs, heldMs: this.#heldMs, turnMs: this.#turnMs, monitorMs: monitor.max / 1e6 };
  }

  stop() {
    this.#busy = false;
    closeSync(this.#schedstat);
  }

  #turn() {
    if (!this.#busy) return;
    const waited = this.#waitedMs();
    const now = performance.now();
    this.#turnMs = Math.max(this.#turnMs, now - this.#lastTurn);
    this.#heldMs = Math.max(this.#heldMs, now - this.#lastTurn - (waited - this.#lastWait));
    this.#lastTurn = now;
    this.#lastWait = waited;
    for (let i = 0; i < 20; i++) {
      const turns = this.#turns++;
      this.#kept[turns % this.#kept.length] = { turns, text: `turn ${turns}`, list: [i, now] };
    }
    setImmediate(() => this.#turn());
  }

  /** How long this thread has waited for a core so far. */
  #waitedMs() {
    const length = readSync(this.#schedstat, this.#text, 0, this.#text.length, 0);
    return Number(this.#text.toString('latin1', 0, length).split(' ')[1]) / 1e6;
  }
}

async function print([parent = '/dev/shm', capacity = '1GiB', rounds = '5']) {
  const directory = mkdtempSync(join(parent, 'millrace-event-loop-'));
  try {
    const steps = await measureEventLoop({ directory, capacity, rounds: Number(rounds) });
    console.log(`${capacity} in ${parent}, Node.js ${process.version}`);
    const rows = Object.entries(steps).map(([what, { tookMs, heldMs, turnMs, monitorMs }]) => {
      const row = {
        'took ms': spread(tookMs),
        'longest held ms': spread(heldMs),
        'longest turn ms': spread(turnMs),
        'monitor max ms': spread(monitorMs),
      };
      return [what, row];
    });
    console.table(Object.fromEntries(rows));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Least, middle and most of the rounds: what the library does shows in the least, what the machine does in the most. */
function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((value) => value.toFixed(1)).join(' … ');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await print(process.argv.slice(2));

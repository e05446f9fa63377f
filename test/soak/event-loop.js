/**
 * Prints how long the event loop is held while a channel of 1 GiB is created, opened by a reader, and closed:
 *
 *   node test/soak/event-loop.js [directory] [capacity] [rounds]
 *
 * The directory should lie in RAM. The loop is never idle: it allocates a little and asks for another turn at once, so
 * that what a collection costs beside a mapping of that size shows too. "idle" is the same without a channel. "held" leaves out
 * the time that the thread was ready to run and other processes had the cores.
 */
import { mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { Reader, Writer } from '../../dist/index.js';

const [parent = '/dev/shm', capacity = '1GiB', rounds = '5'] = process.argv.slice(2);
/** Unmapping goes on after close, on another thread. As long as nothing is done to compare with. */
const WATCH_MS = 1500;

let busy = true;
let lastTurn = performance.now();
let lastWait = 0;
let longestTurn = 0;
let longestHold = 0;
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
const text = Buffer.alloc(64);
const kept = new Array(1000);
let turns = 0;

/** How long this thread has waited for a core so far. */
function waitedMs() {
  return Number(text.toString('latin1', 0, readSync(schedstat, text, 0, text.length, 0)).split(' ')[1]) / 1e6;
}

function turn() {
  const waited = waitedMs();
  const now = performance.now();
  longestTurn = Math.max(longestTurn, now - lastTurn);
  longestHold = Math.max(longestHold, now - lastTurn - (waited - lastWait));
  lastTurn = now;
  lastWait = waited;
  for (let i = 0; i < 20; i++) kept[turns++ % kept.length] = { turns, text: `turn ${turns}`, list: [i, now] };
  if (busy) setImmediate(turn);
}

/** The longest time between two turns while `work` runs, as this loop sees it and as Node does, with how long it took. */
async function measure(work) {
  const monitor = monitorEventLoopDelay({ resolution: 1 });
  await delay(20);
  monitor.enable();
  longestTurn = longestHold = 0;
  const start = performance.now();
  const result = await work();
  const tookMs = performance.now() - start;
  // What held the loop last shows in the turn after it.
  await delay(20);
  monitor.disable();
  return { result, tookMs, turnMs: longestTurn, holdMs: longestHold, monitorMs: monitor.max / 1e6 };
}

const rows = [];
const directory = mkdtempSync(join(parent, 'millrace-event-loop-'));

async function step(what, work) {
  const { result, tookMs, turnMs, holdMs, monitorMs } = await measure(work);
  rows.push({ what, tookMs, holdMs, turnMs, monitorMs });
  return result;
}

function closeAndWatch(handle) {
  handle.close();
  return delay(WATCH_MS);
}

turn();
try {
  await delay(500);
  for (let round = 1; round <= Number(rounds); round++) {
    await step('idle', () => delay(WATCH_MS));
    const writer = await step('create', () =>
      Writer.create(join(directory, `channel-${round}`), { capacity }),
    );
    const reader = await step('open', () => Reader.open(writer.path, { gate: true }));
    await step('close the reader', () => closeAndWatch(reader));
    await step('close the writer', () => closeAndWatch(writer));
    // The kernel frees the pages within unlink, which is not the library's to call.
    rmSync(writer.path);
  }
} finally {
  busy = false;
  rmSync(directory, { recursive: true, force: true });
}
console.log(`${capacity} in ${parent}, Node.js ${process.version}`);
const summary = {};
for (const what of new Set(rows.map((row) => row.what))) {
  const of = rows.filter((row) => row.what === what);
  summary[what] = {
    'took ms': spread(of.map(({ tookMs }) => tookMs)),
    'longest held ms': spread(of.map(({ holdMs }) => holdMs)),
    'longest turn ms': spread(of.map(({ turnMs }) => turnMs)),
    'monitor max ms': spread(of.map(({ monitorMs }) => monitorMs)),
  };
}
console.table(summary);

/** Least, middle and most of the rounds: what the library does shows in the least, what the machine does in the most. */
function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((value) => value.toFixed(1)).join(' … ');
}

// One store: log-store-process.js CONFIG (JSON: store, folder, sync, size, batch)
//   append MS            appends for so long, one by one or by batches; commits nothing
//   flushed MS           the same, and what was appended is brought to the disk within the time
//   commit MS WAITERS    each record is waited for until it is on the disk; where nobody can wait at the same time,
//                        as many as there are waiters are one transaction
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { answerTurns } from '../harness/listener.js';
import { Usage } from '../harness/load.js';
import { stores } from '../peers/stores.js';

/** A store that grew beyond is exchanged between turns. */
const MOST_BYTES = 384 * 2 ** 20;
const GROWN_BYTES = 128 * 2 ** 20;
const GROWS_MS = 600;
/** So many calls, or as many as are some MiB, before one looks at the clock and waits for what is to be waited for. */
const MOST_CALLS = 1000;
const MOST_UNSETTLED = 4 * 2 ** 20;

const config = JSON.parse(process.argv[2]);
const { folder, size, batch } = config;
const calls = Math.max(1, Math.min(MOST_CALLS, Math.floor(MOST_UNSETTLED / (size * batch))));
const records = Array.from({ length: batch }, () => Buffer.alloc(size, 0x11));
let made = 0;
let path;
let store;
let isGrown;

async function open() {
  path = join(folder, `store-${made++}`);
  mkdirSync(path);
  store = await stores[config.store].open(path, config);
  isGrown = false;
}

async function putAway() {
  await store.close();
  rmSync(path, { recursive: true, force: true });
}

/** Returns how many of so many calls were taken. */
function put(count) {
  if (batch === 1) {
    const [record] = records;
    for (let i = 0; i < count; i++) if (!store.append(record)) return i;
  } else {
    for (let i = 0; i < count; i++) if (!store.appendBatch(records)) return i;
  }
  return count;
}

async function putFor(ms, mostBytes = Number.POSITIVE_INFINITY) {
  const until = performance.now() + ms;
  do {
    for (let left = calls; left > 0; ) {
      left -= put(left);
      if (left > 0) await store.room();
    }
    await store.settle();
  } while (performance.now() < until && store.bytes < mostBytes);
}

async function withRoom() {
  if (store.bytes < MOST_BYTES) return;
  await putAway();
  await open();
}

/** A log begins with small segments, each twice as large as the one before; what counts is what follows. */
async function grown() {
  await withRoom();
  if (isGrown) return;
  await putFor(GROWS_MS, GROWN_BYTES);
  await store.flush();
  isGrown = true;
}

async function measured(work) {
  const before = store.records;
  const usage = new Usage();
  const more = await work();
  const own = usage.end();
  const appended = store.records - before;
  return {
    records: appended,
    perSecond: (appended / own.ms) * 1000,
    usage: own,
    rollStalls: store.rollStalls,
    ...more,
  };
}

async function commitFor(ms, waiters) {
  const ns = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const until = performance.now() + ms;
  async function oneByOne(together) {
    let before = performance.now();
    do {
      await store.commit(together);
      const now = performance.now();
      ns.record(Math.max(1, Math.round((now - before) * 1e6)));
      before = now;
    } while (before < until);
  }
  if (config.store === 'log') {
    await Promise.all(Array.from({ length: waiters }, () => oneByOne(records)));
  } else {
    await oneByOne(Array(waiters).fill(records[0]));
  }
  return { us: { p50: ns.percentile(50) / 1000, p99: ns.percentile(99) / 1000 } };
}

await open();
process.on('exit', () => rmSync(path, { recursive: true, force: true }));
answerTurns({
  async append(ms) {
    await grown();
    return measured(() => putFor(ms));
  },
  async flushed(ms) {
    await grown();
    return measured(async () => {
      await putFor(ms);
      await store.flush();
    });
  },
  async commit(ms, waiters) {
    await withRoom();
    return measured(() => commitFor(ms, waiters));
  },
});

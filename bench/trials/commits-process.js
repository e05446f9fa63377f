// Commits to a synced channel: commits-process.js FOLDER CAPACITY RECORD
//   commit MS WAITERS     how many in this time
//   latency MS WAITERS    how long each of them took; ends earlier where the channel is full
import { createHistogram } from 'node:perf_hooks';
import { answerTurns } from '../harness/listener.js';
import { CpuWait } from '../harness/load.js';
import { ChannelSupply } from '../harness/supply.js';

/** What a turn may write at most; a channel with less room is exchanged before the turn. */
const ROOM_FOR_A_MS = 64 * 1024;
/** Where less is left, a turn that outgrew its channel ends early. */
const LEAST_ROOM = 64 * 1024;

const [folder, capacity, recordBytes] = process.argv.slice(2);
const supply = new ChannelSupply(folder, { capacity, sync: 'commit' });
const record = new Uint8Array(Number(recordBytes)).fill(0x11);
const cpuWait = new CpuWait();
let writer = await supply.create();

async function withRoom(ms) {
  if (writer.remaining > ms * ROOM_FOR_A_MS) return;
  await supply.putAway(writer);
  writer = await supply.create();
}

async function turn(ms, waiters, keep) {
  await withRoom(ms);
  const from = { cpu: process.cpuUsage(), waited: cpuWait.ms, start: performance.now() };
  const until = from.start + ms;
  let commits = 0;
  let syncs = 0;
  let durable = writer.durablePosition;
  async function commitOneByOne() {
    let before = performance.now();
    do {
      await writer.send(record);
      commits++;
      if (writer.durablePosition !== durable) {
        durable = writer.durablePosition;
        syncs++;
      }
      const now = performance.now();
      keep?.(now - before);
      before = now;
    } while (before < until && writer.remaining > LEAST_ROOM);
  }
  await Promise.all(Array.from({ length: waiters }, commitOneByOne));
  const { user, system } = process.cpuUsage(from.cpu);
  const { heapUsed, rss } = process.memoryUsage();
  return {
    commits,
    syncs,
    ms: performance.now() - from.start,
    cpuMs: (user + system) / 1000,
    waitedMs: cpuWait.ms - from.waited,
    heapBytes: heapUsed,
    rssKiB: Math.round(rss / 1024),
  };
}

answerTurns({
  commit: (ms, waiters) => turn(ms, waiters),
  async latency(ms, waiters) {
    const ns = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
    const facts = await turn(ms, waiters, (took) => ns.record(Math.max(1, Math.round(took * 1e6))));
    const us = (percent) => ns.percentile(percent) / 1000;
    return {
      ...facts,
      us: { p50: us(50), p90: us(90), p99: us(99), p999: us(99.9), p9999: us(99.99), max: ns.max / 1000 },
    };
  },
});

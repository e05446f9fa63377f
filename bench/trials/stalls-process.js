// The turns of an event loop that writes at a steady pace:
//   stalls-process.js FOLDER EVERY-MS CAPACITY RECORD MB/S
//   run SECONDS    EVERY-MS 0: without syncing
import { createHistogram } from 'node:perf_hooks';
import { answerTurns } from '../harness/listener.js';
import { CpuWait, stolenMs } from '../harness/load.js';
import { waitQuantiles } from '../harness/stalls.js';
import { ChannelSupply } from '../harness/supply.js';

const WARM_UP_MS = 3000;
/** What is due after a stall is caught up in pieces, so that a stall doesn't make the next one. */
const RECORDS_A_TURN = 64;
const FRAME_HEADER = 16;
/** Turns that took longer are kept one by one, and the time that they waited for a cpu is looked up. */
const KEPT_FROM_MS = 0.02;
const LONG_FROM_MS = 1;
const MOST_KEPT = 1 << 21;

const [folder, everyMs, capacity, recordBytes, megabytesASecond] = process.argv.slice(2);
const record = new Uint8Array(Number(recordBytes)).fill(0x11);
const recordsAMs = (Number(megabytesASecond) * 1000) / record.length;
const supply = new ChannelSupply(folder, {
  capacity: Number(capacity),
  ...(everyMs !== '0' && { sync: { everyMs: Number(everyMs) } }),
});

/**
 * All of them made beforehand: creating brings a whole channel to the disk, which is no part of writing to
 * one.
 */
async function channelsFor(ms) {
  const bytes = ms * recordsAMs * (record.length + FRAME_HEADER);
  const writers = [];
  for (let made = 0; made <= bytes; made += Number(capacity)) writers.push(await supply.create());
  return writers;
}

async function run(seconds) {
  const writers = await channelsFor(WARM_UP_MS + seconds * 1000);
  const channels = writers.length;
  const full = [];
  const cpuWait = new CpuWait();
  const all = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const inside = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const kept = new Float64Array(MOST_KEPT);
  const long = [];
  let keptCount = 0;
  let writer = writers.shift();
  let durable = writer.durablePosition;
  let syncs = 0;
  let written = 0;
  let behind = 0;
  let longestWriteMs = 0;
  let longWrites = 0;
  const start = performance.now();
  const measuredFrom = start + WARM_UP_MS;
  const end = measuredFrom + seconds * 1000;
  let before = start;
  let waitedMs = cpuWait.ms;
  let fromStolen = 0;
  let fromCpu;
  let fromWaited = 0;
  let fromWritten = 0;

  function account(now) {
    const took = now - before;
    let waited = 0;
    if (took > KEPT_FROM_MS) {
      const total = cpuWait.ms;
      waited = Math.min(total - waitedMs, took);
      waitedMs = total;
    }
    all.record(Math.max(1, Math.round(took * 1e6)));
    inside.record(Math.max(1, Math.round((took - waited) * 1e6)));
    if (took > KEPT_FROM_MS && keptCount < MOST_KEPT) kept[keptCount++] = took;
    if (took > LONG_FROM_MS) long.push({ atMs: now - measuredFrom, ms: took, waitedMs: waited });
  }

  function begin() {
    fromCpu = process.cpuUsage();
    fromWaited = waitedMs = cpuWait.ms;
    fromStolen = stolenMs();
    fromWritten = written;
    longestWriteMs = 0;
    longWrites = 0;
    behind = 0;
    syncs = 0;
  }

  function write() {
    if (writer.tryWrite(record) >= 0) return;
    full.push(writer);
    writer = writers.shift();
    durable = writer.durablePosition;
    writer.write(record);
  }

  /** What is due now; the clock is read once a record, so that the longest single call is known. */
  function writeDue(now) {
    const due = Math.floor((now - start) * recordsAMs) - written;
    if (due > behind) behind = due;
    for (let left = Math.min(due, RECORDS_A_TURN); left > 0; left--) {
      write();
      written++;
      const done = performance.now();
      if (done - now > longestWriteMs) longestWriteMs = done - now;
      if (done - now > LONG_FROM_MS) longWrites++;
      now = done;
    }
  }

  await new Promise((done) => {
    function turn() {
      const now = performance.now();
      if (fromCpu !== undefined) account(now);
      else if (now >= measuredFrom) begin();
      before = now;
      if (writer.durablePosition !== durable) {
        durable = writer.durablePosition;
        syncs++;
      }
      writeDue(now);
      if (now < end) setImmediate(turn);
      else done();
    }
    setImmediate(turn);
  });

  const { user, system } = process.cpuUsage(fromCpu);
  const { heapUsed, rss } = process.memoryUsage();
  const facts = {
    seconds: (before - measuredFrom) / 1000,
    records: written - fromWritten,
    syncs,
    channels,
    mostBehindMs: behind / recordsAMs,
    turns: percentiles(all),
    turnsWithoutCpuWait: percentiles(inside),
    waits: waitQuantiles(kept.subarray(0, keptCount), before - measuredFrom, KEPT_FROM_MS),
    longestWriteMs,
    longWrites,
    longTurns: long.length,
    longest: long.sort((a, b) => b.ms - a.ms).slice(0, 20),
    cpu: (user + system) / 1000 / (before - measuredFrom),
    waitedForCpuMs: cpuWait.ms - fromWaited,
    stolenMs: stolenMs() - fromStolen,
    heapBytes: heapUsed,
    rssKiB: Math.round(rss / 1024),
  };
  for (const used of [...full, writer, ...writers]) await supply.putAway(used);
  return facts;
}

function percentiles(histogram) {
  const ms = (percent) => histogram.percentile(percent) / 1e6;
  return {
    count: histogram.count,
    p50: ms(50),
    p90: ms(90),
    p99: ms(99),
    p999: ms(99.9),
    p9999: ms(99.99),
    max: histogram.max / 1e6,
  };
}

answerTurns({ run });

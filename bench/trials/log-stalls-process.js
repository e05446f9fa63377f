// The turns of an event loop that appends to a log at a steady pace:
//   log-stalls-process.js FOLDER EVERY-MS RECORD MB/S      EVERY-MS 0: without syncing
//   run SECONDS
import { createHistogram } from 'node:perf_hooks';
import { Log } from '../../dist/log/index.js';
import { answerTurns } from '../harness/listener.js';
import { CpuWait, stolenMs } from '../harness/load.js';
import { waitQuantiles } from '../harness/stalls.js';

const WARM_UP_MS = 3000;
/** What is due after a stall is caught up in pieces, so that a stall doesn't make the next one. */
const RECORDS_A_TURN = 64;
/** Turns that took longer are kept one by one, and the time that they waited for a cpu is looked up. */
const KEPT_FROM_MS = 0.02;
const LONG_FROM_MS = 1;
const MOST_KEPT = 1 << 21;
const MOST_LONGEST = 20;

const [folder, everyMs, recordBytes, megabytesASecond] = process.argv.slice(2);
const record = Buffer.alloc(Number(recordBytes), 0x11);
const recordsAMs = (Number(megabytesASecond) * 1000) / record.length;
const log = await Log.open(folder, {
  sync: everyMs === '0' ? 'none' : { everyMs: Number(everyMs) },
});

async function run(seconds) {
  const cpuWait = new CpuWait();
  const all = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const inside = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  const kept = new Float64Array(MOST_KEPT);
  const long = [];
  let keptCount = 0;
  let appended = 0;
  let behind = 0;
  let longestAppendMs = 0;
  const start = performance.now();
  const measuredFrom = start + WARM_UP_MS;
  const end = measuredFrom + seconds * 1000;
  let before = start;
  let waitedMs = cpuWait.ms;
  let from;

  function account(now) {
    const took = now - before;
    let waited = 0;
    if (took > KEPT_FROM_MS) {
      const total = cpuWait.ms;
      waited = Math.min(total - waitedMs, took);
      waitedMs = total;
      if (keptCount < MOST_KEPT) kept[keptCount++] = took;
    }
    all.record(Math.max(1, Math.round(took * 1e6)));
    inside.record(Math.max(1, Math.round((took - waited) * 1e6)));
    if (took > LONG_FROM_MS) long.push({ atMs: now - measuredFrom, ms: took, waitedMs: waited });
  }

  function begin() {
    waitedMs = cpuWait.ms;
    const { segments, rollStalls } = log.stats();
    from = { cpu: process.cpuUsage(), waitedMs, stolenMs: stolenMs(), appended, segments, rollStalls };
    longestAppendMs = 0;
    behind = 0;
  }

  /** What is due now; the clock is read once a record, so that the longest single call is known. */
  function appendDue(now) {
    const due = Math.floor((now - start) * recordsAMs) - appended;
    if (due > behind) behind = due;
    for (let left = Math.min(due, RECORDS_A_TURN); left > 0; left--) {
      log.append(record);
      appended++;
      const done = performance.now();
      if (done - now > longestAppendMs) longestAppendMs = done - now;
      now = done;
    }
  }

  await new Promise((done) => {
    function turn() {
      const now = performance.now();
      if (from !== undefined) account(now);
      else if (now >= measuredFrom) begin();
      before = now;
      appendDue(now);
      if (now < end) setImmediate(turn);
      else done();
    }
    setImmediate(turn);
  });

  const { user, system } = process.cpuUsage(from.cpu);
  const { heapUsed, rss } = process.memoryUsage();
  const { rollStalls, segments } = log.stats();
  return {
    seconds: (before - measuredFrom) / 1000,
    records: appended - from.appended,
    rolls: segments - from.segments,
    rollStalls: rollStalls - from.rollStalls,
    mostBehindMs: behind / recordsAMs,
    turns: percentiles(all),
    turnsWithoutCpuWait: percentiles(inside),
    waits: waitQuantiles(kept.subarray(0, keptCount), before - measuredFrom, KEPT_FROM_MS),
    longestAppendMs,
    longTurns: long.length,
    longest: long.sort((a, b) => b.ms - a.ms).slice(0, MOST_LONGEST),
    cpu: (user + system) / 1000 / (before - measuredFrom),
    waitedForCpuMs: cpuWait.ms - from.waitedMs,
    stolenMs: stolenMs() - from.stolenMs,
    heapBytes: heapUsed,
    rssKiB: Math.round(rss / 1024),
  };
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

answerTurns({
  async run(seconds) {
    const facts = await run(seconds);
    await log.close();
    return facts;
  },
});

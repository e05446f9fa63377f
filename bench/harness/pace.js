import { createHistogram } from 'node:perf_hooks';
import { CpuWait, stolenMs } from './load.js';
import { percentiles, waitQuantiles } from './stalls.js';

/** Not measured: what is done first makes code and files. */
export const WARM_UP_MS = 3000;
/** What is due after a stall is caught up in pieces, so that a stall doesn't make the next one. */
const MOST_A_TURN = 64;
/** Turns that took longer are kept one by one, and the time that they waited for a cpu is looked up. */
const KEPT_FROM_MS = 0.02;
const LONG_FROM_MS = 1;
const MOST_KEPT = 1 << 21;
const MOST_LONGEST = 20;

/**
 * Acts `aMs` times a millisecond for so many seconds, what is due in each turn of the event loop, and tells what the turns
 * took. `begun` is called when measuring begins, `turned` before what is due in each turn.
 */
export async function keepPace({ seconds, aMs, act, begun = () => {}, turned = () => {} }) {
  const watch = new TurnWatch();
  const start = performance.now();
  const measuredFrom = start + WARM_UP_MS;
  const end = measuredFrom + seconds * 1000;
  let measuring = false;
  let acted = 0;
  let actedBefore = 0;
  let behind = 0;
  let longestActMs = 0;
  let longActs = 0;

  function begin(now) {
    measuring = true;
    watch.begin(now);
    actedBefore = acted;
    longestActMs = longActs = behind = 0;
    begun();
  }

  /** What is due now; the clock is read for each, so that the longest single one is known. */
  function actDue(now) {
    const due = Math.floor((now - start) * aMs) - acted;
    if (due > behind) behind = due;
    for (let left = Math.min(due, MOST_A_TURN); left > 0; left--) {
      act();
      acted++;
      const done = performance.now();
      if (done - now > longestActMs) longestActMs = done - now;
      if (done - now > LONG_FROM_MS) longActs++;
      now = done;
    }
  }

  await new Promise((done) => {
    function turn() {
      const now = performance.now();
      if (measuring) watch.turn(now);
      else if (now >= measuredFrom) begin(now);
      turned();
      actDue(now);
      if (now < end) setImmediate(turn);
      else done();
    }
    setImmediate(turn);
  });
  return {
    ...watch.end(),
    records: acted - actedBefore,
    mostBehindMs: behind / aMs,
    longestActMs,
    longActs,
  };
}

/** What the turns of this thread's event loop take, and what the process takes meanwhile. */
class TurnWatch {
  #cpuWait = new CpuWait();
  #all = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #inside = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #kept = new Float64Array(MOST_KEPT);
  #keptCount = 0;
  #long = [];
  #from = 0;
  #before = 0;
  #waitedMs = 0;
  #fromWaitedMs = 0;
  #fromStolenMs = 0;
  #fromCpu;

  begin(now) {
    this.#from = this.#before = now;
    this.#waitedMs = this.#fromWaitedMs = this.#cpuWait.ms;
    this.#fromStolenMs = stolenMs();
    this.#fromCpu = process.cpuUsage();
  }

  turn(now) {
    const took = now - this.#before;
    this.#before = now;
    let waited = 0;
    if (took > KEPT_FROM_MS) {
      const total = this.#cpuWait.ms;
      waited = Math.min(total - this.#waitedMs, took);
      this.#waitedMs = total;
      if (this.#keptCount < MOST_KEPT) this.#kept[this.#keptCount++] = took;
    }
    this.#all.record(Math.max(1, Math.round(took * 1e6)));
    this.#inside.record(Math.max(1, Math.round((took - waited) * 1e6)));
    if (took > LONG_FROM_MS) this.#long.push({ atMs: now - this.#from, ms: took, waitedMs: waited });
  }

  end() {
    const { user, system } = process.cpuUsage(this.#fromCpu);
    const { heapUsed, rss } = process.memoryUsage();
    const ms = this.#before - this.#from;
    return {
      seconds: ms / 1000,
      turns: percentiles(this.#all),
      turnsWithoutCpuWait: percentiles(this.#inside),
      waits: waitQuantiles(this.#kept.subarray(0, this.#keptCount), ms, KEPT_FROM_MS),
      longTurns: this.#long.length,
      longest: this.#long.sort((a, b) => b.ms - a.ms).slice(0, MOST_LONGEST),
      cpu: (user + system) / 1000 / ms,
      waitedForCpuMs: this.#cpuWait.ms - this.#fromWaitedMs,
      stolenMs: stolenMs() - this.#fromStolenMs,
      heapBytes: heapUsed,
      rssKiB: Math.round(rss / 1024),
    };
  }
}

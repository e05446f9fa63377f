import { createHistogram } from 'node:perf_hooks';
import { CpuWait, stolenMs } from './load.js';

/** Turns that took longer are kept one by one, and the time that they waited for a cpu is looked up. */
const KEPT_FROM_MS = 0.02;
/** What the host took is looked up so often, and behind each long turn: looking takes time itself, and it is told in steps of 10 ms. */
const HOST_EACH_MS = 50;
export const LONG_FROM_MS = 1;
const MOST_KEPT = 1 << 21;
const MOST_LONGEST = 20;

/** What the turns of this thread's event loop take, and what the process takes meanwhile. */
export class TurnWatch {
  #cpuWait = new CpuWait();
  #all = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #inside = createHistogram({ lowest: 1, highest: 60e9, figures: 3 });
  #kept = new Float64Array(MOST_KEPT);
  #keptInside = new Float64Array(MOST_KEPT);
  #keptCount = 0;
  #long = [];
  #from = 0;
  #before = 0;
  #waitedMs = 0;
  #fromWaitedMs = 0;
  #fromStolenMs = 0;
  #stolenMs = 0;
  #hostLookedAt = 0;
  #fromCpu;

  begin(now) {
    this.#from = this.#before = now;
    this.#waitedMs = this.#fromWaitedMs = this.#cpuWait.ms;
    this.#fromStolenMs = this.#stolenMs = stolenMs();
    this.#hostLookedAt = now;
    this.#fromCpu = process.cpuUsage();
  }

  /** Another turn ends now. Those that don't count are left out of the histograms. */
  turn(now, counts = true) {
    const took = now - this.#before;
    this.#before = now;
    let waited = 0;
    if (took > KEPT_FROM_MS) {
      const total = this.#cpuWait.ms;
      waited = total - this.#waitedMs;
      this.#waitedMs = total;
    }
    if (took > LONG_FROM_MS || now - this.#hostLookedAt > HOST_EACH_MS) {
      const stolen = this.#stolenSince(now);
      if (took > LONG_FROM_MS) waited += stolen;
    }
    waited = Math.min(waited, took);
    if (took > KEPT_FROM_MS) this.#keep(took, waited);
    if (counts) {
      this.#all.record(Math.max(1, Math.round(took * 1e6)));
      this.#inside.record(Math.max(1, Math.round((took - waited) * 1e6)));
    }
    if (took > LONG_FROM_MS) this.#long.push({ atMs: now - this.#from, ms: took, waitedMs: waited });
  }

  /** What the host took of all cpus since it was asked last: no less than what it took of ours in the turn that just ended. */
  #stolenSince(now) {
    const before = this.#stolenMs;
    this.#stolenMs = stolenMs();
    this.#hostLookedAt = now;
    return this.#stolenMs - before;
  }

  #keep(took, waited) {
    if (this.#keptCount === MOST_KEPT) return;
    this.#kept[this.#keptCount] = took;
    this.#keptInside[this.#keptCount++] = took - waited;
  }

  end() {
    const { user, system } = process.cpuUsage(this.#fromCpu);
    const { heapUsed, rss } = process.memoryUsage();
    const ms = this.#before - this.#from;
    const waits = (kept) => waitQuantiles(kept.subarray(0, this.#keptCount), ms, KEPT_FROM_MS);
    return {
      seconds: ms / 1000,
      turns: percentiles(this.#all),
      turnsWithoutCpuWait: percentiles(this.#inside),
      waits: waits(this.#kept),
      waitsWithoutCpuWait: waits(this.#keptInside),
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

/**
 * How long an event waits that arrives at a random moment: until the end of the turn that it falls into. A
 * share of `1 - q` of all moments waits longer than what is returned for q. Quantiles of the turns themselves
 * are kinder: a long turn counts there like a short one, though more falls into it. Turns up to `leastMs`
 * needn't be among them; a wait as short is returned as that.
 */
function waitQuantiles(turnsMs, allMs, leastMs) {
  const longest = Float64Array.from(turnsMs).sort().reverse();
  return {
    p99: waitAt(0.99, longest, allMs, leastMs),
    p999: waitAt(0.999, longest, allMs, leastMs),
    p9999: waitAt(0.9999, longest, allMs, leastMs),
  };
}

function waitAt(q, longest, allMs, leastMs) {
  const beyond = (1 - q) * allMs;
  let sum = 0;
  for (let count = 1; count <= longest.length; count++) {
    sum += longest[count - 1];
    // The time that lies more than `wait` before the end of the `count` longest turns is sum - count * wait.
    const wait = (sum - beyond) / count;
    if (wait >= (longest[count] ?? 0)) return Math.max(wait, leastMs);
  }
  return leastMs;
}

/** Of a histogram of nanoseconds, in milliseconds. */
export function percentiles(histogram) {
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

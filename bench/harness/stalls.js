/**
 * How long an event waits that arrives at a random moment: until the end of the turn that it falls into. A
 * share of `1 - q` of all moments waits longer than what is returned for q. Quantiles of the turns themselves
 * are kinder: a long turn counts there like a short one, though more falls into it. Turns up to `leastMs`
 * needn't be among them; a wait as short is returned as that.
 */
export function waitQuantiles(turnsMs, allMs, leastMs) {
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

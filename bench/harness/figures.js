export function show({ median, p10, p90 }, digits = 2) {
  return `${median.toFixed(digits)} (${p10.toFixed(digits)}..${p90.toFixed(digits)})`;
}

export function percent(share, digits = 0) {
  return `${(share * 100).toFixed(digits)} %`;
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** Where those who were measured stood ready without a cpu for more than this share of the time, figures are others'. */
const DISTURBED = 0.1;

/** Whether a bar is met; or that this can't be said, as others used the cpus. `waited` are shares of the time. */
export function verdict(bar, met, waited) {
  const most = Math.max(...waited);
  if (most > DISTURBED) return `  [bar ${bar}: can't be said, waited for a cpu ${percent(most)}]`;
  return `  [bar ${bar}: ${met ? 'met' : 'MISSED'}]`;
}

/** What of the turns' time one end used, or waited for a cpu. */
export function shareOf(turns, end, fact = 'cpuMs') {
  return sum(turns.map((turn) => turn[end][fact])) / sum(turns.map((turn) => turn[end].ms));
}

/** A figure without a spread. */
export function figure(unit, median) {
  return { unit, median };
}

export function share(median) {
  return figure('share', median);
}

const QUANTILES = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999, p9999: 0.9999, max: 1 };

/**
 * The quantile curve of `{ trips, us: { p50, … } }`, or of whatever else was counted; without those quantiles
 * beyond which there was not even one.
 */
export function curve({ trips, us }, count = trips) {
  return Object.entries(QUANTILES)
    .filter(([name, q]) => us[name] !== undefined && (q === 1 || (1 - q) * count >= 1))
    .map(([name, q]) => [q, us[name]]);
}

export function percent(share, digits = 0) {
  return `${(share * 100).toFixed(digits)} %`;
}

export function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/** A figure without a spread. */
export function figure(unit, median) {
  return { unit, median };
}

export function share(median) {
  return figure('share', median);
}

/** Where those who were measured stood ready without a cpu for more than this share of the time, figures are others'. */
const DISTURBED = 0.1;

/**
 * Whether a bar is met; or that this can't be said, as others used the cpus. `waited` are shares of the time; `of` names the
 * figure that is judged, where that is not the row's ratio; `limit` is where the bar lies, if that figure has a spread.
 *
 * @param {string} text
 * @param {boolean} met
 * @param {{ waited?: number[], of?: string, limit?: number }} [more]
 */
export function barOf(text, met, { waited = [], of, limit } = {}) {
  const most = Math.max(0, ...waited);
  if (most > DISTURBED) return { text, of, met: undefined, why: `waited for a cpu ${percent(most)}` };
  return { text, of, met, limit };
}

/**
 * The same of a ratio of two rates that must be `least`. Who waited for a cpu could have been quicker, but by no more than
 * that: where it would change nothing, it can be said.
 */
export function barOfRates(text, ratio, least, waited) {
  const limit = least;
  if (ratio * (1 - waited.other) >= least) return barOf(text, true, { limit });
  if (ratio < least * (1 - waited.ours)) return barOf(text, false, { limit });
  return barOf(text, ratio >= least, { waited: [waited.ours, waited.other], limit });
}

/** What of the turns' time one end used, or waited for a cpu. */
export function shareOf(turns, end, fact = 'cpuMs') {
  return sum(turns.map((turn) => turn[end][fact])) / sum(turns.map((turn) => turn[end].ms));
}

/** How much of their time the front and the back of all these turns stood ready without a cpu. */
export function waitedShares(...turns) {
  return turns.flatMap((own) => ['front', 'back'].map((end) => shareOf(own, end, 'waitedMs')));
}

/** What both ends used of a cpu, and how long whoever waited more had none. */
export function cpuFigures(turns) {
  return {
    'cpu of the front': share(shareOf(turns, 'front')),
    'cpu of the back': share(shareOf(turns, 'back')),
    'without a cpu': share(Math.max(...waitedShares(turns))),
  };
}

/**
 * The same of how long two take there and back, in these turns of theirs; ours at `most` so many times as long as the other.
 * Only of means: of a median nobody knows whether it was one of the trips that waited.
 */
export function barOfTrips(text, ratio, most, { ours, other, areMeans }) {
  const [own, others] = [ours, other].map((turns) => sum(waitedShares(turns)));
  if (!areMeans) return barOf(text, ratio <= most, { waited: waitedShares(ours, other), limit: most });
  const bar = barOfRates(text, 1 / ratio, 1 / most, { ours: own, other: others });
  return bar.met === undefined ? bar : { ...bar, limit: most };
}

const QUANTILES = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999, p9999: 0.9999, max: 1 };

/**
 * The curve of `{ p50, p90, … }`, what is there of it; without those quantiles beyond which there was not even
 * one of `count`.
 */
export function curve(percentiles, count) {
  return Object.entries(QUANTILES)
    .filter(([name, q]) => percentiles[name] !== undefined && (q === 1 || (1 - q) * count >= 1))
    .map(([name, q]) => [q, percentiles[name]]);
}

/** The last line of an error that names one: what is behind those that only pass it on. */
export function reason({ message }) {
  return message.match(/^\w*Error.*$/gm)?.at(-1) ?? message.split('\n').at(-1);
}

export function quantile(values, q) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  return sorted[low] + (at - low) * ((sorted[low + 1] ?? sorted[low]) - sorted[low]);
}

export function spread(values) {
  return { median: quantile(values, 0.5), p10: quantile(values, 0.1), p90: quantile(values, 0.9) };
}

/** A step this wide between two neighbouring probes separates two placements. */
const PLACEMENT_GAP = 2;
/** Where a run saw one placement only, this many nanoseconds one way decide what to call it. */
const NEAR_NS = 70;

/**
 * Which placements a run saw: splits the probes at the widest gap between sorted neighbours, if the upper one
 * is at least twice the lower one. Says how it was found, and names the placement of a probe.
 */
export function placements(probes) {
  const sorted = [...probes].sort((a, b) => a - b);
  let widest = 1;
  let threshold = NEAR_NS;
  for (let i = 1; i < sorted.length; i++) {
    const gap = sorted[i] / sorted[i - 1];
    if (gap > widest) {
      widest = gap;
      if (gap >= PLACEMENT_GAP) threshold = Math.sqrt(sorted[i] * sorted[i - 1]);
    }
  }
  const split = widest >= PLACEMENT_GAP;
  const range = `${sorted[0].toFixed(0)}-${sorted.at(-1).toFixed(0)} ns one way`;
  const how = split
    ? `two placements, split at a gap of ${widest.toFixed(2)}x (${threshold.toFixed(0)} ns; probes ${range})`
    : `one placement only, named by ${NEAR_NS} ns one way (probes ${range})`;
  return { how, of: (oneWayNs) => (oneWayNs < threshold ? 'near' : 'far') };
}

import { placements, spread } from './statistics.js';

/** Marks the figures of pairs in which strangers used the other half of a core. */
const SHARED = ', shared cores';

/** Condenses the pairs of one comparison: by placement, with what was dropped and why. */
export function summarize(pairs) {
  const kept = pairs.filter((pair) => pair.dropped === undefined);
  const seen =
    kept.length > 0 ? placements(kept.flatMap((pair) => pair.probes)) : { how: 'nothing to report' };
  const groups = {};
  const labelOf = (pair) => seen.of(mean(pair.probes)) + (pair.alone ? '' : SHARED);
  for (const label of ['near', 'far', `near${SHARED}`, `far${SHARED}`]) {
    const group = kept.filter((pair) => labelOf(pair) === label);
    if (group.length === 0) continue;
    groups[label] = {
      pairs: group.length,
      probeNs: spread(group.map((pair) => mean(pair.probes))),
      ratio: spread(group.map((pair) => pair.ratio)),
      base: condense(group.map((pair) => pair.base)),
      contender: condense(group.map((pair) => pair.contender)),
    };
  }
  const dropped = {};
  for (const pair of pairs) {
    if (pair.dropped) dropped[pair.dropped] = (dropped[pair.dropped] ?? 0) + 1;
  }
  return { measured: pairs.length, dropped, placement: seen.how, groups };
}

function condense(turns) {
  return {
    perSecond: spread(turns.map((turn) => turn.perSecond)),
    samples: turns.reduce((sum, turn) => sum + turn.records, 0),
    cpu: { front: share(turns, 'front'), back: share(turns, 'back') },
    heapMiB: mebibytes(turns, 'heapBytes', 2 ** 20),
    rssMiB: mebibytes(turns, 'rssKiB', 2 ** 10),
  };
}

function share(turns, end) {
  return mean(turns.map((turn) => turn[end].cpuUs / turn[end].wallUs));
}

function mebibytes(turns, fact, unit) {
  const last = turns.at(-1);
  return ['front', 'back'].map((end) => (last[end][fact] === undefined ? null : last[end][fact] / unit));
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The lines of one comparison. */
export function lines(comparison, kind) {
  const { base, contender, summary } = comparison;
  const droppedText = Object.entries(summary.dropped).map(([why, count]) => `${count} dropped: ${why}`);
  const text = [`${contender} / ${base}: ${summary.measured} pairs`, ...droppedText].join(', ');
  const out = [`  ${text}; ${summary.placement}`];
  for (const [label, group] of Object.entries(summary.groups)) {
    const ratio = kind === 'round-trip' ? inverse(group.ratio) : group.ratio;
    const unit = kind === 'round-trip' ? 'time' : 'rate';
    out.push(
      `    ${label}: ${unit} ratio ${show(ratio)}  over ${group.pairs} pairs`,
      `         ${side(base, group.base, kind)}`,
      `         ${side(contender, group.contender, kind)}`,
    );
  }
  return out;
}

function inverse({ median, p10, p90 }) {
  return { median: 1 / median, p10: 1 / p90, p90: 1 / p10 };
}

function show({ median, p10, p90 }, digits = 2) {
  return `${median.toFixed(digits)} (${p10.toFixed(digits)}..${p90.toFixed(digits)})`;
}

function side(name, facts, kind) {
  const { median, p10, p90 } = facts.perSecond;
  const figure =
    kind === 'round-trip'
      ? `${show({ median: 1e9 / median, p10: 1e9 / p90, p90: 1e9 / p10 }, 0)} ns a trip`
      : `${show({ median: median / 1e6, p10: p10 / 1e6, p90: p90 / 1e6 })} M/s`;
  const cpu = `cpu ${percent(facts.cpu.front)}+${percent(facts.cpu.back)}`;
  const heap = facts.heapMiB[0] === null ? '' : ` heap ${pair(facts.heapMiB)} MiB`;
  return `${name.padEnd(28)} ${figure.padEnd(30)} ${cpu}${heap} rss ${pair(facts.rssMiB)} MiB, ${facts.samples} records`;
}

function percent(share) {
  return `${Math.round(share * 100)}%`;
}

function pair(values) {
  return values.map((value) => value.toFixed(0)).join('+');
}

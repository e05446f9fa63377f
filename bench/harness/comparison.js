import { reason } from './figures.js';
import { Side } from './side.js';
import { placements, spread } from './statistics.js';
import { alternate } from './turns.js';

/** Marks the figures of pairs in which strangers used the other half of a core. */
export const SHARED = ', shared cores';

/**
 * Lets two sides take turns, pair by pair; says by placement what they did and what was dropped, or that one of them
 * that `mayBeAbsent` is.
 */
export async function compare({ base, contender }, cpus, probe, options) {
  const started = [];
  try {
    for (const description of [base, contender]) {
      try {
        started.push(await Side.start(description, cpus));
      } catch (error) {
        if (!description.mayBeAbsent) throw error;
        return { absent: reason(error) };
      }
    }
    const measured = await alternate(probe, ...started, options);
    return { summary: summarize(measured), pairs: measured.map(compact) };
  } finally {
    await Promise.all(started.map((side) => side.end()));
  }
}

function compact({ probes, alone, dropped, ratio, base, contender }) {
  return { probes, alone, dropped, ratio, base: base.perSecond, contender: contender.perSecond };
}

/** Condenses the pairs of one comparison: by placement, with what was dropped and why. */
function summarize(pairs) {
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

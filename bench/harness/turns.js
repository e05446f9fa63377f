import { setTimeout } from 'node:timers/promises';

const WARM_UP_TURNS = 10;
const PROBES_AGREE_WITHIN = 0.15;
/** A process that got less of its cpu than this shared it with a stranger. */
const UNDISTURBED_CPU = 0.95;
const DISTURBED = 'cpu shared with others';
/** How long to leave a machine alone that others use. */
const QUIET_MS = 400;
const MOST_ATTEMPTS = 6;

/**
 * Lets two sides take turns: probe, one, probe, the other, probe; who begins alternates. Goes on until `pairs` of them
 * count that had both cores to themselves, or six times as many were measured. Those that don't count say why in `dropped`.
 */
export async function alternate(probe, base, contender, { pairs, ms, progress }) {
  for (let i = 0; i < WARM_UP_TURNS; i++) {
    await base.turn(ms);
    await contender.turn(ms);
  }
  const measured = [];
  let before = await probe.look();
  let good = 0;
  for (let i = 0; good < pairs && i < pairs * MOST_ATTEMPTS; i++) {
    const first = i % 2 === 0 ? base : contender;
    const second = first === base ? contender : base;
    const turns = new Map();
    turns.set(first, await first.turn(ms));
    const between = await probe.look();
    turns.set(second, await second.turn(ms));
    const after = await probe.look();
    const probes = [before, between, after];
    const dropped = reasonToDrop(probes, [...turns.values()]);
    const alone = probes.every((look) => look.alone);
    if (dropped === undefined && alone) good++;
    measured.push({
      probes: probes.map(({ oneWayNs }) => oneWayNs),
      alone,
      dropped,
      ratio: turns.get(contender).perSecond / turns.get(base).perSecond,
      base: turns.get(base),
      contender: turns.get(contender),
    });
    if (dropped === DISTURBED) await setTimeout(QUIET_MS);
    before = dropped === DISTURBED ? await probe.look() : after;
    progress?.(good, pairs);
  }
  return measured;
}

function reasonToDrop(probes, turns) {
  const disturbed = turns.some((turn) =>
    [turn.front, turn.back].some(({ cpuUs, wallUs }) => cpuUs < wallUs * UNDISTURBED_CPU),
  );
  if (disturbed) return DISTURBED;
  const ways = probes.map(({ oneWayNs }) => oneWayNs);
  const drift = Math.max(...ways) / Math.min(...ways) - 1;
  return drift > PROBES_AGREE_WITHIN ? 'probes differ by more than 15 %' : undefined;
}

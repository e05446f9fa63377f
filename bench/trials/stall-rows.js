import { curve } from '../harness/figures.js';

const LONGEST_SHOWN = 5;

export function turnDistributions(summary) {
  const series = (which) =>
    summary.map((one) => ({ name: one.name, quantiles: curve(one[which], one[which].count) }));
  return [
    { title: 'Turns of the event loop', unit: 'ms', series: series('turns') },
    { title: 'Turns, less the time without a cpu', unit: 'ms', series: series('turnsWithoutCpuWait') },
  ];
}

export function longTurns({ longTurns: count, longest }) {
  const shown = longest.slice(0, LONGEST_SHOWN).map(apart).join(', ') || 'none';
  return `${count} turns longer than 1 ms: ${shown}`;
}

function apart({ ms: took, waitedMs }) {
  return `${took.toFixed(1)} ms (${waitedMs.toFixed(1)} for a cpu)`;
}

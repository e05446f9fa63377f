import { groupsOf } from '../harness/table.js';
import { barPanel, WIDTH } from './bars.js';
import { curvePanel } from './curves.js';
import { stack } from './svg.js';

/** Of each group of rows, the figures worth a picture: those that have a spread, or the first one. */
export function chartsOf(rows) {
  return groupsOf(rows).flatMap(([group, own]) => {
    const names = [...new Set(own.flatMap(({ figures = {} }) => Object.keys(figures)))];
    const entriesOf = (name) =>
      own
        .filter(({ figures }) => figures?.[name] !== undefined)
        .map((row) => ({ name: row.name, ...row.figures[name] }));
    const charts = names
      .map((name) => ({ group, name, entries: entriesOf(name) }))
      .filter(({ entries }) => entries.length > 1 && entries.every(({ median }) => Number.isFinite(median)));
    const spread = charts.filter(({ entries }) => entries.some(({ p10 }) => p10 !== undefined));
    return spread.length > 0 ? spread : charts.slice(0, 1);
  });
}

export function chartPicture({ name, entries }) {
  return stack([barPanel({ title: name, unit: entries[0].unit, entries })], WIDTH);
}

/** The first chart of each group, one below the other. */
export function overview(rows) {
  const charts = firstCharts(rows);
  if (charts.length === 0) return undefined;
  const panels = charts.map(({ group, name, entries }) =>
    barPanel({ title: group === undefined ? name : `${group}: ${name}`, unit: entries[0].unit, entries }),
  );
  return stack(panels, WIDTH, 26);
}

/** Quantile curves, one below the other; without series nobody measured. */
export function curvesPicture(distributions) {
  const panels = distributions
    .map((one) => ({
      ...one,
      series: one.series.filter(({ quantiles }) => quantiles.some(([, value]) => value > 0)),
    }))
    .filter(({ series }) => series.length > 0)
    .map(curvePanel);
  return panels.length === 0 ? undefined : stack(panels, WIDTH, 26);
}

export function describeChart({ group, name, entries }) {
  const names = entries.map((entry) => entry.name).join(', ');
  return `Bars with whiskers from p10 to p90${group === undefined ? '' : `; ${group}`}: ${name} of ${names}. The figures are in the table.`;
}

export function describeCurves(distributions) {
  return `Quantiles from p50 to the greatest value, on a log scale: ${distributions.map(({ title }) => title).join('; ')}.`;
}

export function describeOverview(rows) {
  return firstCharts(rows).map(describeChart).join(' ');
}

function firstCharts(rows) {
  return chartsOf(rows).filter(({ group }, i, all) => all.findIndex((one) => one.group === group) === i);
}

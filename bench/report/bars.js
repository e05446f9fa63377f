import { scaleFor, spreadText, tick } from '../harness/units.js';
import { FONT, line, SMALL, tag, text, widthOf } from './svg.js';

export const WIDTH = 860;
const ROW = 26;
const BAR = 14;
const HEAD = 26;
const AXIS = 24;
const MOST_LABEL = 320;
const CAP = 4;
/** Beyond this factor between the longest and the shortest, bars would hide what is short: then points, on a log scale. */
const LONGEST_IN_LINE = 100;

/** The panel of one figure: a bar for each entry { name, median, p10, p90 }, with whiskers from p10 to p90. */
export function barPanel({ title, unit, entries }) {
  const scale = scaleFor(
    unit,
    entries.map(({ median }) => median),
  );
  const shown = entries.map((entry) => ({ ...entry, ...scaled(entry, scale.multiply) }));
  const labels = Math.min(MOST_LABEL, Math.max(...shown.map(({ name }) => widthOf(name)))) + 10;
  const values = Math.max(...shown.map((entry) => widthOf(spreadText(entry), SMALL))) + 12;
  const axis = axisFor(shown, labels, WIDTH - values);
  const bottom = HEAD + shown.length * ROW;
  const unitText = [scale.unit, axis.logarithmic ? 'log scale' : ''].filter((part) => part !== '').join(', ');
  return {
    height: bottom + AXIS,
    content: [
      text(0, FONT + 1, unitText ? `${title} (${unitText})` : title, 'head'),
      ...axis.ticks.flatMap((value) => [
        line(axis.at(value), HEAD, axis.at(value), bottom, 'grid'),
        text(axis.at(value), bottom + 15, tick(value), 'small', 'middle'),
      ]),
      ...shown.map((entry, i) => row(entry, HEAD + (i + 0.5) * ROW, labels, axis)),
    ].join('\n'),
  };
}

function scaled({ median, p10, p90 }, multiply) {
  const spread = p10 === undefined || p90 === undefined ? {} : { p10: p10 * multiply, p90: p90 * multiply };
  return { median: median * multiply, p10: undefined, p90: undefined, ...spread };
}

function row(entry, y, labels, axis) {
  const { name, median, p10, p90 } = entry;
  const x = axis.at(median);
  const kind = kindOf(name);
  const end = Math.max(x, p90 === undefined ? x : axis.at(p90));
  return [
    ...label(name, y, labels),
    axis.logarithmic
      ? tag('circle', { cx: x, cy: y, r: 5, class: kind })
      : tag('rect', {
          x: axis.at(0),
          y: y - BAR / 2,
          width: Math.max(1, x - axis.at(0)),
          height: BAR,
          class: kind,
        }),
    ...(p10 === undefined ? [] : [whisker(axis.at(p10), end, y)]),
    text(end + 8, y + 4, spreadText(entry), 'small'),
  ].join('');
}

function label(name, y, labels) {
  const x = labels - 10;
  if (widthOf(name) <= MOST_LABEL) return [text(x, y + 4.5, name, undefined, 'end')];
  const middle = nearestSpace(name);
  return [
    text(x, y - 1, name.slice(0, middle), 'small', 'end'),
    text(x, y + 10, name.slice(middle + 1), 'small', 'end'),
  ];
}

function nearestSpace(name) {
  const spaces = [...name.matchAll(/ /g)].map(({ index }) => index);
  return spaces.reduce((best, at) =>
    Math.abs(at - name.length / 2) < Math.abs(best - name.length / 2) ? at : best,
  );
}

function whisker(from, to, y) {
  const path = `M${from.toFixed(1)} ${y}H${to.toFixed(1)}M${from.toFixed(1)} ${y - CAP}v${2 * CAP}M${to.toFixed(1)} ${y - CAP}v${2 * CAP}`;
  return tag('path', { d: path, class: 'whisker' });
}

/** Whose it is, which its colour tells. */
export function kindOf(name) {
  if (/millrace/i.test(name)) return 'ours';
  return /^C\b/.test(name) ? 'floor' : 'peer';
}

function axisFor(entries, from, to) {
  const lows = entries.map(({ median, p10 }) => p10 ?? median);
  const highs = entries.map(({ median, p90 }) => p90 ?? median);
  const [least, greatest] = [Math.min(...lows.filter((value) => value > 0)), Math.max(...highs)];
  const medians = entries.map(({ median }) => median);
  const logarithmic =
    Math.min(...medians) > 0 && Math.max(...medians) / Math.min(...medians) > LONGEST_IN_LINE;
  if (!logarithmic) {
    const top = greatest > 0 ? greatest : 1;
    return { logarithmic, at: (value) => from + (value / top) * (to - from), ticks: linearTicks(top) };
  }
  const [low, high] = [Math.floor(Math.log10(least)), Math.log10(greatest)];
  return {
    logarithmic,
    at: (value) => from + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * (to - from),
    ticks: Array.from({ length: Math.floor(high) - low + 1 }, (_, i) => 10 ** (low + i)),
  };
}

const STEPS = [1, 2, 2.5, 5, 10];

function linearTicks(top) {
  const rough = top / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * STEPS.find((factor) => factor * power >= rough);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, i) => i * step);
}

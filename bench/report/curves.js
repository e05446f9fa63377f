import { scaleFor, tick } from '../harness/units.js';
import { WIDTH } from './bars.js';
import { SERIES_COLOURS } from './style.js';
import { FONT, line, round, tag, text, widthOf } from './svg.js';

const HEAD = 30;
const PLOT = 300;
const AXIS = 26;
const LEFT = 64;
const LABEL_LINE = 16;
const LABELS_APART = 52;
/** The piece of a curve beside its name. */
const KEY = 20;

const QUANTILES = [
  [0.5, 'p50'],
  [0.9, 'p90'],
  [0.99, 'p99'],
  [0.999, 'p99.9'],
  [0.9999, 'p99.99'],
  [0.99999, 'p99.999'],
];

/** Each nine more is as far from the one before. */
const nines = (q) => -Math.log10(1 - q);
/** How far from the last quantile the greatest value stands, which has no place among them. */
const TO_MAX = 0.7;

/** The panel of some quantile curves, on a log scale; each is named beside the greatest value of it. */
export function curvePanel({ title, unit, series }) {
  const values = series.flatMap(({ quantiles }) => quantiles.map(([, value]) => value)).filter((v) => v > 0);
  const scale = scaleFor(unit, values);
  const labels = Math.max(...series.map(({ name }) => widthOf(name)));
  const right = WIDTH - labels - LABELS_APART - 8;
  const height = Math.max(PLOT, series.length * LABEL_LINE);
  const bottom = HEAD + height;
  const y = verticalAxis(
    values.map((value) => value * scale.multiply),
    bottom,
    height,
  );
  const x = horizontalAxis(series, right);
  const curves = series.map((one, i) => ({ ...one, points: pointsOf(one, scale.multiply, x, y), i }));
  return {
    height: bottom + AXIS,
    content: [
      text(0, FONT + 1, `${title} (${scale.unit}, log scale)`, 'head'),
      ...y.ticks.flatMap((value) => [
        line(LEFT, y.at(value), right, y.at(value), 'grid'),
        text(LEFT - 8, y.at(value) + 4, tick(value), 'small', 'end'),
      ]),
      ...x.ticks.flatMap(([at, name]) => [
        line(at, HEAD, at, bottom, 'grid'),
        text(at, bottom + 16, name, 'small', 'middle'),
      ]),
      ...curves.map(curve),
      ...endLabels(curves, right, bottom),
    ].join('\n'),
  };
}

function verticalAxis(values, bottom, height) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.log10);
  const padded = Math.max(0.15, (high - low) * 0.03);
  const [from, to] = [low - padded, high + padded];
  const at = (value) => bottom - ((Math.log10(value) - from) / (to - from)) * height;
  const powers = Array.from(
    { length: Math.floor(to) - Math.ceil(from) + 1 },
    (_, i) => 10 ** (Math.ceil(from) + i),
  );
  if (powers.length > 1) return { at, ticks: powers };
  const finer = [1, 2, 5].flatMap((factor) =>
    [-1, 0, 1].map((step) => factor * 10 ** (Math.floor(from) + step + 1)),
  );
  return { at, ticks: finer.filter((value) => Math.log10(value) > from && Math.log10(value) < to) };
}

function horizontalAxis(series, right) {
  const highest = Math.max(...series.flatMap(({ quantiles }) => quantiles.map(([q]) => (q < 1 ? q : 0.5))));
  const [first, last] = [nines(0.5), nines(highest)];
  const at = (q) =>
    LEFT +
    20 +
    (((q < 1 ? nines(q) : last + TO_MAX) - first) / (last + TO_MAX - first)) * (right - LEFT - 40);
  const ticks = QUANTILES.filter(([q]) => q <= highest + 1e-9).map(([q, name]) => [at(q), name]);
  return { at, ticks: [...ticks, [at(1), 'max']] };
}

function pointsOf({ quantiles }, multiply, x, y) {
  return quantiles
    .filter(([, value]) => value > 0)
    .map(([q, value]) => ({ q, x: x.at(q), y: y.at(value * multiply) }));
}

const classesOf = (i) => `c${i % SERIES_COLOURS}${i >= SERIES_COLOURS ? ' dashed' : ''}`;

function curve({ points, i }) {
  const along = points.filter(({ q }) => q < 1);
  const path = along
    .map((point, at) => `${at === 0 ? 'M' : 'L'}${round(point.x)} ${round(point.y)}`)
    .join('');
  const [last, greatest] = [along.at(-1), points.at(-1)];
  return [
    tag('path', { d: path, class: classesOf(i) }),
    ...(last === undefined || greatest.q < 1
      ? []
      : [line(last.x, last.y, greatest.x, greatest.y, `${classesOf(i)} beyond`)]),
    ...points.map(({ x, y }) => tag('circle', { cx: x, cy: y, r: 2.6, class: `d${i % SERIES_COLOURS}` })),
  ].join('');
}

/** Names at the right, at the height of the last points, or as near as there is room. */
function endLabels(curves, right, bottom) {
  const labels = curves
    .map(({ name, points, i }) => ({ name, i, from: points.at(-1), y: points.at(-1).y }))
    .sort((a, b) => a.y - b.y);
  for (let at = 1; at < labels.length; at++) {
    labels[at].y = Math.max(labels[at].y, labels[at - 1].y + LABEL_LINE);
  }
  let lowest = bottom;
  for (const label of labels.toReversed()) {
    label.y = Math.min(label.y, lowest);
    lowest = label.y - LABEL_LINE;
  }
  const x = right + LABELS_APART;
  return labels.map(({ name, i, from, y }) =>
    [
      line(from.x + 5, from.y, x - KEY - 9, y, 'leader'),
      line(x - KEY - 5, y, x - 5, y, classesOf(i)),
      text(x, y + 4.5, name),
    ].join(''),
  );
}

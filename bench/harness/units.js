// The units that figures come in, and how they are shown. A unit that isn't here is shown as it is.

const TIME = [
  [1, 'ns'],
  [1e3, 'µs'],
  [1e6, 'ms'],
  [1e9, 's'],
];
const RATE = [
  [1, '/s'],
  [1e3, 'k/s'],
  [1e6, 'M/s'],
  [1e9, 'G/s'],
];
const BYTES = [
  [1, 'B'],
  [2 ** 10, 'KiB'],
  [2 ** 20, 'MiB'],
  [2 ** 30, 'GiB'],
];
const BYTE_RATE = [
  [1, 'B/s'],
  [1e6, 'MB/s'],
  [1e9, 'GB/s'],
];

/** Each: how many of the smallest of its scale it is, and that scale. */
const UNITS = {
  ns: [1, TIME],
  us: [1e3, TIME],
  µs: [1e3, TIME],
  ms: [1e6, TIME],
  s: [1e9, TIME],
  '/s': [1, RATE],
  'records/s': [1, RATE],
  B: [1, BYTES],
  KiB: [2 ** 10, BYTES],
  MiB: [2 ** 20, BYTES],
  'B/s': [1, BYTE_RATE],
  'GB/s': [1e9, BYTE_RATE],
  /** Of one cpu, or of a whole. */
  share: [1, [[0.01, '%']]],
};

/** The least that the smallest value of a column should be in the unit that it is shown in; and where others are as great. */
const LEAST_SHOWN = 0.5;
const LEAST_BESIDE_GREAT = 0.05;
const GREAT = 100;

/** One way of showing all `values` of a `unit`, so that they can be compared: what to multiply with, and its name. */
export function scaleFor(unit, values) {
  const [factor, scale] = UNITS[unit] ?? [1, [[1, unit]]];
  const positive = values.filter((value) => value > 0);
  const smallest = Math.min(...positive) * factor;
  const greatest = Math.max(...positive) * factor;
  const leastIn = (size) => (greatest / size >= GREAT ? LEAST_BESIDE_GREAT : LEAST_SHOWN);
  const fitting = scale.filter(([size]) => smallest / size >= leastIn(size));
  const [size, name] = positive.length > 0 && fitting.length > 0 ? fitting.at(-1) : scale[0];
  return { multiply: factor / size, unit: name };
}

/** Three digits that count, thousands apart, in one piece. */
export function number(value) {
  if (value === undefined || value === null || Number.isNaN(value)) return '';
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  if (Math.abs(value) >= 999.5) {
    return Math.round(value)
      .toString()
      .replace(/\B(?=(\d{3})+$)/g, '\u00a0');
  }
  return Math.abs(value) < 1e-6 ? value.toExponential(1) : value.toPrecision(3);
}

/** A round number, without digits that say nothing. */
export function tick(value) {
  return Math.abs(value) >= 1000 ? number(value) : String(Number(value.toPrecision(3)));
}

/** `median (p10..p90)`, or what of it there is. */
export function spreadText({ median, p10, p90 }, multiply = 1) {
  const middle = number(median * multiply);
  if (p10 === undefined || p90 === undefined) return middle;
  return `${middle} (${number(p10 * multiply)}..${number(p90 * multiply)})`;
}

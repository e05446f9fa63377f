import { scaleFor, spreadText, tick } from './units.js';

/**
 * The tables of a trial, made of its rows: one for each group, with the columns that its rows have, each in one
 * unit. Everything in them is text; whoever shows them decides how.
 */
export function tablesOf(rows) {
  return groupsOf(rows).map(([group, own]) => {
    const columns = columnsOf(own);
    const ratios = new Set(own.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratioTitle(ratio)])));
    const [onlyRatio] = ratios.size === 1 ? ratios : [];
    return {
      group,
      columns: columns.map(({ title }) => title),
      /** The title of the column of ratios, where there is one. */
      ratio: onlyRatio ?? (ratios.size > 0 ? 'ratio' : undefined),
      bars: own.some(({ bar }) => bar !== undefined),
      lines: own.map((row) => ({
        name: row.name,
        cells: columns.map(({ name, scale }) => cellOf(row.figures?.[name], scale)),
        ratio: row.ratio && spreadText(row.ratio),
        /** Of what, where that is not in the title. */
        ratioOf: row.ratio && onlyRatio === undefined ? ratioTitle(row.ratio) : undefined,
        verdict: verdictOf(row),
        absent: row.absent,
        note: noteOf(row),
      })),
    };
  });
}

/** `[group, its rows]`, in the order in which they come. */
export function groupsOf(rows) {
  const groups = new Map();
  for (const row of rows) {
    if (!groups.has(row.group)) groups.set(row.group, []);
    groups.get(row.group).push(row);
  }
  return [...groups];
}

function columnsOf(rows) {
  const names = new Set(rows.flatMap(({ figures = {} }) => Object.keys(figures)));
  return [...names].map((name) => {
    const figures = rows.flatMap((row) => row.figures?.[name] ?? []);
    const scale = scaleFor(
      figures[0].unit,
      figures.map(({ median }) => median),
    );
    return { name, scale, title: scale.unit ? `${name}, ${scale.unit}` : name };
  });
}

function cellOf(figure, { multiply }) {
  return figure === undefined ? '' : spreadText(figure, multiply);
}

function ratioTitle({ to, what }) {
  return what === undefined ? `/ ${to}` : `${what} / ${to}`;
}

function noteOf({ note, samples }) {
  const counted = samples === undefined ? undefined : `${tick(samples)} samples`;
  return [note, counted].filter((text) => text !== undefined).join('; ');
}

export const BY_THE_MEDIAN =
  'The median decides. By the median: p10..p90 reach across the bar, so that a tenth of the turns or more were on its other side.';

const VERDICTS = new Map([
  [true, { kind: 'met', word: 'met' }],
  [false, { kind: 'missed', word: 'MISSED' }],
  [undefined, { kind: 'unsaid', word: "can't be said" }],
]);

/** What is judged by a row's bar, where that is one of its figures, named in `bar.of`, or its ratio; as text. */
export function measuredOf({ bar, ratio, figures }) {
  const figure = figures?.[bar.of];
  if (figure === undefined) return { text: ratio && spreadText(ratio), of: ratio && ratioTitle(ratio) };
  const { multiply, unit } = scaleFor(figure.unit, [figure.median]);
  return { text: `${spreadText(figure, multiply)} ${unit}`, of: bar.of };
}

/**
 * A bar in words: what it asks for, and what came of that. The median decides; where p10..p90 reach across the bar, that
 * is said, for a tenth of the turns or more were on the other side.
 */
export function verdictOf({ bar, ratio, figures }) {
  if (bar === undefined) return undefined;
  const { kind, word } = VERDICTS.get(bar.met);
  const { p10, p90 } = figures?.[bar.of] ?? ratio ?? {};
  const across = bar.met !== undefined && p10 < bar.limit && bar.limit < p90;
  const more = across ? ' by the median' : bar.why === undefined ? '' : `: ${bar.why}`;
  return { kind, text: bar.text, word: word + more };
}

/** For a terminal. */
export function textOf(rows) {
  return tablesOf(rows).flatMap((table) => ['', ...tableText(table)]);
}

function tableText({ group, columns, ratio, bars, lines }) {
  const head = [group ?? '', ...columns, ...(ratio ? [ratio] : []), ...(bars ? ['bar'] : [])];
  const present = lines.filter(({ absent }) => absent === undefined);
  const body = present.map((one) => [
    one.name,
    ...one.cells,
    ...(ratio ? [[one.ratio, one.ratioOf].filter(Boolean).join(' ')] : []),
    ...(bars ? [one.verdict ? `${one.verdict.text}: ${one.verdict.word}` : ''] : []),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...body].map((cells) => cells[column].length)));
  const aligned = (cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [
    `  ${aligned(head)}`,
    ...body.map((cells, i) => `  ${aligned(cells)}${present[i].note ? `  (${present[i].note})` : ''}`),
    ...lines
      .filter(({ absent }) => absent !== undefined)
      .map(({ name, absent }) => `  ${name}: absent, ${absent}`),
  ];
}

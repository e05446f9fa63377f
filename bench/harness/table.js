import { scaleFor, spreadText } from './units.js';

/**
 * The tables of a trial, made of its rows: one for each group, with the columns that its rows have, each in one
 * unit. Every cell is text; whoever shows them decides how.
 */
export function tablesOf(rows) {
  return groupsOf(rows).map(([group, own]) => {
    const columns = columnsOf(own);
    const ratios = [...new Set(own.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratioTitle(ratio)])))];
    const bars = own.some(({ bar }) => bar !== undefined);
    return {
      group,
      head: [
        '',
        ...columns.map(({ title }) => title),
        ...(ratios.length > 0 ? [ratios.length === 1 ? ratios[0] : 'ratio'] : []),
        ...(bars ? ['bar'] : []),
      ],
      lines: own.map((row) => ({
        name: row.name,
        cells: [
          ...columns.map(({ name, scale }) => {
            const figure = row.figures?.[name];
            return figure === undefined ? '' : spreadText(figure, scale.multiply);
          }),
          ...(ratios.length > 0 ? [ratioText(row.ratio, ratios.length === 1)] : []),
          ...(bars ? [barText(row.bar)] : []),
        ],
        bar: row.bar,
        absent: row.absent,
        note: [row.note, row.samples === undefined ? undefined : `${row.samples} samples`]
          .filter((text) => text !== undefined)
          .join('; '),
      })),
    };
  });
}

function groupsOf(rows) {
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

function ratioTitle({ to, what }) {
  return `${what === undefined ? '×' : `${what}, ×`} ${to}`;
}

function ratioText(ratio, titled) {
  if (ratio === undefined) return '';
  return titled ? spreadText(ratio) : `${spreadText(ratio)} ${ratioTitle(ratio)}`;
}

const VERDICTS = new Map([
  [true, 'met'],
  [false, 'MISSED'],
  [undefined, "can't be said"],
]);

export function barText(bar) {
  if (bar === undefined) return '';
  return `${bar.text}: ${VERDICTS.get(bar.met)}${bar.why === undefined ? '' : `, ${bar.why}`}`;
}

/** For a terminal. */
export function textOf(rows) {
  return tablesOf(rows).flatMap((table) => ['', ...tableText(table)]);
}

function tableText({ group, head, lines }) {
  const present = lines.filter(({ absent }) => absent === undefined);
  const cellsOf = ({ name, cells }) => [name, ...cells];
  const all = [[group ?? '', ...head.slice(1)], ...present.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...all.map((cells) => cells[column].length)));
  const line = (cells) =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
      .join('  ')
      .trimEnd();
  return [
    `  ${line(all[0])}`,
    ...present.map((one) => `  ${line(cellsOf(one))}${one.note ? `  ${one.note}` : ''}`),
    ...lines
      .filter(({ absent }) => absent !== undefined)
      .map(({ name, absent }) => `  ${name}: absent, ${absent}`),
  ];
}

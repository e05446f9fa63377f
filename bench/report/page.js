import { showSurroundings } from '../harness/load.js';
import { showPlacement } from '../harness/placement.js';
import { duration } from '../harness/progress.js';
import { BY_THE_MEDIAN, tablesOf } from '../harness/table.js';
import { kindOf } from './bars.js';
import { machineText, softwareText, tellAll } from './machines.js';
import { inlineHtml } from './markdown.js';
import { chartPicture, chartsOf, curvesPicture, describeChart, describeCurves } from './pictures.js';
import { barsOf } from './results.js';
import { PAGE_STYLE } from './style.js';
import { escaped, inlinePicture, tag } from './svg.js';

/** A page that needs nothing but itself: no script, no other file. */
export function page(reported) {
  const title = 'Millrace: benchmarks';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${title}</h1>
${machine(reported)}
</header>
<main>
${contents(reported)}
${bars(barsOf(reported))}
${reported.map(section).join('\n')}
</main>
<footer class="quiet">${closing()}</footer>
</body>
</html>
`;
}

function machine(reported) {
  const days = [...new Set(reported.map(({ result: { when } }) => when.slice(0, 10)))].sort();
  const sets = [...new Set(reported.map(({ result: { set } }) => set))];
  const facts = {
    'set of trials': sets.join(', '),
    measured: days.join(', '),
    with: tellAll(reported, ({ machine }) => softwareText(machine)),
    on: tellAll(reported, ({ machine }) => machineText(machine)),
    'pinned to cpus': tellAll(reported, ({ cpus }) => cpus.join(' and ')),
  };
  return `<dl>${Object.entries(facts)
    .map(([name, value]) => `<dt>${name}</dt><dd>${escaped(value)}</dd>`)
    .join('')}</dl>`;
}

/** What was missed comes first. */
const KINDS = [
  ['missed', 'missed'],
  ['unsaid', "can't be said"],
  ['met', 'met'],
];

function bars(all) {
  if (all.length === 0) return '';
  const of = (wanted) => all.filter(({ verdict: { kind } }) => kind === wanted);
  const counts = KINDS.map(([kind, word]) => `<span class="${kind}">${of(kind).length} ${word}</span>`);
  const rows = KINDS.flatMap(([kind]) => of(kind)).map(
    ({ trial, group, name, measured, verdict }) =>
      `<tr><th scope="row">${escaped(name)}<small><a href="#${trial.name}">${escaped(trial.title)}</a>` +
      `${group === undefined ? '' : `: ${escaped(group)}`}</small></th>` +
      `${measured.text === undefined ? '<td></td>' : ratioCell(measured.text, measured.of)}${verdictCell(verdict)}</tr>`,
  );
  return `<section id="bars"><h2>What it must reach</h2>
<p>${counts.join(', ')}. ${escaped(BY_THE_MEDIAN)}</p>
<div class="table"><table><thead><tr><th scope="col">who, where</th><th scope="col">measured</th><th scope="col" class="text">bar</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div></section>`;
}

function contents(reported) {
  const items = reported.map(({ trial }) => `<li><a href="#${trial.name}">${escaped(trial.title)}</a></li>`);
  return `<nav aria-label="trials"><ol>${items.join('')}</ol></nav>`;
}

function section({ trial, result, rows, distributions, unreadable }) {
  const tables = tablesOf(rows);
  const charts = chartsOf(rows);
  return `<section id="${trial.name}">
<h2>${escaped(trial.title)}</h2>
<p>${inlineHtml(trial.about)}</p>
${unreadable === undefined ? '' : `<p class="missed">The results are of another version of this trial: ${escaped(unreadable)}</p>`}
${tables.map((table, i) => group(trial, table, charts, i)).join('\n')}
${curves(trial, distributions)}
${facts(result)}
</section>`;
}

function group(trial, table, charts, at) {
  const own = charts.filter(({ group: of }) => of === table.group);
  return [
    ...(table.group === undefined ? [] : [`<h3>${escaped(table.group)}</h3>`]),
    ...own.map((chart, i) =>
      inlinePicture(chartPicture(chart), {
        id: `${trial.name}-${at}-${i}`,
        title: `${trial.title}: ${chart.name}`,
        description: describeChart(chart),
      }),
    ),
    tableHtml(table),
  ].join('\n');
}

function tableHtml({ columns, ratio, bars: barred, lines }) {
  const titles = [
    ...columns.map((title) => `<th scope="col">${escaped(title)}</th>`),
    ...(ratio ? [`<th scope="col">${escaped(ratio)}</th>`] : []),
    ...(barred ? ['<th scope="col" class="text">bar</th>'] : []),
  ];
  const body = lines.map((one) => lineHtml(one, titles.length, ratio !== undefined, barred));
  return `<div class="table"><table><thead><tr><td></td>${titles.join('')}</tr></thead><tbody>\n${body.join('\n')}\n</tbody></table></div>`;
}

function lineHtml(one, width, ratios, barred) {
  const kind = kindOf(one.name) === 'ours' ? ' class="ours"' : '';
  const note = one.note ? `<small>${escaped(one.note)}</small>` : '';
  const title = `<th scope="row">${escaped(one.name)}${note}</th>`;
  if (one.absent !== undefined) {
    return `<tr${kind}>${title}<td class="text" colspan="${width}">absent: ${escaped(one.absent)}</td></tr>`;
  }
  const cells = [
    ...one.cells.map((text) => `<td>${quietSpread(text)}</td>`),
    ...(ratios ? [one.ratio ? ratioCell(one.ratio, one.ratioOf) : '<td></td>'] : []),
    ...(barred ? [verdictCell(one.verdict)] : []),
  ];
  return `<tr${kind}>${title}${cells.join('')}</tr>`;
}

function ratioCell(text, of) {
  return `<td>${quietSpread(text)}${of === undefined ? '' : `<small>${escaped(of)}</small>`}</td>`;
}

function verdictCell(verdict) {
  if (verdict === undefined) return '<td></td>';
  const { kind, text, word } = verdict;
  return `<td class="bar">${escaped(text)}: <span class="${kind}">${escaped(word)}</span></td>`;
}

function quietSpread(text) {
  return escaped(text).replace(/\([^)]*\.\.[^)]*\)/, (range) => tag('span', { class: 'spread' }, range));
}

function curves(trial, distributions) {
  const picture = curvesPicture(distributions);
  if (picture === undefined) return '';
  const named = {
    id: `${trial.name}-curves`,
    title: `${trial.title}: distributions`,
    description: describeCurves(distributions),
  };
  return `<h3>Distributions</h3>\n${inlinePicture(picture, named)}`;
}

function facts({ when, seconds, options, cpus, node, dir, load, placement, overriding }) {
  const parts = [
    `${when.slice(0, 16).replace('T', ' ')} UTC${seconds === undefined ? '' : `, in ${duration(seconds)}`}`,
    `options ${Object.entries(options)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}${overriding?.length > 0 ? ' (some of the user’s own)' : ''}`,
    `cpus ${cpus.join(', ')}${node.length > 0 ? `, node ${node.join(' ')}` : ''}${dir === undefined ? '' : `, on the disk of ${dir}`}`,
    ...(placement === undefined ? [] : [showPlacement(placement)]),
    ...(load === undefined ? [] : [showSurroundings(load)]),
  ];
  return `<p class="quiet">${parts.map((part) => escaped(part)).join('<br>')}</p>`;
}

function closing() {
  return `In pictures Millrace is blue, C grey, and what both are compared with brown. Figures are medians, with p10..p90 where there is a spread. Only what took turns in one run can be compared.
Repeat it with <code>npm run bench</code>, or <code>npm run bench:full</code>.`;
}

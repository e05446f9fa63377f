import { showSurroundings } from '../harness/load.js';
import { showPlacement } from '../harness/placement.js';
import { tablesOf } from '../harness/table.js';
import { machineText } from './machines.js';
import { cell } from './markdown.js';
import { curvesPicture, describeCurves, describeOverview, overview } from './pictures.js';
import { PICTURE_STYLE } from './style.js';
import { pictureFile } from './svg.js';

/** The part of a page in markdown that is about one trial. */
export function sectionOf(reported, folder) {
  const { trial, result, rows } = reported;
  const pictures = trialPictures(reported).map(({ file, title }) => `![${title}](${folder}/${file})`);
  return [
    `### ${trial.title}`,
    trial.about,
    ...pictures,
    '<details><summary>The figures</summary>',
    ...tablesOf(rows).flatMap(({ group, ...table }) => [
      ...(group === undefined ? [] : [`**${group}**`]),
      tableText(table),
    ]),
    facts(result),
    '</details>',
  ].join('\n\n');
}

function tableText({ columns, ratio, bars, lines }) {
  const head = ['', ...columns, ...(ratio ? [ratio] : []), ...(bars ? ['bar'] : []), ''];
  const body = lines.map(({ name, cells, ratio: own, ratioOf, verdict, absent, note }) =>
    absent !== undefined
      ? [name, `absent: ${absent}`, ...Array(head.length - 2).fill('')]
      : [
          name,
          ...cells,
          ...(ratio ? [[own, ratioOf].filter(Boolean).join(' ')] : []),
          ...(bars ? [verdict ? `${verdict.text}: ${verdict.word}` : ''] : []),
          note,
        ],
  );
  const rule = head.map((_, i) => (i > 0 && i <= columns.length ? '---:' : '---'));
  return [head, rule, ...body].map((cells) => `| ${cells.map(cell).join(' | ')} |`).join('\n');
}

function facts({ when, machine, options, cpus, load, placement }) {
  return [
    `${when.slice(0, 10)} on ${machineText(machine)}`,
    ...(machine.commit === undefined ? [] : [`Millrace at ${machine.commit}`]),
    `options ${Object.entries(options)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    `cpus ${cpus.join(', ')}`,
    ...(placement === undefined ? [] : [showPlacement(placement)]),
    ...(load === undefined ? [] : [showSurroundings(load)]),
  ].join('; ');
}

/** The pictures of a trial, as files: { file, title, content }. */
export function trialPictures({ trial, rows, distributions }) {
  const made = [
    [trial.name, trial.title, overview(rows), describeOverview(rows)],
    [
      `${trial.name}-distributions`,
      `${trial.title}: distributions`,
      curvesPicture(distributions),
      describeCurves(distributions),
    ],
  ];
  return made
    .filter(([, , picture]) => picture !== undefined)
    .map(([name, title, picture, description]) => ({
      file: `${name}.svg`,
      title,
      content: pictureFile(picture, { title, description, style: PICTURE_STYLE }),
    }));
}

/** As the sites that show markdown make anchors of headings. */
export function slug(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fillIn } from './placeholders.js';
import { reportable } from './results.js';
import { trialPictures } from './sections.js';

const PAGE = 'performance.md';
const PICTURES = 'performance';

/** What of the front page is made of the results, between two comments. */
const FRONT_PAGE = 'README.md';
const FIGURES = /(<!-- Made by `npm run bench:docs` .*? -->\n\n).*?(<!-- to here -->\n)/s;

/** Writes the page about performance, its pictures and the front page's figures of a checkout; returns their paths. */
export function writeDocs(results, checkout, trials) {
  const into = join(checkout, 'docs');
  const reported = reportable(results, trials, (error) => {
    throw error;
  });
  if (reported.length === 0) throw new Error(`there are no results in ${results}: npm run bench:full`);
  for (const { trial, unreadable } of reported) {
    if (unreadable !== undefined)
      throw new Error(`the results of ${trial.name} are of another version: ${unreadable}`);
  }
  const made = (template) =>
    fillIn(readFileSync(new URL(template, import.meta.url), 'utf8'), reported, PICTURES);
  const page = { path: join(into, PAGE), content: made(PAGE) };
  const frontPage = withFigures(join(checkout, FRONT_PAGE), made('front-page.md'));
  const folder = join(into, PICTURES);
  const pictures = reported
    .flatMap(trialPictures)
    .map(({ file, content }) => ({ path: join(folder, file), content }));
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(folder)) rmSync(join(folder, file));
  const written = [page, frontPage, ...pictures];
  for (const { path, content } of written) writeFileSync(path, content);
  return written.map(({ path }) => path);
}

function withFigures(path, figures) {
  const before = readFileSync(path, 'utf8');
  if (!FIGURES.test(before)) throw new Error(`${path} has no place for the figures`);
  return { path, content: before.replace(FIGURES, (_, from, to) => `${from}${figures}\n${to}`) };
}

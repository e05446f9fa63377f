import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fillIn } from './placeholders.js';
import { reportable } from './results.js';
import { trialPictures } from './sections.js';

const PAGE = 'performance.md';
const PICTURES = 'performance';

/** Writes the page about performance and its pictures into `into`; returns their paths. */
export function writeDocs(results, into, trials) {
  const reported = reportable(results, trials, (error) => {
    throw error;
  });
  if (reported.length === 0) throw new Error(`there are no results in ${results}: npm run bench:full`);
  for (const { trial, unreadable } of reported) {
    if (unreadable !== undefined)
      throw new Error(`the results of ${trial.name} are of another version: ${unreadable}`);
  }
  const template = readFileSync(new URL(PAGE, import.meta.url), 'utf8');
  const page = { path: join(into, PAGE), content: fillIn(template, reported, PICTURES) };
  const folder = join(into, PICTURES);
  const pictures = reported
    .flatMap(trialPictures)
    .map(({ file, content }) => ({ path: join(folder, file), content }));
  mkdirSync(folder, { recursive: true });
  for (const file of readdirSync(folder)) rmSync(join(folder, file));
  for (const { path, content } of [page, ...pictures]) writeFileSync(path, content);
  return [page, ...pictures].map(({ path }) => path);
}

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { page } from './page.js';

/** Writes the report of what is `reportable` in `folder` beside it; undefined where there is nothing. */
export function writeReport(folder, reported) {
  if (reported.length === 0) return undefined;
  const path = join(folder, 'report.html');
  writeFileSync(`${path}.tmp`, page(reported));
  renameSync(`${path}.tmp`, path);
  return path;
}

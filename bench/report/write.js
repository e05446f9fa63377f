import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { page } from './page.js';
import { reportable } from './results.js';

/** Writes the report of the results in `folder` beside them; undefined where there are none. */
export function writeReport(folder, trials) {
  const reported = reportable(folder, trials);
  if (reported.length === 0) return undefined;
  const path = join(folder, 'report.html');
  writeFileSync(`${path}.tmp`, page(reported));
  renameSync(`${path}.tmp`, path);
  return path;
}

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** A folder for channel files in `base`, removed when the benchmark ends, however it ends. */
export function workingFolder(base) {
  const folder = mkdtempSync(join(base, 'millrace-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
  return folder;
}

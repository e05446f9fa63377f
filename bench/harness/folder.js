import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileSystemOf } from './machine.js';

export const MEMORY = '/dev/shm';

/** The first of the usual places that is no memory. */
export function diskByDefault() {
  return [tmpdir(), '/var/tmp'].find((folder) => fileSystemOf(folder) !== 'tmpfs') ?? process.cwd();
}

/** A folder for channel files in `base`, removed when the benchmark ends, however it ends. */
export function workingFolder(base) {
  const folder = mkdtempSync(join(base, 'millrace-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** One of a trial's own in there, for as long as `work` takes. */
export async function withFolders(bases, name, work) {
  const folders = bases.map((base) => join(base, name));
  for (const folder of folders) mkdirSync(folder);
  try {
    return await work(...folders);
  } finally {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  }
}

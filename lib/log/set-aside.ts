import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { explain } from '../channel/index.js';
import { type Directory, SET_ASIDE } from './directory.js';

/** Something that was taken out of a log's directory, but not away. */
export interface SetAside {
  /** What it was called, and where it is now. */
  name: string;
  path: string;
  reason: string;
}

/** Moves a file of the log's directory to where nobody looks for segments, with a note beside it that says why. */
export function setAside(directory: Directory, name: string, reason: string): SetAside {
  const folder = join(directory.path, SET_ASIDE);
  try {
    mkdirSync(folder, { recursive: true });
    const taken = new Set(readdirSync(folder));
    let free = name;
    for (let count = 1; taken.has(free); count++) free = `${name}.${count}`;
    const path = join(folder, free);
    writeFileSync(`${path}.why`, `${new Date().toISOString()} ${reason}\n`);
    // step 112
    renameSync(join(directory.path, name), path);
    // step 113
    return { name, path, reason };
  } catch (error) {
    throw explain(error, join(directory.path, name), 'set aside');
  }
}

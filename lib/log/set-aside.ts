import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { disk, explain, freeBytes, isOutOfSpace, noSpace } from '../channel/index.js';
import { type Directory, SET_ASIDE } from './directory.js';
import { keepOwner } from './ownership.js';

/** What a note takes of the disk. */
const NOTE_BYTES = 4096;

/** Something that was taken out of a log's directory, but not away. */
export interface SetAside {
  /** What it was called, and where it is now. */
  name: string;
  path: string;
  reason: string;
}

/** Moves a file of the log's directory to where nobody looks for segments, with a note beside it that says why. */
export function setAside(directory: Directory, name: string, reason: string): SetAside {
  return toFolder(directory, name, reason, renameSync);
}

/** The same with a file that keeps its name until another one takes that over. */
export function setCopyAside(directory: Directory, name: string, reason: string): SetAside {
  return toFolder(directory, name, reason, linkSync);
}

/** A file that is changed where it lies, because others have it open: all its bytes as they are now. */
export function setDuplicateAside(directory: Directory, name: string, reason: string): SetAside {
  return toFolder(directory, name, reason, duplicate);
}

function duplicate(from: string, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  const file = openSync(to, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function toFolder(
  directory: Directory,
  name: string,
  reason: string,
  move: (from: string, to: string) => void,
): SetAside {
  const folder = join(directory.path, SET_ASIDE);
  const from = join(directory.path, name);
  let note: string | undefined;
  try {
    if (mkdirSync(folder, { recursive: true }) !== undefined) keepOwner(folder, statSync(directory.path));
    const taken = new Set(readdirSync(folder));
    let free = name;
    for (let count = 1; taken.has(free) || taken.has(`${free}.why`); count++) {
      const path = join(folder, free);
      // Whoever was here before died, or had no room to go on.
      if (taken.has(free) && isSame(path, from) && move === linkSync) return { name, path, reason };
      free = `${name}.${count}`;
    }
    const path = join(folder, free);
    writeFileSync(`${path}.why`, `${new Date().toISOString()} ${reason}\n`, { flag: 'wx', flush: true });
    note = `${path}.why`;
    // step 112
    move(from, path);
    // step 113
    return { name, path, reason };
  } catch (error) {
    if (note !== undefined) rmSync(note, { force: true });
    if (isOutOfSpace(error)) throw noSpace(folder, NOTE_BYTES, freeBytes(directory.path), error);
    throw explain(error, from, 'set aside');
  }
}

function isSame(path: string, other: string): boolean {
  const [one, two] = [path, other].map((each) => statSync(each, { throwIfNoEntry: false }));
  return one !== undefined && one.dev === two?.dev && one.ino === two.ino;
}

/** Before anything takes the place of what was set aside: or that could come back after a power cut. */
export async function syncSetAside(directory: Directory): Promise<void> {
  await disk.syncDirectory(join(directory.path, SET_ASIDE));
  await disk.syncDirectory(directory.path);
}

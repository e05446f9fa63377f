import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  type PathLike,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { disk, explain, freeBytes, isOutOfSpace, noSpace } from '../../channel/index.js';
import { type Directory, SET_ASIDE } from './directory.js';
import { fitted } from './file-name.js';
import { keepOwner } from './ownership.js';

/** What a note takes of the disk. */
const NOTE_BYTES = 4096;
const NOTE = '.why';

/** Something that was taken out of a log's directory, but not away. */
export interface SetAside {
  /** What it was called, as text, and where it is now: perhaps under another name, which its note tells then. */
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

function duplicate(from: PathLike, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  keepOwner(to, statSync(from));
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
  move: (from: PathLike, to: string) => void,
): SetAside {
  const folder = join(directory.path, SET_ASIDE);
  const shown = join(directory.path, name);
  let note: string | undefined;
  try {
    const bytes = directory.bytesOf(name);
    const from = Buffer.concat([Buffer.from(`${directory.path}/`), bytes]);
    const ofDirectory = statSync(directory.path);
    if (mkdirSync(folder, { recursive: true }) !== undefined) keepOwner(folder, ofDirectory);
    const taken = new Set(readdirSync(folder));
    let free = fitted(name, '', NOTE.length);
    for (let count = 1; taken.has(free) || taken.has(free + NOTE); count++) {
      const path = join(folder, free);
      // Whoever was here before died, or had no room to go on.
      if (taken.has(free) && isSame(path, from) && move === linkSync) return { name, path, reason };
      free = fitted(name, `.${count}`, NOTE.length);
    }
    const path = join(folder, free);
    const was = Buffer.from(free).equals(bytes) ? '' : `It was called ${name}\n`;
    const text = `${new Date().toISOString()} ${reason}\n${was}`;
    writeFileSync(path + NOTE, text, { flag: 'wx', flush: true });
    note = path + NOTE;
    keepOwner(note, { ...ofDirectory, mode: directory.fileMode });
    // step 112
    move(from, path);
    // step 113
    return { name, path, reason };
  } catch (error) {
    if (note !== undefined) rmSync(note, { force: true });
    if (isOutOfSpace(error)) throw noSpace(folder, NOTE_BYTES, freeBytes(directory.path), error);
    throw explain(error, shown, 'set aside');
  }
}

function isSame(path: string, other: PathLike): boolean {
  const [one, two] = [path, other].map((each) => statSync(each, { throwIfNoEntry: false }));
  return one !== undefined && one.dev === two?.dev && one.ino === two.ino;
}

/** Before anything takes the place of what was set aside: or that could come back after a power cut. */
export async function syncSetAside(directory: Directory): Promise<void> {
  await disk.syncDirectory(join(directory.path, SET_ASIDE));
  await disk.syncDirectory(directory.path);
}

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
import { explain, isOutOfSpace, isTurnOver, turn } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type Directory, SET_ASIDE, syncNames } from './directory.js';
import { fitted } from './file-name.js';
import { keepOwner } from './ownership.js';

/** What a note takes of the disk. */
const NOTE_BYTES = 4096;
const NOTE = '.why';

/** Something that was taken out of a log's directory, but not away. */
export interface SetAside {
  /** What it was called, as text. */
  name: string;
  /** Where it is now: perhaps under another name, which its note tells then. */
  path: string;
  /** For people. */
  reason: string;
}

type Move = (from: PathLike, to: string) => void;

/** Where files go that were found in a log's directory and are no part of the log, each with a note that says why. */
export class SetAsideFolder {
  /** What was set aside by this object. */
  readonly all: SetAside[] = [];
  readonly #directory: Directory;
  readonly #path: string;
  /** The names in it, listed once: whoever sets something aside has the log for itself. */
  #taken: Set<string> | undefined;
  /** The names in the log's directory that have a text of their own. */
  #names: Map<string, Buffer[]> | undefined;

  constructor(directory: Directory) {
    this.#directory = directory;
    this.#path = join(directory.path, SET_ASIDE);
  }

  /** Moves a file of the log's directory to where nobody looks for segments. */
  move(name: string, reason: string): void {
    this.#take(name, reason, renameSync);
  }

  /** The same with many; the event loop has its turns meanwhile. */
  async moveAll(names: readonly string[], why: (name: string) => string): Promise<void> {
    for (const name of names) {
      if (isTurnOver()) await turn();
      this.move(name, why(name));
    }
  }

  /** The same with a file that keeps its name until another one takes that over, which may be as soon as this resolves. */
  async copy(name: string, reason: string): Promise<void> {
    this.#take(name, reason, linkSync);
    await this.sync();
  }

  /** A file that is changed where it lies, because others have it open: all its bytes as they are now. */
  duplicate(name: string, reason: string): void {
    this.#take(name, reason, duplicate);
  }

  /** Before anything takes the place of what was set aside: or that could come back after a power cut. */
  async sync(): Promise<void> {
    await syncNames(this.#path);
    await syncNames(this.#directory.path);
  }

  #take(name: string, reason: string, move: Move): void {
    const { path: directory } = this.#directory;
    try {
      this.#taken ??= this.#list();
      const bytes = this.#bytesOf(name);
      const from = Buffer.concat([Buffer.from(`${directory}/`), bytes]);
      const linked = move === linkSync ? this.#linkOf(name, from) : undefined;
      const path = linked ?? this.#moveWithNote(name, bytes, from, reason, move);
      this.all.push({ name, path, reason });
    } catch (error) {
      // What lacks room was to lie there.
      const path = isOutOfSpace(error) ? this.#path : join(directory, name);
      throw explain(error, path, 'set aside', NOTE_BYTES + (move === duplicate ? this.#bytesIn(name) : 0));
    }
  }

  #list(): Set<string> {
    if (statSync(this.#path, { throwIfNoEntry: false })?.isDirectory() === false) throw noFolder(this.#path);
    if (mkdirSync(this.#path, { recursive: true }) !== undefined) {
      keepOwner(this.#path, statSync(this.#directory.path));
    }
    return new Set(readdirSync(this.#path));
  }

  #bytesIn(name: string): number {
    return statSync(join(this.#directory.path, name), { throwIfNoEntry: false })?.size ?? 0;
  }

  #bytesOf(text: string): Buffer {
    const name = Buffer.from(text);
    if (!text.includes('\\')) return name;
    this.#names ??= this.#directory.namesByText();
    return this.#names.get(text)?.shift() ?? name;
  }

  /** Where it is already: whoever put it there died, or had no room to go on. */
  #linkOf(name: string, from: Buffer): string | undefined {
    for (let count = 0; ; count++) {
      const other = nameFor(name, count);
      if (this.#isFree(other)) return undefined;
      const path = join(this.#path, other);
      if (this.#taken?.has(other) && isSame(path, from)) return path;
    }
  }

  #isFree(name: string): boolean {
    return !this.#taken?.has(name) && !this.#taken?.has(name + NOTE);
  }

  #moveWithNote(name: string, bytes: Buffer, from: Buffer, reason: string, move: Move): string {
    const free = this.#freeNameFor(name);
    const path = join(this.#path, free);
    const note = path + NOTE;
    const was = Buffer.from(free).equals(bytes) ? '' : `It was called ${name}\n`;
    writeFileSync(note, `${new Date().toISOString()} ${reason}\n${was}`, { flag: 'wx', flush: true });
    try {
      const { path: directory, fileMode } = this.#directory;
      keepOwner(note, { ...statSync(directory), mode: fileMode });
      // step 112
      move(from, path);
    } catch (error) {
      rmSync(note, { force: true });
      throw error;
    }
    this.#taken?.add(free).add(free + NOTE);
    // step 113
    return path;
  }

  #freeNameFor(name: string): string {
    let count = 0;
    while (!this.#isFree(nameFor(name, count))) count++;
    return nameFor(name, count);
  }
}

/** What it may be called there; 0: the nearest to what it is called. */
function nameFor(name: string, count: number): string {
  return fitted(name, count === 0 ? '' : `.${count}`, NOTE.length);
}

function duplicate(from: PathLike, to: string): void {
  copyFileSync(from, to, constants.COPYFILE_EXCL);
  try {
    keepOwner(to, statSync(from));
    const file = openSync(to, 'r+');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    rmSync(to, { force: true });
    throw error;
  }
}

function noFolder(path: string): MillraceError {
  return new MillraceError(
    'ERR_EXISTS',
    `${path} is no directory, so nothing that is no part of the log can be put there: move it away, or rename it`,
    { path },
  );
}

function isSame(path: string, other: PathLike): boolean {
  const [one, two] = [path, other].map((each) => statSync(each, { throwIfNoEntry: false }));
  return one !== undefined && one.dev === two?.dev && one.ino === two.ino;
}

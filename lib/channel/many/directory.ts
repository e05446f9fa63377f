import { type Dirent, type FSWatcher, statSync, watch } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { invalidArgument, MillraceError } from '../../errors.js';
import { beginsAsChannel, type FileIdentity } from '../file/index.js';
import { explain, isTurnOver, turn } from '../runtime/index.js';

/** Where the system's notices fail: too many watches, a name that now leads elsewhere. */
const RESCAN_MS = 2000;

export interface DirectoryUser {
  /** Called for each channel that is there, once. False where its path led to another by then; throws where it can't be read. */
  join(path: string, file: FileIdentity): Promise<boolean>;
  /** Called when a channel could not join, or the directory could not be looked through; once until that works again. */
  fail(error: unknown): void;
  /** Called when an entry can't be looked at, which may be no channel; once until that works again. */
  doubt(error: unknown): void;
  /** Called when the file of a channel that joined is no longer there, with what it joined with. */
  forget(path: string, file: FileIdentity): void;
}

/** What one look through a directory comes to. */
class Look {
  /** The names of files, by what tells a file from another. */
  readonly present = new Map<string, string>();
  /** Names under which there may be anything; with what was in the way. */
  readonly unclear = new Map<string, unknown>();
  readonly found: { name: string; identity: string; file: FileIdentity }[] = [];
}

/** The channels of a directory: those that are there, and those that appear while it is watched. */
export class Directory {
  readonly path: string;
  readonly #matches: (name: string) => boolean;
  readonly #user: DirectoryUser;
  /** Files that joined, and under which paths, by what tells a file from another that takes its name. */
  #joined = new Map<string, { path: string; file: FileIdentity }>();
  /** Files that are no channels, with the state they were found in: they may be still on their way. */
  #passedOver = new Map<string, string>();
  /** What failed last time and was told, by name; '' is the directory itself. */
  #told = new Map<string, unknown>();
  /** What could not be looked at last time, by name. */
  #unclear: ReadonlyMap<string, unknown> = new Map();
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #scanning: Promise<void> | undefined;
  #again = false;
  #closed = false;

  constructor(path: string, match: RegExp | ((name: string) => boolean) | undefined, user: DirectoryUser) {
    this.path = path;
    this.#matches = matcher(match);
    this.#user = user;
  }

  /** Has each channel join that is there and has not joined yet. One look at a time: who calls meanwhile gets another. */
  scan(): Promise<void> {
    this.#again = true;
    this.#scanning ??= this.#scanAll().finally(() => {
      this.#scanning = undefined;
    });
    return this.#scanning;
  }

  /** From now on channels that appear join by themselves. Keeps no process alive. */
  watch(): void {
    const look = () => void this.scan();
    this.#timer = setInterval(look, RESCAN_MS).unref();
    try {
      this.#watcher = watch(this.path, { persistent: false }, (event) => {
        if (event === 'rename') look();
      });
      this.#watcher.on('error', () => this.#watcher?.close());
    } catch {
      // Then it is looked through now and then; what is wrong with it, that tells.
    }
  }

  get watched(): boolean {
    return this.#timer !== undefined;
  }

  /** Whether somebody waits for what may appear: that keeps a process alive. */
  keepAlive(on: boolean): void {
    if (on) this.#timer?.ref();
    else this.#timer?.unref();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  async #scanAll(): Promise<void> {
    while (this.#again && !this.#closed) {
      this.#again = false;
      try {
        await this.#scanOnce();
        this.#told.delete('');
      } catch (error) {
        // All that was in it is gone with it.
        if (codeOf(error) === 'ENOENT') this.#forget(new Look());
        this.#tell('', explain(error, this.path, 'look through'));
      }
    }
  }

  async #scanOnce(): Promise<void> {
    const entries = await readdir(this.path, { withFileTypes: true });
    const look = new Look();
    for (const entry of entries) {
      if (isTurnOver()) await turn();
      if (this.#closed) return;
      this.#lookAt(entry, look);
    }
    this.#forget(look);
    await Promise.all(look.found.map((found) => this.#join(found)));
  }

  #lookAt(entry: Dirent, look: Look): void {
    const { name } = entry;
    if (!(entry.isFile() || entry.isSymbolicLink()) || name.startsWith('.')) return;
    try {
      if (this.#matches(name)) this.#lookAtFile(entry, look);
    } catch (error) {
      const code = codeOf(error);
      look.unclear.set(name, code);
      const isTold = this.#unclear.has(name) && this.#unclear.get(name) === code;
      if (!isTold) this.#user.doubt(explain(error, join(this.path, name), 'look at'));
    }
  }

  #lookAtFile(entry: Dirent, { present, unclear, found }: Look): void {
    const { name } = entry;
    const stat = statSync(join(this.path, name), { throwIfNoEntry: false });
    // Removed since it was listed, or renamed to what was not listed: the next look tells.
    if (stat === undefined && entry.isFile()) unclear.set(name, 'ENOENT');
    if (stat === undefined || !stat.isFile()) return;
    const identity = `${stat.dev}:${stat.ino}:${stat.birthtimeMs}`;
    // Two names of one file are one channel.
    if (present.has(identity)) return;
    present.set(identity, name);
    const state = `${identity}:${stat.size}:${stat.mtimeMs}`;
    if (this.#joined.has(identity) || this.#passedOver.get(name) === state) return;
    if (this.#isChannel(name)) found.push({ name, identity, file: stat });
    else this.#passedOver.set(name, state);
  }

  async #join({ name, identity, file }: Look['found'][number]): Promise<void> {
    const path = join(this.path, name);
    this.#joined.set(identity, { path, file });
    try {
      const isIt = await this.#user.join(path, file);
      this.#told.delete(name);
      if (isIt) return;
      // Another look finds what came in its place; and this one, where it got another name.
      this.#joined.delete(identity);
      this.#again = true;
    } catch (error) {
      this.#joined.delete(identity);
      // What a user's function did not find is told.
      if (!isGone(error, path)) this.#tell(name, error);
    }
  }

  /** Of files that are gone nothing is kept: another may get what told them apart. */
  #forget({ present, unclear }: Look): void {
    for (const [identity, { path, file }] of this.#joined) {
      if (present.has(identity) || unclear.has(basename(path))) continue;
      this.#joined.delete(identity);
      this.#user.forget(path, file);
    }
    this.#unclear = unclear;
    const names = new Set([...present.values(), ...unclear.keys()]);
    for (const name of this.#passedOver.keys()) if (!names.has(name)) this.#passedOver.delete(name);
    for (const name of this.#told.keys()) if (name !== '' && !names.has(name)) this.#told.delete(name);
  }

  #isChannel(name: string): boolean {
    try {
      return beginsAsChannel(join(this.path, name));
    } catch (error) {
      // Opening it as a channel says what is wrong.
      if ((error as NodeJS.ErrnoException).syscall === 'open') return true;
      throw error;
    }
  }

  #tell(name: string, error: unknown): void {
    const code = codeOf(error);
    // What a user's function throws has no code, and is told all the same.
    if (this.#told.has(name) && this.#told.get(name) === code) return;
    this.#told.set(name, code);
    this.#user.fail(error);
  }
}

/** Whether it says that this very file is not there. */
function isGone(error: unknown, path: string): boolean {
  return error instanceof MillraceError && error.code === 'ERR_NOT_FOUND' && error.path === path;
}

/** Of what a user's function throws nothing is known. */
function codeOf(error: unknown): unknown {
  return (error as Partial<MillraceError> | null | undefined)?.code;
}

function matcher(match: RegExp | ((name: string) => boolean) | undefined): (name: string) => boolean {
  if (match === undefined) return () => true;
  if (typeof match === 'function') return match;
  // One with the flag g or y would go on where it last stopped.
  return (name) => name.search(match) >= 0;
}

/** Throws unless there is a directory under that path. */
export function checkDirectory(path: string): void {
  try {
    if (statSync(path).isDirectory()) return;
  } catch (error) {
    throw explain(error, path, 'read the directory');
  }
  throw invalidArgument(`${path} is no directory: name channels in a list`, { path });
}

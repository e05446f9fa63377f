import { isUtf8 } from 'node:buffer';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  disk,
  explain,
  refuseDanglingLink,
  SegmentMappings,
  SegmentReader,
  statOf,
} from '../../channel/index.js';
import { invalidArgument, MillraceError } from '../../errors.js';
import { textOf } from './file-name.js';
import { DEFAULT_FILE_MODE, permissionsOf } from './ownership.js';

export const LOCK_FILE = 'log.lock';
export const CURSORS_FILE = 'cursors.mr';
/** A larger file of cursors, until it has taken the place of that. Who changes cursors clears away what is left of one. */
export const CURSORS_REPLACEMENT = `.${CURSORS_FILE}.replacing`;
export const SET_ASIDE = 'set-aside';
/** What a file system has at its root stays there. */
const LOST_AND_FOUND = 'lost+found';

const DIGITS = 20;
const BLOCK = 512;
const SEGMENT_NAME = /^\d{20}\.mr$/;
const NAME_LENGTH = DIGITS + 3;
/** A segment that is being put in the place of another one. */
const REPLACEMENT_NAME = /^\.\d{20}\.mr\.replacing$/;

export interface SegmentFile {
  /** The offset of its first record, or that of the next one where it has none yet. */
  base: number;
  path: string;
  /** The id of the log that it is to be of, where that is known. */
  log?: string;
}

/** What a segment's metadata says of its place in the log. */
export interface SegmentFacts {
  /** The log that it belongs to. */
  id: string;
  base: number;
  /** The largest timestamp of all records before it, in microseconds. */
  maxTimeUs: number;
  /** How often it was compacted. */
  generation: number;
}

function isSegmentName(name: string): boolean {
  return name.length === NAME_LENGTH && SEGMENT_NAME.test(name) && Number.isSafeInteger(baseOf(name));
}

function isOurs(name: string): boolean {
  return [LOCK_FILE, CURSORS_FILE, CURSORS_REPLACEMENT, SET_ASIDE].includes(name) || isSegmentName(name);
}

function baseOf(name: string): number {
  return Number(name.slice(0, DIGITS));
}

export function segmentName(base: number): string {
  return `${String(base).padStart(DIGITS, '0')}.mr`;
}

export function factsOf(metadata: Record<string, unknown>, path: string): SegmentFacts {
  const facts = factsIn(metadata);
  if (facts !== undefined) return facts;
  throw new MillraceError('ERR_FORMAT', `${path} is a channel, but not a segment of a log`, { path });
}

export function factsIn(metadata: Record<string, unknown>): SegmentFacts | undefined {
  const facts = metadata.log as Partial<SegmentFacts> | undefined;
  const numbers = [facts?.base, facts?.maxTimeUs, facts?.generation];
  const isWhole = typeof facts?.id === 'string' && numbers.every((n) => Number.isSafeInteger(n));
  return isWhole ? (facts as SegmentFacts) : undefined;
}

/** Whether a segment that says this of itself belongs where it is; else its records are of other offsets, or another log. */
export function isInPlace({ base, log }: SegmentFile, metadata: Record<string, unknown>): boolean {
  const facts = factsIn(metadata);
  return facts?.base === base && (log === undefined || facts.id === log);
}

/** What is wrong with one that is not in place. */
export function strayError({ path, log }: SegmentFile, metadata: Record<string, unknown>): MillraceError {
  const facts = factsIn(metadata);
  const isOurs = facts !== undefined && (log === undefined || facts.id === log);
  const wrong = isOurs ? `is the one of record ${facts.base}, under a wrong name` : 'is of another log';
  const what = facts === undefined ? 'is no segment of a log' : wrong;
  const help = 'Log.repair, or millrace log repair, sets it aside';
  return new MillraceError('ERR_FORMAT', `The segment ${path} ${what}; ${help}`, { path });
}

/** So many segments are kept mapped for who comes back to them. */
const MOST_MAPPED = 128;

/** What lies in a log's directory. */
export class Directory {
  readonly path: string;
  /** Permissions of what is made in it, less the umask. */
  readonly fileMode: number;
  readonly mappings: SegmentMappings;
  readonly #times = new Map<number, number>();
  /** That of the log, where its lock file says it. */
  id: string | undefined;

  /** `fileMode`: that of what is there already, where it is left out. */
  constructor(path: string, readOnly = false, fileMode = modeIn(path)) {
    this.path = path;
    this.fileMode = fileMode;
    this.mappings = new SegmentMappings(readOnly, MOST_MAPPED);
  }

  /** A directory that is made here is on the disk, with all that had to be made above it. */
  async make(): Promise<void> {
    const { path } = this;
    try {
      for (const missing of missingOf(path)) {
        makeUnlessThere(missing);
        await disk.syncDirectory(dirname(missing));
      }
    } catch (error) {
      throw explain(error, path, 'make the directory');
    }
    if (!isDirectory(path)) throw invalidArgument(`${path} is a file, and a log is a directory`, { path });
  }

  /**
   * What is in a log's directory and not the log's is set aside. That must not befall the files of a mistaken path: where
   * nothing is the log's, none is made.
   */
  refuseForeign(): void {
    const { path } = this;
    const names = this.#list((directory) => readdirSync(directory));
    if (names.every((name) => name === LOST_AND_FOUND) || names.some(isOurs)) return;
    throw new MillraceError(
      'ERR_EXISTS',
      `${path} has files in it and is no log: a new log needs a directory of its own`,
      { path },
    );
  }

  assertThere(): void {
    if (isDirectory(this.path)) return;
    throw noLog(this.path);
  }

  fileOf(base: number): string {
    return join(this.path, segmentName(base));
  }

  /** The segments by their base offsets: their names are of one length, so they sort as numbers do. */
  segments(): SegmentFile[] {
    const names = this.#list((path) => readdirSync(path))
      .filter(isSegmentName)
      .sort();
    return names.map((name) => ({ base: baseOf(name), path: `${this.path}/${name}`, log: this.id }));
  }

  /** What is not a log's. Names that are not UTF-8 are told as text; `bytesOf` finds them again. */
  foreign(): string[] {
    const names = this.#rawNames().map(textOf);
    return names.filter((name) => name !== LOST_AND_FOUND && !isOurs(name));
  }

  /** The names here by their texts. Where several have the same, that which is UTF-8 comes first. */
  namesByText(): Map<string, Buffer[]> {
    const names = new Map<string, Buffer[]>();
    for (const name of this.#rawNames()) {
      const text = textOf(name);
      const same = names.get(text) ?? [];
      if (isUtf8(name)) same.unshift(name);
      else same.push(name);
      names.set(text, same);
    }
    return names;
  }

  /** Throws for a segment that is sound, but was put here, or renamed: its records would be read under wrong offsets. */
  refuseStray(file: SegmentFile, metadata: Record<string, unknown>): void {
    const expected = { ...file, log: this.id };
    if (!isInPlace(expected, metadata)) throw strayError(expected, metadata);
  }

  /** Whoever compacts or repairs may die, and leave one that was to be put in another one's place. */
  static whyForeign(name: string): string {
    return REPLACEMENT_NAME.test(name) ? 'it was never finished' : 'it is not a file of a log';
  }

  #rawNames(): Buffer[] {
    return this.#list((path) => readdirSync(path, { encoding: 'buffer' }));
  }

  #list<Name>(read: (path: string) => Name[]): Name[] {
    try {
      return read(this.path);
    } catch (error) {
      throw explain(error, this.path, 'read the log');
    }
  }

  /** The largest timestamp of all records before a segment; undefined where that can't be read. */
  maxTimeBefore({ base, path }: SegmentFile): number | undefined {
    const known = this.#times.get(base);
    if (known !== undefined) return known;
    let maxTimeUs: number;
    try {
      const reader = SegmentReader.openNow(path, { mappings: this.mappings });
      try {
        this.refuseStray({ base, path }, reader.metadata);
        ({ maxTimeUs } = factsOf(reader.metadata, path));
      } finally {
        reader.close();
      }
    } catch {
      // Damaged, gone or not of this log: whoever reads there is told.
      return undefined;
    }
    this.#times.set(base, maxTimeUs);
    return maxTimeUs;
  }

  /** It is removed. */
  forget(base: number): void {
    this.#times.delete(base);
  }
}

function modeIn(path: string): number {
  return permissionsOf(join(path, LOCK_FILE)) ?? DEFAULT_FILE_MODE;
}

function isDirectory(path: string): boolean {
  return statOf(path)?.isDirectory() === true;
}

/** What is not there of a path, the outermost first. */
function missingOf(path: string): string[] {
  const missing: string[] = [];
  for (let at = path; !existsSync(at); at = dirname(at)) missing.unshift(at);
  return missing;
}

/** One by one, since making all at once may try for ever where the system says that nothing is there (nodejs' `recursive`). */
function makeUnlessThere(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    refuseDanglingLink(path);
  }
}

/** The names in it reach its disk. */
export async function syncNames(directory: string): Promise<void> {
  try {
    await disk.syncDirectory(directory);
  } catch (error) {
    throw explain(error, directory, 'sync');
  }
}

/** What a file takes of the disk; undefined where it is gone. */
export function diskBytes(path: string): number | undefined {
  const stat = statOf(path);
  return stat && stat.blocks * BLOCK;
}

export function noLog(path: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', `There is no log at ${path}`, { path });
}

/** The index of the last of the segments that begins at or before an offset; -1 where none does. */
export function indexOfRecord(segments: readonly SegmentFile[], offset: number): number {
  let low = 0;
  let high = segments.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle].base <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';
import { explain } from '../runtime/index.js';

/** What lies at a path; undefined where nothing does. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw explain(error, path, 'look at');
  }
}

/** What tells a file from every other that is there. */
export type FileIdentity = Pick<Stats, 'dev' | 'ino'>;

export function isFile({ file }: { file: FileHandle }, { dev, ino }: FileIdentity): boolean {
  const { inode, device } = binding().statFile(file);
  return ino === inode && dev === device;
}

/** Whether a file's path still leads to this very file, to another one by now, or to none. */
export function whereLeads(opened: { path: string; file: FileHandle }): 'here' | 'elsewhere' | 'gone' {
  const named = statOf(opened.path);
  if (named === undefined) return 'gone';
  return isFile(opened, named) ? 'here' : 'elsewhere';
}

/** The name of the file itself, where the one that is given is a symbolic link to it. */
export function behindLink(path: string): string {
  if (!isLink(path)) return path;
  refuseDanglingLink(path);
  try {
    return realpathSync(path);
  } catch (error) {
    throw explain(error, path, 'look at');
  }
}

/** What is wrong with a name that is taken, and under which nothing is to be found; undefined for any other. */
export function danglingLinkAt(path: string): MillraceError | undefined {
  if (statOf(path) !== undefined || !isLink(path)) return undefined;
  return new MillraceError('ERR_FORMAT', `${path} is a symbolic link that leads nowhere`, { path });
}

export function refuseDanglingLink(path: string): void {
  const error = danglingLinkAt(path);
  if (error !== undefined) throw error;
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch (error) {
    throw explain(error, path, 'look at');
  }
}

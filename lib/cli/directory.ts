import { existsSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { beginsAsChannel, explain } from '../channel/index.js';
import { MillraceError, shmPath } from '../index.js';
import { onePath, type Verb } from './command.js';

/** The directory that a verb is about; where none is named, the one in which `shmPath` puts channels. */
export function directoryOf(verb: Verb, paths: string[]): string {
  if (paths.length === 0) return dirname(shmPath('any'));
  const path = resolve(onePath(verb, paths, 'directory'));
  if (isDirectory(path)) return path;
  throw new MillraceError(
    'ERR_FORMAT',
    `${path} is a file, and ${verb.name} is about a directory: name the one it lies in; of a channel tells millrace stat ${path}`,
    { path },
  );
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    throw explain(error, path, 'look through');
  }
}

/** Whether a log is in it. */
export function isLog(directory: string): boolean {
  return existsSync(join(directory, 'log.lock'));
}

/** In a log's directory there are its own files only: others are set aside by who opens it. `what` was to be made there. */
export function refuseInLog(directory: string, what: string): void {
  if (!isLog(directory)) return;
  throw new MillraceError(
    'ERR_FORMAT',
    `${directory} is the directory of a log, which has no place for ${what}: choose a path outside of it`,
    { path: directory },
  );
}

/** Whether a channel is there, whatever state it is in. Throws where that can't be seen by who wants to `doing` it. */
export function isChannel(path: string, doing = 'open'): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true && beginsAsChannel(path);
  } catch (error) {
    throw explain(error, path, doing);
  }
}

import { existsSync, lstatSync } from 'node:fs';
import { explain } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';

/** Throws for a name that is taken, and under which nothing is to be found. */
export function refuseDanglingLink(path: string): void {
  if (existsSync(path) || !isLink(path)) return;
  throw new MillraceError('ERR_FORMAT', `${path} is a symbolic link that leads nowhere`, { path });
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  } catch (error) {
    throw explain(error, path, 'look at');
  }
}

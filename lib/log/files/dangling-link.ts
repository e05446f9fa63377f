import { existsSync, lstatSync } from 'node:fs';
import { MillraceError } from '../../errors.js';

/** Throws for a name that is taken, and under which nothing is to be found. */
export function refuseDanglingLink(path: string): void {
  if (existsSync(path) || lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  throw new MillraceError('ERR_FORMAT', `${path} is a symbolic link that leads nowhere`, { path });
}

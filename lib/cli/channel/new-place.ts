import { lstatSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { MillraceError } from '../../index.js';
import { isChannel, refuseInLog } from '../directory.js';

/** Refuses a path that no channel can have. Whether one that has it already may be replaced is for the library to judge. */
export function checkNewPlace(given: string): void {
  const path = resolve(given);
  refuseInLog(dirname(path), 'a channel');
  if (isChannel(path, 'create')) return;
  const found = statSync(path, { throwIfNoEntry: false }) ?? lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  const what = found.isDirectory()
    ? 'is a directory: name a file in it, which is made'
    : `${found.isSymbolicLink() ? 'is a link to nothing' : 'is there already and is no channel'}: choose another name`;
  throw new MillraceError('ERR_EXISTS', `${path} ${what}`, { path });
}

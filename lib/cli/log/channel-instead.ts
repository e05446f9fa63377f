import { MillraceError } from '../../index.js';
import { onePath, type Verb } from '../command.js';
import { isChannel } from '../directory.js';

/** The log that a verb is about; of a channel says which verb is for that. */
export function logPath(verb: Verb, paths: string[], instead: string): string {
  const path = onePath(verb, paths, 'log');
  refuseChannel(path, instead);
  return path;
}

export function refuseChannel(path: string, instead: string): void {
  if (!isChannel(path)) return;
  const message = `${path} is a channel, and no log: millrace ${instead} ${path}`;
  throw new MillraceError('ERR_FORMAT', message, { path });
}

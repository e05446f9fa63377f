import { MillraceError } from '../../index.js';
import { isLog } from '../directory.js';

/** Of the directory of a log, which is no channel, says which verb is for that. */
export function refuseLog(path: string, verb: string): void {
  if (!isLog(path)) return;
  const message = `${path} is the directory of a log, and no channel: millrace log ${verb} ${path}`;
  throw new MillraceError('ERR_FORMAT', message, { path });
}

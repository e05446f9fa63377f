import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../index.js';

/** Of the directory of a log, which is no channel, says which verb is for that. */
export function refuseLog(path: string, verb: string): void {
  if (!existsSync(join(path, 'log.lock'))) return;
  const message = `${path} is the directory of a log, and no channel: millrace log ${verb} ${path}`;
  throw new MillraceError('ERR_FORMAT', message, { path });
}

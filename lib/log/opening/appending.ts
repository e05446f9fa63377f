import type { Limits } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type Directory, hasAppender, LockFile } from '../files/index.js';
import type { LogSettings } from '../options.js';
import { LogWriter } from '../writing/index.js';
import { AppendingEnd } from './appending-end.js';
import { recoverLog } from './recovery.js';
import { SharedWriter } from './shared-writer.js';

/**
 * Alone, or by turns with others, as the log was made for; where `writers` says it, it has to be so. `limits`: for how long
 * to wait for the turn in which to see what there is.
 */
export async function openToAppend(
  directory: Directory,
  lock: LockFile,
  settings: LogSettings,
  limits: Limits,
): Promise<AppendingEnd> {
  const { writers } = settings;
  if (writers !== undefined && lock.shared !== (writers === 'shared')) throw wrongWay(lock);
  return lock.shared
    ? openShared(directory, lock, settings, limits)
    : openExclusive(directory, lock, settings);
}

/** Whether somebody has the log open to append, in any process. */
export function isAppendedTo(directory: Directory): boolean {
  const lock = LockFile.open(directory.path, false);
  if (lock === undefined) return false;
  try {
    return lock.shared ? hasAppender(lock) : lock.hasWriter;
  } finally {
    lock.close();
  }
}

async function openExclusive(
  directory: Directory,
  lock: LockFile,
  settings: LogSettings,
): Promise<AppendingEnd> {
  lock.lockForWriter();
  const { end, sealed, recovery } = await recoverLog(directory, lock, settings);
  const writer = new LogWriter(directory, lock, settings, sealed, end);
  return new AppendingEnd(directory.path, settings, recovery, writer);
}

async function openShared(
  directory: Directory,
  lock: LockFile,
  settings: LogSettings,
  limits: Limits,
): Promise<AppendingEnd> {
  const shared = await SharedWriter.open(directory, lock, settings, limits);
  return new AppendingEnd(directory.path, settings, shared.recovery, shared.writer, shared);
}

function wrongWay({ directory: path, shared }: LockFile): MillraceError {
  const how = shared ? 'by several processes, each in its turn' : 'by one process alone';
  const writers = shared ? 'shared' : 'exclusive';
  return new MillraceError(
    'ERR_SHARED',
    `The log ${path} was made to be written ${how}; open it so: leave writers out, or say '${writers}'`,
    { path },
  );
}

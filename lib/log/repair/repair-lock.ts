import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { explain, whereLeads } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';
import {
  type Directory,
  hasAppender,
  isLocked,
  isOfLaterVersion,
  keepOwner,
  LOCK_FILE,
  LockFile,
  logOfMost,
  noLog,
  openIfThere,
  saysShared,
  TURN_BYTE,
  tryLock,
  WRITER_BYTE,
  writerActive,
} from '../files/index.js';
import type { LogFault } from './segment-verify.js';

/** What a writer holds on its segment, where the log is its own. */
const SEGMENT_WRITER_BYTE = 0;

/** A log in the hands of whoever repairs it: nobody else appends to it before it is closed. */
export interface RepairLock {
  lock: LockFile;
  /** What was wrong with the lock file, which is sound by now. */
  fault: LogFault | undefined;
  close(): void;
}

/**
 * Takes the log for whoever repairs it. A lock file that is missing, damaged or of another log than most segments is made
 * anew; `aside` is called before that takes the place of another one.
 */
export async function lockForRepair(
  directory: Directory,
  aside: (reason: string) => Promise<void>,
): Promise<RepairLock> {
  const path = join(directory.path, LOCK_FILE);
  refuseHiddenWriter(directory);
  let fault: LogFault | undefined;
  for (;;) {
    if (!existsSync(path)) {
      const [first] = directory.segments();
      if (first === undefined) throw noLog(directory.path);
      fault = faultOf(path, `${path} is missing`, false);
      (await LockFile.openOrMake(directory, false)).close();
      keepOwnerOf(first.path, path);
    }
    const file = take(path);
    if (file === undefined) continue;
    try {
      const { lock, fault: found } = await soundOne(directory, path, file, aside);
      const close = () => {
        lock.close();
        // Not before: who had opened this one before another one took its place finds it locked, or without its name.
        binding().closeFile(file);
      };
      return { lock, fault: found ?? fault, close };
    } catch (error) {
      binding().closeFile(file);
      throw error;
    }
  }
}

/** Whether the lock file was removed under a writer that lives: it keeps its last segment locked, too. */
function refuseHiddenWriter(directory: Directory): void {
  for (let looked: number | undefined; ; ) {
    const segments = directory.segments();
    // A writer that goes on in a new segment lets go of the one before.
    if (looked === segments.at(-1)?.base) return;
    looked = segments.at(-1)?.base;
    if (segments.some(({ path }) => isWritten(path))) throw writerActive(directory.path);
  }
}

function isWritten(path: string): boolean {
  const file = openIfThere(path, false);
  if (file === undefined) return false;
  try {
    return isLocked({ path, file }, SEGMENT_WRITER_BYTE, SEGMENT_WRITER_BYTE + 1);
  } finally {
    binding().closeFile(file);
  }
}

/** The file, whatever is in it, with all its locks; undefined where it is gone, or another one has its name by now. */
function take(path: string): FileHandle | undefined {
  const file = openIfThere(path, true);
  if (file === undefined) return undefined;
  try {
    lockAll(path, file);
    if (whereLeads({ path, file }) === 'here') return file;
    binding().closeFile(file);
    return undefined;
  } catch (error) {
    binding().closeFile(file);
    throw error;
  }
}

/** As its one writer, and as the one whose turn it is. */
function lockAll(path: string, file: FileHandle): void {
  const lock = { path, file };
  const isOurs = tryLock(lock, WRITER_BYTE) && !hasAppender(lock);
  if (!isOurs || !tryLock(lock, TURN_BYTE)) throw writerActive(dirname(path));
}

/** The lock file itself where it is sound; else one that has taken its place. */
async function soundOne(
  directory: Directory,
  path: string,
  file: FileHandle,
  aside: (reason: string) => Promise<void>,
): Promise<{ lock: LockFile; fault?: LogFault }> {
  const found = judge(directory, path, file);
  if (found instanceof LockFile) return { lock: found };
  const shared = saysShared(file);
  const fault = faultOf(path, found, shared);
  await aside(fault.message);
  // step 131
  return { lock: await LockFile.replace(directory, shared), fault };
}

/** The lock file, or what is wrong with it. */
function judge(directory: Directory, path: string, file: FileHandle): LockFile | string {
  let lock: LockFile;
  try {
    lock = LockFile.ofFile(path, file);
  } catch (error) {
    const isDamaged =
      error instanceof MillraceError && error.code === 'ERR_FORMAT' && !isOfLaterVersion(error);
    if (isDamaged) return error.message;
    throw error;
  }
  const most = logOfMost(directory.segments(), lock.id);
  return most === undefined || most === lock.id ? lock : `${path} is of another log than most segments`;
}

/** No segment says whether the log is one that several processes append to. */
function faultOf(path: string, what: string, shared: boolean): LogFault {
  const whose = shared ? 'several processes append to' : 'one process appends to';
  const message = `${what}; made anew for a log that ${whose}, as far as that can be told`;
  return { code: 'ERR_FORMAT', message, file: path };
}

function keepOwnerOf(segment: string, path: string): void {
  try {
    keepOwner(path, statSync(segment));
  } catch (error) {
    throw explain(error, path, 'create');
  }
}

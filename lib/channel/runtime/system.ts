import { existsSync, type StatsFs, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { type ErrorFacts, MillraceError } from '../../errors.js';
import { isSystemError, type SystemError } from '../../native.js';

/**
 * Puts what the kernel said into words. Anything that is not the kernel's passes through as it is. `needed`: how many
 * bytes there was to be room for.
 */
export function explain(error: unknown, path: string, doing: string, needed?: number): unknown {
  if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ERR_EXTERNAL_BUFFERS') {
    return new MillraceError('ERR_EXTERNAL_BUFFERS', error.message, { path, cause: error });
  }
  if (!isSystemError(error)) return error;
  if (needed !== undefined && isOutOfSpace(error)) return noSpace(path, needed, error);
  const facts = factsOf(error, path);
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new MillraceError('ERR_NOT_FOUND', `Can't ${doing} ${path}: it is not there`, facts);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new MillraceError('ERR_PERMISSION', `Can't ${doing} ${path}: no permission`, facts);
    case 'EEXIST':
      return alreadyThere(path, error);
    case 'EISDIR':
      return new MillraceError('ERR_FORMAT', `${path} is a directory, not a channel`, facts);
    case 'EOPNOTSUPP':
    case 'ENODEV':
      return incapable(path, error, facts);
    case 'EINVAL':
    case 'ENOSYS':
    case 'ENOLCK':
      // Nothing wrong is ever asked of locks: there are none.
      if (error.syscall.startsWith('fcntl(F_OFD_')) return incapable(path, error, facts);
      break;
  }
  return refusedBySystem(error, path, doing);
}

function incapable(path: string, { code, syscall }: SystemError, facts: ErrorFacts): MillraceError {
  return new MillraceError(
    'ERR_FILESYSTEM',
    `The file system of ${path}, or this sandbox, can't do what a channel needs (${syscall}: ${code})`,
    facts,
  );
}

/** The same where no other reason tells the caller more: of what is no file of the caller's. */
export function refusedBySystem(error: SystemError, path: string, doing: string): MillraceError {
  return new MillraceError('ERR_SYSTEM', `Can't ${doing} ${path}: ${error.message}`, factsOf(error, path));
}

/** Of an error that `cause` is behind; the kernel's own facts too, where that is its word. */
export function factsOf(cause: unknown, path: string): ErrorFacts {
  return isSystemError(cause)
    ? { path, cause, errno: cause.errno, syscall: cause.syscall }
    : { path, ...(cause !== undefined && { cause }) };
}

export function alreadyThere(path: string, cause?: SystemError): MillraceError {
  return new MillraceError(
    'ERR_EXISTS',
    `${path} exists already, and nothing is ever overwritten. Writer.resume goes on with a channel whose writer died; ` +
      'replace: true takes the place of one that is dead or ended',
    factsOf(cause, path),
  );
}

function noSpace(path: string, needed: number, cause: SystemError): MillraceError {
  const system = fileSystemOf(path);
  const available = system && system.bavail * system.bsize;
  return new MillraceError(
    'ERR_NO_SPACE',
    `No space for ${path}: it needs ${needed} bytes${available === undefined ? '' : `, ${available} are free`}` +
      (path.startsWith('/dev/shm/')
        ? ". A container's /dev/shm has 64 MB unless it is started with a larger --shm-size"
        : ''),
    { ...factsOf(cause, path), needed, available },
  );
}

/** What has the file, or would; undefined where that is gone. */
function fileSystemOf(path: string): StatsFs | undefined {
  try {
    return statfsSync(existsSync(path) ? path : dirname(path));
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}

export function isOutOfSpace(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'ENOSPC' || error.code === 'EDQUOT');
}

/** Whether the process, or the machine, has as many files open as it may: closing some helps. */
function isShortOfFiles(error: unknown): boolean {
  const cause = error instanceof MillraceError ? error.cause : error;
  return isSystemError(cause) && (cause.code === 'EMFILE' || cause.code === 'ENFILE');
}

const UNLOOKED = new Set(['ENOMEM', 'EACCES', 'EPERM']);

/**
 * The same, or there is no memory to map one more, or this process may not look: what could not be looked at for that is not
 * judged by it.
 */
export function isUnlooked(error: unknown): boolean {
  const cause = error instanceof MillraceError ? error.cause : error;
  return isShortOfFiles(cause) || (isSystemError(cause) && UNLOOKED.has(cause.code));
}

/**
 * Whether what was to be brought to the disk could not even be opened, for a reason that may pass and says nothing of the
 * disk. What was taken for a failed sync before is one.
 */
export function isUnopened(error: unknown): boolean {
  if (isShortOfFiles(error)) return true;
  if (error instanceof MillraceError && error.code === 'ERR_SYNC_FAILED') return false;
  const cause = error instanceof MillraceError ? error.cause : error;
  return isSystemError(cause) && cause.syscall === 'open' && UNLOOKED.has(cause.code);
}

/** Where sharing a mapping or a lock between processes can't be trusted: the magic numbers of statfs(2). */
const UNTRUSTED_FILE_SYSTEMS = new Map<number, string>([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x01021997, '9p'],
  [0x65735546, 'FUSE'],
  [0x00c36400, 'Ceph'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x0bd00bd0, 'Lustre'],
  [0x19830326, 'FhGFS'],
  [0x47504653, 'GPFS'],
  [0x786f4256, 'vboxsf'],
  [0x9fa0, 'proc'],
  [0x62656572, 'sysfs'],
]);

const RAM_FILE_SYSTEMS = new Set([0x01021994, 0x858458f6]);

export function refuseFileSystem(magic: number, path: string): void {
  const name = UNTRUSTED_FILE_SYSTEMS.get(magic >>> 0);
  if (name === undefined) return;
  throw new MillraceError(
    'ERR_FILESYSTEM',
    `${path} is on ${name}, where memory and locks are not reliably shared between processes. ` +
      'Use /dev/shm, a tmpfs, or a local disk',
    { path, fileSystem: name },
  );
}

export function isRam(magic: number): boolean {
  return RAM_FILE_SYSTEMS.has(magic >>> 0);
}

import { chmodSync, chownSync, statSync } from 'node:fs';

/** Nobody but the owner may read or write. */
export const DEFAULT_FILE_MODE = 0o600;
const PERMISSIONS = 0o7777;
const ACCESS = 0o777;

/** Who may read and write a file; undefined where there is none, or nobody may look. */
export function permissionsOf(path: string): number | undefined {
  try {
    return statSync(path).mode & ACCESS;
  } catch {
    return undefined;
  }
}

/**
 * Has what takes the place of a file, or lies beside it, be its owner's, and open to whom that was: so that root, too, may
 * look after a log of somebody else. Where that is not allowed it stays as it is.
 */
export function keepOwner(path: string, before: { uid: number; gid: number; mode: number }): void {
  try {
    const { uid, gid, mode } = statSync(path);
    if (uid !== before.uid || gid !== before.gid) chownSync(path, before.uid, before.gid);
    if ((mode & PERMISSIONS) !== (before.mode & PERMISSIONS)) chmodSync(path, before.mode & PERMISSIONS);
  } catch (error) {
    // Nor where nobody here is called that (EINVAL, in a user namespace).
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EINVAL') throw error;
  }
}

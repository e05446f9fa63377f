import { chmodSync, chownSync, statSync } from 'node:fs';

/** Nobody but the owner may read or write. */
export const DEFAULT_FILE_MODE = 0o600;
/** All but to run as its owner, who may be another one. */
const PERMISSIONS = 0o3777;
const ACCESS = 0o777;
const AS_IT_IS = -1;

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
 * look after a log of somebody else. What of that is not allowed stays as it is. Returns whether all who could use that
 * may use this: its owner, too, where that was not to be kept, but the group may do the same.
 */
export function keepOwner(path: string, before: { uid: number; gid: number; mode: number }): boolean {
  const { uid, gid } = statSync(path);
  const isGroups = gid === before.gid || isAllowed(() => chownSync(path, AS_IT_IS, before.gid));
  const mode = isGroups ? before.mode : withoutGroup(before.mode);
  const isOpen = isAllowed(() => chmodSync(path, mode & PERMISSIONS));
  const isOwners = uid === before.uid || isAllowed(() => chownSync(path, before.uid, AS_IT_IS));
  return isOpen && isGroups && (isOwners || mayGroupDoTheSame(before.mode));
}

function isAllowed(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    // Nor where nobody here is called that (EINVAL, in a user namespace).
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EINVAL') throw error;
    return false;
  }
}

/** Another group may do what everybody may. */
function withoutGroup(mode: number): number {
  return (mode & ~0o070) | ((mode & 0o007) << 3);
}

function mayGroupDoTheSame(mode: number): boolean {
  return ((mode >> 3) & 7) === ((mode >> 6) & 7);
}

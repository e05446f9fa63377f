import { MillraceError } from '../../errors.js';

/** Whether something is broken there, and not only of a later version. */
export function isBroken(error: unknown): error is MillraceError {
  if (!(error instanceof MillraceError)) return false;
  const { code, format, features } = error;
  if (format !== undefined || features !== undefined) return false;
  return code === 'ERR_FORMAT' || code === 'ERR_CORRUPT' || code === 'ERR_TRUNCATED';
}

import { asOfSegment, danglingLinkAt, inspect, SegmentReader } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { isBroken } from './damage.js';
import { isInPlace, type SegmentFile } from './directory.js';
import { knownEndOf } from './segment-end.js';

/** Why it is set aside. */
export const NOT_OF_LOG = 'it is not a segment of this log';

/** Whether a file has the name of a segment of its log, and is not that one by its header. One that is gone is none. */
export function isStray(file: SegmentFile): boolean {
  try {
    return !isInPlace(file, inspect(file.path).metadata);
  } catch (cause) {
    const error = asOfSegment(cause, file.path);
    if (isBroken(error)) return true;
    // A later version wrote it, or that says nothing of the file.
    if (!(error instanceof MillraceError && error.code === 'ERR_NOT_FOUND')) throw error;
    return danglingLinkAt(file.path) !== undefined;
  }
}

/**
 * Whether the log is whole without a stray: the last segment before it goes on past it. A damaged segment of the log is where
 * the one before it ends.
 */
export function isPassedOver({ base }: SegmentFile, before: readonly SegmentFile[]): boolean {
  const last = before.findLast((file) => !isStray(file));
  if (last === undefined) return false;
  const segment = SegmentReader.openNow(last.path, { readOnly: true });
  try {
    return knownEndOf(segment) > base;
  } finally {
    segment.close();
  }
}

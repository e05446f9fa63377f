import { SegmentReader, type SegmentWriter } from '../../channel/index.js';
import { isBroken } from './damage.js';
import { factsOf } from './directory.js';
import { walkFrames } from './segment-walk.js';

/** Where the log goes on behind a segment: where that says so, or else behind its last record. */
export function nextBehind(path: string): number {
  const segment = SegmentReader.openNow(path, { readOnly: true });
  try {
    return endOf(segment);
  } finally {
    segment.close();
  }
}

/** The same of one that is open; moves it to its end. */
export function endOf(segment: SegmentReader): number {
  segment.seekLatest();
  const link = segment.hasEnded() ? segment.link() : undefined;
  return link?.record ?? nextAt(segment, segment.position);
}

/** The same; NaN where damage hides it: whoever comes there by reading hears of it. */
export function knownEndOf(segment: SegmentReader): number {
  try {
    return endOf(segment);
  } catch (error) {
    if (isBroken(error)) return Number.NaN;
    throw error;
  }
}

/** The offset behind the last record before a position. */
export function nextBefore(path: string, position: number): number {
  const segment = SegmentReader.openNow(path, { readOnly: true });
  try {
    return nextAt(segment, position);
  } finally {
    segment.close();
  }
}

/** The same in one that is open. Throws where damage lies before it. */
export function nextAt(segment: SegmentReader | SegmentWriter, position: number): number {
  return (segment.tagBefore(position) ?? segment.baseRecord - 1) + 1;
}

/** The last record before a position, past damage that may have been records; undefined where none can be told. */
export function lastBefore(segment: SegmentReader, position: number): number | undefined {
  return wholeBefore(segment, position).last;
}

/** The same, and the position in front of such damage. */
export function wholeBefore(segment: SegmentReader, position: number): { last?: number; end: number } {
  for (let end = position; ; ) {
    try {
      return { last: segment.tagBefore(end), end };
    } catch (error) {
      if (!isBroken(error)) throw error;
      end = error.position as number;
    }
  }
}

/** The largest timestamp of the log up to the end of a segment, in microseconds. */
export async function maxTimeOf(path: string): Promise<number> {
  const segment = await SegmentReader.open(path, { readOnly: true });
  try {
    let { maxTimeUs } = factsOf(segment.metadata, path);
    await walkFrames(segment, () => {
      maxTimeUs = Math.max(maxTimeUs, segment.timeUs);
    });
    return maxTimeUs;
  } finally {
    segment.close();
  }
}

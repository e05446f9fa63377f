import { SegmentReader } from '../channel/index.js';
import { factsOf } from './directory.js';
import { walkFrames } from './segment-walk.js';

/** Where the log goes on behind the last record of a segment that is sealed. */
export function nextBehind(path: string): number {
  const segment = SegmentReader.openNow(path, { readOnly: true });
  try {
    segment.seekLatest();
    const link = segment.hasEnded() ? segment.link() : undefined;
    return link?.record ?? nextAt(segment, segment.position);
  } finally {
    segment.close();
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

function nextAt(segment: SegmentReader, position: number): number {
  return (segment.tagBefore(position) ?? segment.baseRecord - 1) + 1;
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

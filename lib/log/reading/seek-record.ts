import type { RecordHandler, SegmentReader } from '../../channel/index.js';
import type { MillraceError } from '../../errors.js';
import { HALT, isBroken } from '../files/index.js';
import { lookAtFrame } from '../records/index.js';

/** A frame that can be read, and the offset of its first record. */
interface FoundFrame {
  position: number;
  first: number;
}

/**
 * Moves a segment to the frame of a record, or, where there is none, to the next one behind it. Where damage lies there, to
 * that: unless the frame behind the damage is a batch with this record in it.
 */
export function seekRecord(segment: SegmentReader, offset: number): void {
  segment.seekTag(offset);
  const { position } = segment;
  const { next } = look(segment, position).damage ?? {};
  const behind = next === undefined ? undefined : firstFrom(segment, next);
  const at = behind !== undefined && behind.first <= offset ? behind.position : position;
  segment.goTo({ position: at, record: 0 });
}

/** The first frame that can be read at or behind a position; undefined where there is none. The segment stays where it is. */
export function firstFrom(segment: SegmentReader, from: number): FoundFrame | undefined {
  const { position } = segment;
  for (let at: number | undefined = from; at !== undefined; ) {
    const { found, damage } = look(segment, at);
    segment.goTo({ position, record: 0 });
    if (found !== undefined) return found;
    at = damage?.next;
  }
  return undefined;
}

/** What is at a position; the segment is moved there. Neither at its end. */
function look(segment: SegmentReader, position: number): { found?: FoundFrame; damage?: MillraceError } {
  let found: FoundFrame | undefined;
  const take: RecordHandler = (bytes, start, end, type) => {
    const first = firstOf(bytes, start, end, type, segment.tag, segment.timeUs);
    found = { position: segment.position, first };
    throw HALT;
  };
  segment.goTo({ position, record: 0 });
  try {
    segment.poll(take, 1);
  } catch (error) {
    if (isBroken(error)) return { damage: error };
    if (error !== HALT) throw error;
  }
  return { found };
}

/** The first record of a frame; of a batch that can't be told, the last one leads there, too. */
function firstOf(...frame: Parameters<typeof lookAtFrame>): number {
  try {
    return lookAtFrame(...frame).first;
  } catch (error) {
    if (isBroken(error)) return frame[4];
    throw error;
  }
}

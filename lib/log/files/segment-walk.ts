import {
  isTurnOver,
  type RecordHandler,
  type SegmentReader,
  SLICE_BYTES,
  throwIfAborted,
  turn,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { PACKED } from '../records/index.js';
import { HALT } from './halt.js';

/** A look at the clock takes as long as one at a small record. */
const FRAMES_A_LOOK = 63;
const NO_LIMIT = 0x7fffffff;

export interface WalkOptions {
  /** The position to stop at. */
  until?: number;
  signal?: AbortSignal;
}

/** Hands out the frames of a segment from where it stands, in slices, as far as there are any now. */
export async function walkFrames(
  segment: SegmentReader,
  handler: RecordHandler,
  { until = Number.POSITIVE_INFINITY, signal }: WalkOptions = {},
): Promise<void> {
  for (let goesOn = true; goesOn; await turn()) {
    throwIfAborted(signal, { what: `Reading ${segment.path}`, path: segment.path });
    goesOn =
      handSlice(segment, Math.min(until, segment.position + SLICE_BYTES), handler) &&
      segment.position < until;
  }
}

/** False where that was all. */
function handSlice(segment: SegmentReader, until: number, handler: RecordHandler): boolean {
  let frames = 0;
  try {
    segment.poll((bytes, start, end, type) => {
      if (segment.position >= until) throw HALT;
      const looks = (frames & FRAMES_A_LOOK) === FRAMES_A_LOOK || type === PACKED;
      if (looks && frames > 0 && isTurnOver()) throw HALT;
      frames++;
      handler(bytes, start, end, type);
    }, NO_LIMIT);
    return false;
  } catch (error) {
    // Where it is to stop there may be no frame, but damage.
    if (error !== HALT && !(error instanceof MillraceError && segment.position >= until)) throw error;
    return true;
  }
}

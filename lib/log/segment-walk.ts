import { type RecordHandler, type SegmentReader, throwIfAborted, turn } from '../channel/index.js';
import { HALT } from './frame-reader.js';

/** Looked through before the event loop has a turn again. */
const SLICE = 2 ** 20;
const NO_LIMIT = 0x7fffffff;

/** Hands out the frames of a segment from where it stands, in slices, as far as there are any now. */
export async function walkFrames(
  segment: SegmentReader,
  handler: RecordHandler,
  signal?: AbortSignal,
): Promise<void> {
  for (let goesOn = true; goesOn; await turn()) {
    throwIfAborted(signal, `Reading ${segment.path}`);
    goesOn = handSlice(segment, handler);
  }
}

/** False where that was all. */
function handSlice(segment: SegmentReader, handler: RecordHandler): boolean {
  const until = segment.position + SLICE;
  try {
    segment.poll((bytes, start, end, type) => {
      if (segment.position >= until) throw HALT;
      handler(bytes, start, end, type);
    }, NO_LIMIT);
    return false;
  } catch (error) {
    if (error !== HALT) throw error;
    return true;
  }
}

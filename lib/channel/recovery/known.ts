import {
  fence,
  loadAcquire,
  loadPosition,
  type Mapped,
  type Mark,
  Marks,
  type Place,
  wordAt,
} from '../file/index.js';
import * as L from '../layout.js';
import { kindAt, plausibleLength } from './damage.js';

const TAIL = L.TAIL_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;

/**
 * The last place at or below a position whose record is known: a mark, or where the channel begins. Undefined where a ring
 * has no mark left that can be read.
 */
export function lastKnown({ words, header }: Mapped, position: number): Mark | undefined {
  const { basePosition, baseRecord, capacity } = header;
  const least =
    header.mode === 'linear' ? basePosition : Math.max(basePosition, loadPosition(words, LIMIT) - capacity);
  const mark = new Marks(words, header).newestAtOrBelow(position, least);
  if (mark !== undefined) return mark;
  return least === basePosition ? { position: basePosition, record: baseRecord, maxTimeUs: 0 } : undefined;
}

/**
 * The tail with the number of the record behind it, counted from the last known place. The count in the header is stored
 * before the tail that it goes with: whoever looks or dies between the two has one that is ahead. Undefined where something
 * on the way is damaged.
 */
export function countedTail(channel: Mapped): Place | undefined {
  const position = loadPosition(channel.words, TAIL);
  const record = recordAt(channel, position);
  return record === undefined ? undefined : { position, record };
}

/** The number of the record at the start of a frame, by the frames from the last known place before it. */
export function recordAt(channel: Mapped, goal: number): number | undefined {
  const known = lastKnown(channel, goal);
  if (known === undefined) return undefined;
  let { position, record } = known;
  while (position < goal) {
    const length = plausibleLength(channel, position);
    if (length === 0) break;
    if (kindAt(channel, position) === L.KIND_DATA) record++;
    position += (length + 15) & -16;
  }
  fence();
  const { words, header } = channel;
  const isOverwritten =
    header.mode === 'ring' && loadPosition(words, LIMIT) - known.position > header.capacity;
  return position === goal && !isOverwritten ? record : undefined;
}

/** How many records were committed from the start of a frame on, as far as its frames make sense. */
export function recordsFrom(channel: Mapped, position: number): number {
  const end = position + channel.header.capacity;
  let records = 0;
  // Who sees the length sees the frame.
  for (let at = position; at < end && loadAcquire(channel.words, wordAt(channel, at)) !== 0; ) {
    const length = plausibleLength(channel, at);
    if (length === 0) break;
    if (kindAt(channel, at) === L.KIND_DATA) records++;
    at += (length + 15) & -16;
  }
  return records;
}

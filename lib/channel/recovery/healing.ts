import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import {
  highOf,
  type Mapped,
  Marker,
  Marks,
  positionAt,
  STATE,
  storePosition,
  syncChannel,
} from '../file/index.js';
import * as L from '../layout.js';
import { type InSlices, inTurns, SLICE_BYTES } from '../runtime/index.js';
import { examine, type Remains } from './cut-off.js';
import { publishRecovered, type Start } from './recovery.js';

const LIMIT = L.LIMIT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;

export function refuseUnhealable({ path, header }: Mapped): void {
  if (header.checksums && header.mode === 'linear') return;
  throw new MillraceError(
    'ERR_ENDED',
    `${path} was left by an earlier start of this machine; it can be read, but not written again: ` +
      (header.mode === 'ring'
        ? 'a ring does not outlive it'
        : 'without checksums nothing tells what of it is whole'),
    { path, state: 'dead' },
  );
}

/** What is left, and how many bytes behind it held something that is gone. */
export interface Healed extends Remains, Start {
  dropped: number;
}

/**
 * Makes a channel that was cut off one that can be gone on with. Nothing is changed in one that is damaged. Whoever dies
 * on the way leaves it cut off, as it was, for the next to do the same again.
 */
export async function heal(channel: Mapped): Promise<Healed> {
  const remains = await inTurns(examine(channel));
  const { file, words, header } = channel;
  // step 82
  const cleared = remains.ending === undefined ? await binding().clearRest(file, remains.end) : remains.end;
  // step 83
  const unmarked = await inTurns(markAnew(channel, remains.end));
  // The first page may be older than all the rest.
  storePosition(words, LIMIT, header.basePosition + header.capacity);
  Atomics.store(words, STATE, L.STATE_OPEN);
  publishRecovered(channel, remains);
  // Before anything is appended: or frames that were dropped now could come back behind the new ones.
  await syncChannel(channel);
  // step 84
  storePosition(words, DURABLE, remains.position);
  return { ...remains, unmarked, dropped: cleared - remains.end };
}

/**
 * Marks of frames that were dropped may be on the disk, and marks of those that are left may be missing. Returns the first
 * stride that has none yet.
 */
function* markAnew(channel: Mapped, end: number): InSlices<number> {
  const { words, header } = channel;
  new Marks(words, header).clear();
  const marker = new Marker(channel, header.dataOffset, 0);
  let record = header.baseRecord;
  for (let from = header.dataOffset; from < end; yield) {
    let at = from;
    while (at < end && at - from < SLICE_BYTES) at += (words[at >> 2] + 15) & -16;
    const units = positionAt(channel, from) / 16;
    record += marker.walk(from, at, highOf(units), units | 0, record);
    from = at;
  }
  return marker.nextSlot;
}

import { loadPosition, type Mapped, storePosition } from '../file/index.js';
import * as L from '../layout.js';
import { ROOM, wakeSleepers } from '../waiting/index.js';
import { changeSlot, REGISTRATION, SLOT_POSITION, slotState, slotWord } from './table.js';

const LIMIT = L.LIMIT_OFFSET >> 2;

/**
 * Registers a reader that holds the writer back, at `position` or, where the writer has passed that already, at
 * the place `later()` gives, tried again until one holds. Dekker's pattern with the writer's slow path: the writer
 * raises limit and then looks for registrations; the reader registers and then looks at limit. Whatever way
 * these interleave, one of the two sees the other. Returns where the reader stands.
 */
export function gateFrom(channel: Mapped, slot: number, position: number, later: () => number): number {
  const { words, header } = channel;
  const at = slotWord(channel, slot);
  let place = position;
  storePosition(words, at + SLOT_POSITION, place);
  const state = Atomics.load(words, at);
  if (slotState(state) !== L.SLOT_GATING) changeSlot(words, at, state, L.SLOT_GATING);
  // step 20
  // Sequentially consistent: every store above is counted by any scan that sees the new sequence.
  Atomics.add(words, REGISTRATION, 1);
  // step 21
  while (loadPosition(words, LIMIT) - place > header.capacity) {
    place = later();
    storePosition(words, at + SLOT_POSITION, place);
  }
  // step 22
  // Where it stood before, a writer may have waited for it.
  wakeSleepers(channel, ROOM);
  return place;
}

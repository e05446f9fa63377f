import * as L from './layout.js';
import type { Mapped } from './mapped.js';
import { Marks } from './marks.js';
import { loadPosition, stampOf } from './words.js';

const TAIL = L.TAIL_OFFSET >> 2;

/**
 * Where a walk may go on behind a damaged frame: the first place from which the frames lead, one by one, exactly
 * to the next place known to be good (a mark, or the tail). A payload that looks like frames does not do that.
 */
export function nextIntact(channel: Mapped, damaged: number): number | undefined {
  const tail = loadPosition(channel.words, TAIL);
  const goal = new Marks(channel.words, channel.header).oldestAtOrAbove(damaged + 16, tail)?.position ?? tail;
  if (goal <= damaged) return undefined;
  for (let candidate = damaged + 16; candidate < goal; candidate += 16) {
    if (leadsTo(channel, candidate, goal)) return candidate;
  }
  return goal;
}

function leadsTo(channel: Mapped, from: number, goal: number): boolean {
  let position = from;
  while (position < goal) {
    const length = plausibleLength(channel, position);
    if (length === undefined) return false;
    position += (length + 15) & -16;
  }
  return position === goal;
}

function plausibleLength(channel: Mapped, position: number): number | undefined {
  const { words, header } = channel;
  const offset = (position - header.basePosition) % header.capacity;
  const word = (header.dataOffset + offset) >> 2;
  const length = words[word];
  const kind = words[word + 1] & 0xff;
  const least = kind === L.KIND_PAD ? L.FRAME_HEADER : header.frameHeader;
  const whole = length >= least && length <= header.capacity - offset;
  const known = kind >= L.KIND_DATA && kind <= L.KIND_CHECKPOINT;
  return whole && known && words[word + 2] === stampOf(position) ? length : undefined;
}

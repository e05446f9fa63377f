import { MillraceError } from '../errors.js';
import * as L from './layout.js';
import type { Mapped } from './mapped.js';
import { Marks } from './marks.js';
import { loadPosition, stampOf } from './words.js';

const TAIL = L.TAIL_OFFSET >> 2;

export function damaged({ path }: Mapped, position: number, why = ''): MillraceError {
  return new MillraceError('ERR_CORRUPT', `${path} is damaged at position ${position}${why}`, {
    path,
    position,
  });
}

export function truncated(path: string, position: number, final: number): MillraceError {
  return new MillraceError(
    'ERR_TRUNCATED',
    `${path} was ended at position ${final}, but its records stop at ${position}`,
    { path, position, final },
  );
}

/**
 * Where a walk may go on behind a damaged frame: the first place from which the frames lead, one by one, exactly
 * to the next place known to be good (a mark, or the tail). A payload that looks like frames does not do that.
 * Works its way back from there, so that it looks at each place once, however the bytes are damaged.
 */
export function nextIntact(channel: Mapped, damaged: number): number | undefined {
  const tail = loadPosition(channel.words, TAIL);
  const goal = new Marks(channel.words, channel.header).oldestAtOrAbove(damaged + 16, tail)?.position ?? tail;
  // The tail, too, may be damaged.
  if (goal <= damaged || goal - damaged > channel.header.capacity) return undefined;
  const places = (goal - damaged) / 16;
  const leads = new Uint8Array(places + 1);
  leads[places] = 1;
  let first = places;
  for (let place = places - 1; place > 0; place--) {
    const length = plausibleLength(channel, damaged + place * 16);
    if (length === undefined || leads[place + ((length + 15) >> 4)] !== 1) continue;
    leads[place] = 1;
    first = place;
  }
  return damaged + first * 16;
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

import { MillraceError } from '../../errors.js';
import { type Mapped, stampOf } from '../file/index.js';
import * as L from '../layout.js';

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

/** How long its header says that a frame is; 0 where there can be none. */
export function plausibleLength({ words, header }: Mapped, position: number): number {
  const offset = (position - header.basePosition) % header.capacity;
  const word = (header.dataOffset + offset) >> 2;
  const length = words[word];
  const kind = words[word + 1] & 0xff;
  const isPad = kind === L.KIND_PAD;
  const least = isPad ? L.FRAME_HEADER : header.frameHeader;
  const whole = length >= least && length <= header.capacity - offset;
  // What has one lap only has none to fill.
  const known = kind >= L.KIND_DATA && kind <= L.KIND_CHECKPOINT && !(isPad && header.mode === 'linear');
  return whole && known && words[word + 2] === stampOf(position) ? length : 0;
}

export function kindAt({ words, header }: Mapped, position: number): number {
  const offset = (position - header.basePosition) % header.capacity;
  return words[((header.dataOffset + offset) >> 2) + 1] & 0xff;
}

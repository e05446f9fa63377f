import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { loadPosition, loadSplit, type Mapped, Marks, type Place, stampOf } from '../file/index.js';
import * as L from '../layout.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;

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
 * Works its way back from there, so that it looks at each place once, however the bytes are damaged. The record's
 * number, too, is counted back from there: how many were damaged nobody can tell.
 */
export function nextIntact(channel: Mapped, damaged: number): Place | undefined {
  const goal = nextKnown(channel, damaged);
  // The tail, too, may be damaged.
  if (goal.position <= damaged || goal.position - damaged > channel.header.capacity) return undefined;
  const places = (goal.position - damaged) / 16;
  /** 0 where a place doesn't lead to the goal; else one more than the records from there to the goal. */
  const leads = new Uint32Array(places + 1);
  leads[places] = 1;
  let first = places;
  for (let place = places - 1; place > 0; place--) {
    const position = damaged + place * 16;
    const length = plausibleLength(channel, position);
    if (length === 0) continue;
    const behind = leads[place + ((length + 15) >> 4)];
    if (behind === 0) continue;
    leads[place] = behind + (kindAt(channel, position) === L.KIND_DATA ? 1 : 0);
    first = place;
  }
  return { position: damaged + first * 16, record: goal.record - (leads[first] - 1) };
}

function nextKnown({ words, header }: Mapped, damaged: number): Place {
  const tail = loadPosition(words, TAIL);
  const mark = new Marks(words, header).oldestAtOrAbove(damaged + 16, tail);
  return mark ?? { position: tail, record: loadSplit(words, RECORD_COUNT) };
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

function kindAt({ words, header }: Mapped, position: number): number {
  const offset = (position - header.basePosition) % header.capacity;
  return words[((header.dataOffset + offset) >> 2) + 1] & 0xff;
}

/** Whether the checksum of a plausible frame holds, if it has one yet. */
export function isTrueFrame(channel: Mapped, position: number): boolean {
  const { bytes, header } = channel;
  const start = header.dataOffset + ((position - header.basePosition) % header.capacity);
  const end = start + ((plausibleLength(channel, position) + 15) & -16);
  return binding().checkFrames(bytes, start, end, stampOf(position), header.incarnation, 0) === end;
}

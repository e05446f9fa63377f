import { binding } from '../../native.js';
import { loadPosition, loadSplit, type Mapped, Marks, type Place, stampOf } from '../file/index.js';
import * as L from '../layout.js';
import { isTrueFrame } from './checksums.js';
import { kindAt, plausibleLength } from './damage.js';
import { lastKnown } from './known.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
/** Of a place: frames lead from there to one that is known to be good; its own frame is known by its checksum. */
const LEADS = 1;
const PROVEN = 2;

/** What was found of the last stretch that was looked through: where to go on behind each place of it that is damaged. */
interface Found {
  goal: Place;
  behind: Map<number, Place>;
}

/** Who passes over many damaged frames looks through each stretch once. */
const lastFound = new WeakMap<Mapped, Found>();

/**
 * Where a walk may go on behind a damaged frame: the first place from which the frames lead, one by one, exactly to a
 * place that is known to be good. That is the next mark, or the tail, or a frame whose checksum is there and right. A
 * payload that looks like frames does not do that.
 *
 * The record's number is counted back from mark or tail: how many were damaged nobody can tell. For a place with more
 * damage behind it see `behindEach`; where its number is not sure, it is passed over with all up to the last damage
 * before the mark: no number is better than a wrong one.
 */
export function nextIntact(channel: Mapped, damaged: number): Place | undefined {
  const { capacity, checksums } = channel.header;
  const goal = nextKnown(channel, damaged);
  // The tail, too, may be damaged.
  if (goal.position <= damaged || goal.position - damaged > capacity) return undefined;
  const last = lastFound.get(channel);
  if (last?.goal.position === goal.position && last.goal.record === goal.record) {
    const found = last.behind.get(damaged);
    if (found !== undefined) return found;
  }
  const before = checksums ? lastKnown(channel, damaged) : undefined;
  const isNear = before !== undefined && goal.position - before.position <= capacity;
  const found = isNear ? behindEach(channel, before, damaged, goal) : undefined;
  // Where no frame was thought to start, nothing before it tells of it.
  const behind = found?.has(damaged) ? found : behindEach(channel, undefined, damaged, goal);
  lastFound.set(channel, { goal, behind });
  return behind.get(damaged);
}

function nextKnown({ words, header }: Mapped, damaged: number): Place {
  const tail = loadPosition(words, TAIL);
  const mark = new Marks(words, header).oldestAtOrAbove(damaged + 16, tail);
  return mark ?? { position: tail, record: loadSplit(words, RECORD_COUNT) };
}

/**
 * Walks from the known place before a damaged frame, or from that, to the one behind it, and tells of each damaged place
 * on the way where reading goes on. The numbers of what lies behind the last gap are counted back from the end. The
 * others are counted on from the known place: as long as each damaged frame still says where it ends, and so is one; or
 * where the end has the number that comes out if each gap lost the least it can have. Has it a higher one, nobody knows
 * which of them lost more.
 */
function behindEach(
  channel: Mapped,
  before: Place | undefined,
  damaged: number,
  goal: Place,
): Map<number, Place> {
  const from = before?.position ?? damaged;
  const known = knownPlaces(channel, from, goal.position);
  const end = known.length - 1;
  const steps: { damaged: number; position: number; record: number; isSure: boolean }[] = [];
  let isSure = before !== undefined;
  let record = before?.record ?? 0;
  let lastGap = 0;
  for (let place = 0; place < end; ) {
    const position = from + place * 16;
    const own = known[place] === 0 ? 0 : (plausibleLength(channel, position) + 15) >> 4;
    if (own > 0 && position !== damaged && (known[place] === PROVEN || isTrueFrame(channel, position))) {
      if (kindAt(channel, position) === L.KIND_DATA) record++;
      place += own;
      continue;
    }
    let next = place + 1;
    while (known[next] === 0) next++;
    if (own > 0 && place + own === next) {
      if (wasRecord(channel, position, own * 16)) record++;
    } else {
      record += leastLost(channel, position, from + next * 16);
      isSure = false;
      lastGap = steps.length;
    }
    place = next;
    steps.push({ damaged: position, position: from + place * 16, record, isSure });
  }
  const isSum = before !== undefined && record === goal.record;
  const behind = new Map<number, Place>();
  for (const [i, step] of steps.entries()) {
    const isTold = i >= lastGap || step.isSure || isSum;
    const { position, record: counted } = isTold ? step : steps[lastGap];
    const isCountedOn = isTold && i < lastGap;
    behind.set(step.damaged, {
      position,
      record: isCountedOn ? counted : goal.record - (record - counted),
    });
  }
  return behind;
}

/**
 * Which places from one to another, which is known, are known to be the start of a frame. Each place is looked at once
 * forwards and once backwards, and each byte is summed a few times at most, however the bytes are damaged.
 */
function knownPlaces(channel: Mapped, from: number, goal: number): Uint8Array {
  const end = (goal - from) / 16;
  const known = new Uint8Array(end + 1);
  known[end] = PROVEN;
  if (channel.header.checksums) markProven(channel, from, goal, known);
  /** What goes beyond the next place that is proven is no frame, whatever it looks like. */
  let nearest = end;
  for (let place = end - 1; place >= 0; place--) {
    if (known[place] === PROVEN) {
      nearest = place;
      continue;
    }
    const length = plausibleLength(channel, from + place * 16);
    const behind = place + ((length + 15) >> 4);
    if (length > 0 && behind <= nearest && known[behind] !== 0) known[place] = LEADS;
  }
  return known;
}

function markProven(channel: Mapped, from: number, goal: number, known: Uint8Array): void {
  /** What only looks like frames may be many, each within the one before: they are not all summed to their ends. */
  let left = 2 * (goal - from);
  for (let position = from; position < goal; ) {
    const length = plausibleLength(channel, position);
    const until = length > 0 && length <= left ? provenUntil(channel, position, goal) : position;
    if (until === position) {
      left -= length <= left ? length : 0;
      position += 16;
    }
    // One may have the right checksum of what such a channel has none of: there the run ends.
    for (let own = length; position < until && own > 0; own = plausibleLength(channel, position)) {
      known[(position - from) / 16] = PROVEN;
      position += (own + 15) & -16;
    }
    if (position < until) left -= until - position;
  }
}

/** Where the frames from here on end that have checksums, and the right ones: nothing but what belongs there has those. */
function provenUntil(channel: Mapped, position: number, goal: number): number {
  const { bytes, header } = channel;
  const offset = (position - header.basePosition) % header.capacity;
  const start = header.dataOffset + offset;
  const end = start + Math.min(goal - position, header.capacity - offset);
  const until = binding().checkFrames(bytes, start, end, stampOf(position), header.incarnation, end);
  return position + until - start;
}

/** Whether a damaged frame was a record: by the kind with which its checksum holds, if there is one. */
function wasRecord(channel: Mapped, position: number, size: number): boolean {
  const { bytes, header } = channel;
  const kind = kindAt(channel, position);
  const isOther = kind === L.KIND_PAD || kind === L.KIND_CHECKPOINT;
  if (!header.checksums) return kind === L.KIND_DATA;
  const start = header.dataOffset + ((position - header.basePosition) % header.capacity);
  const frame = Buffer.from(bytes.subarray(start, start + size));
  const holdsAs = (other: number) => {
    frame[L.FRAME_KIND_OFFSET] = other;
    return binding().checkFrames(frame, 0, size, stampOf(position), header.incarnation, size) === size;
  };
  if (holdsAs(L.KIND_DATA)) return true;
  // Behind an END or LINK would be nothing.
  return !isOther && !holdsAs(L.KIND_CHECKPOINT);
}

/** How many records a gap between two frames has held at least: 0 where it may be what fills a lap, or a CHECKPOINT. */
function leastLost(channel: Mapped, from: number, to: number): number {
  const { words, header } = channel;
  const { basePosition, capacity, frameHeader } = header;
  if (header.mode === 'ring') return (to - basePosition) % capacity === 0 ? 0 : 1;
  const checkpoint = frameHeader + L.CHECKPOINT_BYTES;
  const wasSynced = loadPosition(words, DURABLE) > basePosition;
  if (!wasSynced || to - from !== ((checkpoint + 15) & -16)) return 1;
  const length = words[(header.dataOffset + from - basePosition) >> 2];
  return kindAt(channel, from) === L.KIND_DATA && length !== checkpoint ? 1 : 0;
}

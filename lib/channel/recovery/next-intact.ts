import { binding } from '../../native.js';
import { loadPosition, loadSplit, type Mapped, Marks, type Place, stampOf } from '../file/index.js';
import * as L from '../layout.js';
import { isTrueFrame } from './checksums.js';
import { kindAt, plausibleLength } from './damage.js';
import { lastKnown, recordAt, recordsFrom } from './known.js';

const TAIL = L.TAIL_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
/** Of a place: frames lead from there to one that is known to be good; its own frame is known by its checksum. */
const LEADS = 1;
const PROVEN = 2;

/** What lies behind damage and is known to be good. Of the tail it is the count beside it that is known, see `recordAtTail`. */
interface Goal extends Place {
  isTail: boolean;
}

/** What was found of the last stretch that was looked through: where to go on behind each place of it that is damaged. */
interface Found {
  goal: Goal;
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
 * damage behind it see `placesBehind`; where its number is not sure, it is passed over with all up to the last damage
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
  let walked = isNear ? walkOver(channel, before, damaged, goal.position) : undefined;
  // Where no frame was thought to start, nothing before it tells of it.
  if (!walked?.steps.some((step) => step.damaged === damaged)) {
    walked = walkOver(channel, undefined, damaged, goal.position);
  }
  const record = goal.isTail ? recordAtTail(channel, goal, damaged, walked) : goal.record;
  // There is more to go by, where it was published meanwhile.
  if (goal.isTail && loadPosition(channel.words, TAIL) !== goal.position) return nextIntact(channel, damaged);
  const behind = placesBehind(walked, record);
  lastFound.set(channel, { goal, behind });
  return behind.get(damaged);
}

function nextKnown({ words, header }: Mapped, damaged: number): Goal {
  const marks = new Marks(words, header);
  for (;;) {
    const position = loadPosition(words, TAIL);
    const mark = marks.oldestAtOrAbove(damaged + 16, position);
    if (mark !== undefined) return { ...mark, isTail: false };
    const record = loadSplit(words, RECORD_COUNT);
    // Else the count may be that of any later one.
    if (loadPosition(words, TAIL) === position) return { position, record, isTail: true };
  }
}

/**
 * The count is stored before the tail. So it goes with the tail, or, where the writer died or is between the two stores,
 * with the end of all that is committed. Which of both it is shows by what the frames up to the tail can have held.
 */
function recordAtTail(
  channel: Mapped,
  { position, record: count }: Goal,
  damaged: number,
  { before, least, most }: Walked,
): number {
  const counted = before?.record ?? recordAt(channel, damaged);
  if (counted === undefined) return count;
  const isPossible = (record: number) => record >= counted + least && record <= counted + most;
  // Where nothing but what is damaged is lost, that tells.
  const likely = counted + least;
  if (count === likely) return count;
  const published = count - recordsFrom(channel, position);
  if (!isPossible(published)) return count;
  return published === likely || !isPossible(count) ? published : count;
}

/** A place that is damaged, where reading goes on behind it, and which of the records that were walked over that is. */
interface Step extends Place {
  damaged: number;
  isSure: boolean;
}

/** What was found on the way from a known place, or from damage, to the known place behind it. */
interface Walked {
  before: Place | undefined;
  steps: Step[];
  /** The last step over a gap that nobody knows the records of; 0 where there is none. */
  lastGap: number;
  /** How many records there were on the way at least, and at most. */
  least: number;
  most: number;
}

/** Walks from the known place before a damaged frame, or from that, to the one behind it. */
function walkOver(channel: Mapped, before: Place | undefined, damaged: number, goal: number): Walked {
  const from = before?.position ?? damaged;
  const known = knownPlaces(channel, from, goal);
  const end = known.length - 1;
  const steps: Step[] = [];
  const smallest = (channel.header.frameHeader + 15) & -16;
  let isSure = before !== undefined;
  let record = 0;
  let most = 0;
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
      const lost = leastLost(channel, position, from + next * 16);
      record += lost;
      most += Math.floor(((next - place) * 16) / smallest) - lost;
      isSure = false;
      lastGap = steps.length;
    }
    place = next;
    steps.push({ damaged: position, position: from + place * 16, record, isSure });
  }
  return { before, steps, lastGap, least: record, most: record + most };
}

/**
 * Of each damaged place where reading goes on. The numbers of what lies behind the last gap are counted back from the
 * end. The others are counted on from the known place: as long as each damaged frame still says where it ends, and so is
 * one; or where the end has the number that comes out if each gap lost the least it can have. Has it a higher one, nobody
 * knows which of them lost more.
 */
function placesBehind({ before, steps, lastGap, least }: Walked, recordAtEnd: number): Map<number, Place> {
  const isSum = before !== undefined && before.record + least === recordAtEnd;
  const behind = new Map<number, Place>();
  for (const [i, step] of steps.entries()) {
    const isTold = i >= lastGap || step.isSure || isSum;
    const { position, record } = isTold ? step : steps[lastGap];
    const isCountedOn = isTold && i < lastGap;
    behind.set(step.damaged, {
      position,
      record: isCountedOn ? (before?.record ?? 0) + record : recordAtEnd - (least - record),
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

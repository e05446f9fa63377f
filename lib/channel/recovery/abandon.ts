import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { loadPosition, type Mapped, wordAt } from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot } from '../presence/index.js';
import { absolutePath, atOnce, type InSlices, SLICE_BYTES } from '../runtime/index.js';
import { isTrueFrame } from './checksums.js';
import { examine, isCutOff, type Remains } from './cut-off.js';
import { kindAt, plausibleLength } from './damage.js';
import { countedTail } from './known.js';
import {
  lockUnended,
  publishRecovered,
  type Recovered,
  recoverable,
  storeEnd,
  sumUnflushed,
} from './recovery.js';
import { refuseSegment } from './segment.js';
import { setMissingMarks } from './unmarked.js';

const TAIL = L.TAIL_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;
const STATES = { closed: L.STATE_CLOSED, sealed: L.STATE_SEALED, abandoned: L.STATE_ABANDONED };

/**
 * Declares a dead writer's channel ended, for good: readers that reach its end see it as abandoned.
 * Over a live writer: ERR_WRITER_ACTIVE; over an ended channel: ERR_ENDED.
 */
export function declareAbandoned(givenPath: string): void {
  const channel = lockUnended(absolutePath(givenPath));
  try {
    refuseSegment(channel);
    atOnce(abandoning(channel));
  } finally {
    binding().closeFile(channel.file);
  }
}

/**
 * Ends what a dead writer left: as it meant to if it was about to, else as abandoned. The caller holds the
 * writer's lock and may write the mapping.
 */
export function* abandoning(channel: Mapped): InSlices<void> {
  const left = isCutOff(channel)
    ? yield* remainsOf(channel)
    : isOfThisBoot(channel)
      ? recoverable(channel)
      : undefined;
  if (left === undefined) {
    yield* endWhereSenseEnds(channel);
    return;
  }
  if ('from' in left) setMissingMarks(channel, left.from, left.position);
  publishRecovered(channel, left);
  sumUnflushed(channel, left);
  storeEnd(channel, STATES[left.ending ?? 'abandoned'], left.position);
}

/** What is whole, cut off from what is not; undefined where it is damaged. */
function* remainsOf(channel: Mapped): InSlices<Remains | undefined> {
  const { words, header } = channel;
  try {
    const remains = yield* examine(channel);
    const isFull = remains.end === header.dataOffset + header.capacity;
    if (remains.ending === undefined && !isFull) Atomics.store(words, remains.end >> 2, 0);
    return remains;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_CORRUPT') return undefined;
    throw error;
  }
}

/**
 * What is damaged, or was left by an earlier start of the machine without checksums, ends where its readers come to by
 * themselves: where the frames from the tail on make no sense any more. What is damaged there stays as it is, for who
 * verifies; what the machine did not bring to the disk whole is no damage, and gets the 0 that its writer had put there.
 */
function* endWhereSenseEnds(channel: Mapped): InSlices<void> {
  const { words, header } = channel;
  const { basePosition, capacity } = header;
  const tail = loadPosition(words, TAIL);
  // Behind its limit a ring has what was written a lap before, and can be read yet.
  const bound = header.mode === 'linear' ? basePosition + capacity : loadPosition(words, LIMIT);
  if (tail < basePosition || tail > bound || bound - tail > capacity) {
    storeEnd(channel, L.STATE_ABANDONED, tail);
    return;
  }
  const { position, records, ending } = yield* senseFrom(channel, tail, bound);
  const isTorn = ending === undefined && position < bound && !isOfThisBoot(channel);
  if (isTorn) Atomics.store(words, wordAt(channel, position), 0);
  const counted = countedTail(channel);
  if (counted !== undefined) publishRecovered(channel, { position, record: counted.record + records });
  // Where the machine cut it off, a frame without a checksum may be torn: none is given it now.
  if (!isCutOff(channel)) sumUnflushed(channel, { position, ending });
  storeEnd(channel, STATES[ending ?? 'abandoned'], position);
}

/** Walks from the tail as far as readers would. Of what its machine cut off, only what has its checksum is believed. */
function* senseFrom(
  channel: Mapped,
  tail: number,
  bound: number,
): InSlices<Pick<Recovered, 'position' | 'ending'> & { records: number }> {
  const isSummed = isCutOff(channel);
  let records = 0;
  let slice = tail + SLICE_BYTES;
  for (let position = tail; ; ) {
    const length = position < bound ? plausibleLength(channel, position) : 0;
    const isFrame = length > 0 && (!isSummed || isTrueFrame(channel, position));
    if (!isFrame) return { position, records, ending: undefined };
    const kind = kindAt(channel, position);
    if (kind === L.KIND_END) return { position, records, ending: 'closed' };
    if (kind === L.KIND_LINK) return { position, records, ending: 'sealed' };
    if (kind === L.KIND_DATA) records++;
    position += (length + 15) & -16;
    if (position < slice) continue;
    slice = position + SLICE_BYTES;
    yield;
  }
}

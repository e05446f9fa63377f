import { resolve } from 'node:path';
import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { aPath } from '../../options.js';
import { loadPosition, type Mapped } from '../file/index.js';
import * as L from '../layout.js';
import { isOfThisBoot } from '../presence/index.js';
import { atOnce, type InSlices } from '../runtime/index.js';
import { examine, isCutOff, type Remains } from './cut-off.js';
import { lockUnended, publishRecovered, recoverable, storeEnd, sumUnflushed } from './recovery.js';
import { refuseSegment } from './segment.js';

const STATES = { closed: L.STATE_CLOSED, sealed: L.STATE_SEALED, abandoned: L.STATE_ABANDONED };

/**
 * Declares a dead writer's channel ended, for good: readers that reach its end see it as abandoned.
 * Over a live writer: ERR_WRITER_ACTIVE; over an ended channel: ERR_ENDED.
 */
export function declareAbandoned(givenPath: string): void {
  const channel = lockUnended(resolve(aPath(givenPath)));
  try {
    refuseSegment(channel);
    atOnce(abandoning(channel));
  } finally {
    binding().closeFile(channel.file);
  }
}

/**
 * Ends what a dead writer left: as it meant to if it was about to, else as abandoned. The caller holds the
 * writer's lock and may write the mapping. What is damaged, or was left by an earlier start of the machine without
 * checksums, ends at its published tail.
 */
export function* abandoning(channel: Mapped): InSlices<void> {
  const left = isCutOff(channel)
    ? yield* remainsOf(channel)
    : isOfThisBoot(channel)
      ? recoverable(channel)
      : undefined;
  if (left === undefined) {
    storeEnd(channel, L.STATE_ABANDONED, loadPosition(channel.words, L.TAIL_OFFSET >> 2));
    return;
  }
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

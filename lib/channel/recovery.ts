import { resolve } from 'node:path';
import { MillraceError } from '../errors.js';
import { binding } from '../native.js';
import { aPath } from '../options.js';
import type { Start } from './appender.js';
import { environment } from './environment.js';
import * as L from './layout.js';
import { endedAs } from './liveness.js';
import { type Mapped, openMapped, STATE, WRITER_LOCK_BYTE } from './mapped.js';
import { type Mark, Marks } from './marks.js';
import { loadPosition, loadSplit, readFrozen, stampOf, storePosition, storeSplit } from './words.js';

const TAIL = L.TAIL_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
const WAKE_SEQUENCE = L.WAKE_SEQUENCE_OFFSET >> 2;

/** Where a dead writer's stream ends. */
export interface Recovered extends Start {
  /** The writer had stored its END or LINK frame, and died before it said so in the header. */
  ending: 'closed' | 'sealed' | undefined;
}

/**
 * Opens a channel over its dead writer, to go on writing it: holds the writer's lock from here on. The machine is
 * still the one the writer ran on, so every store of it that reached the page cache is there, in order.
 */
export function takeOver(path: string): Mapped {
  const channel = lockUnended(path);
  if (isOfThisBoot(channel)) return channel;
  binding().closeFile(channel.file);
  throw new MillraceError(
    'ERR_ENDED',
    `${path} was left by an earlier start of this machine; it can be read, but not written again`,
    { path, state: 'dead' },
  );
}

function lockUnended(path: string): Mapped {
  const channel = openMapped(path, 'write');
  try {
    lockWriter(channel);
    const ended = endedAs(channel);
    if (ended !== undefined) throw neverAgain(path, ended);
    binding().allowWrites(channel.file, channel.bytes.length);
    return channel;
  } catch (error) {
    binding().closeFile(channel.file);
    throw error;
  }
}

export function lockWriter(channel: Mapped): void {
  const { path, words } = channel;
  if (binding().lockByte(channel.file, WRITER_LOCK_BYTE)) return;
  throw new MillraceError('ERR_WRITER_ACTIVE', `${path} has a live writer`, {
    path,
    pid: words[L.WRITER_PID_OFFSET >> 2],
  });
}

function isOfThisBoot(channel: Mapped): boolean {
  return channel.header.bootId.equals(environment.bootId());
}

export function neverAgain(path: string, state: string): MillraceError {
  return new MillraceError('ERR_ENDED', `${path} is ${state} and is never written again`, { path, state });
}

/** Finds the end of a dead writer's stream: the first frame of length 0 behind the tail. */
export function recover(channel: Mapped): Recovered {
  const { words, header } = channel;
  const tail = loadPosition(words, TAIL);
  const limit = loadPosition(words, LIMIT);
  // What a writer keeps to at every moment; other words are not what a writer left.
  const kept = tail >= header.basePosition && tail <= limit && limit - tail <= header.capacity;
  if (!kept || limit > Number.MAX_SAFE_INTEGER) throw damaged(channel, tail);
  const oldest = Math.max(header.basePosition, limit - header.capacity);
  const marks = new Marks(words, header);
  const mark: Mark = marks.newestAtOrBelow(tail, oldest) ?? {
    position: tail,
    record: loadSplit(words, RECORD_COUNT),
    maxTimeUs: 0,
  };
  const recovered = walkToEnd(channel, mark, marks);
  const { position, record } = recovered;
  if (position < tail || position > limit || !Number.isSafeInteger(record)) throw damaged(channel, position);
  return recovered;
}

function walkToEnd(channel: Mapped, from: Mark, marks: Marks): Recovered {
  const { words, header } = channel;
  let { position, record, maxTimeUs } = from;
  for (;;) {
    const off = (position - header.basePosition) % header.capacity;
    const word = (header.dataOffset + off) >> 2;
    const length = words[word];
    // A linear channel that is full to its end has no room for a 0 behind its last frame.
    if (length === 0 || (off === 0 && header.mode === 'linear' && position > header.basePosition)) break;
    const kind = words[word + 1] & 0xff;
    const least = kind === L.KIND_PAD ? L.FRAME_HEADER : header.frameHeader;
    if (length < least || length > header.capacity - off || words[word + 2] !== stampOf(position)) {
      throw damaged(channel, position);
    }
    if (kind === L.KIND_END || kind === L.KIND_LINK) {
      return {
        ...end(position, record, maxTimeUs, marks),
        ending: kind === L.KIND_END ? 'closed' : 'sealed',
      };
    }
    if (kind === L.KIND_DATA) {
      record++;
      if (header.frameHeader === L.FRAME_HEADER_EXTENDED) {
        maxTimeUs = Math.max(maxTimeUs, readFrozen(words, word + 4));
      }
    }
    position += (length + 15) & -16;
  }
  return { ...end(position, record, maxTimeUs, marks), ending: undefined };
}

function end(position: number, record: number, maxTimeUs: number, marks: Marks): Start {
  // The stride of the end itself may have a frame that starts before it, or none yet; a mark set anew says the
  // same as before, so the first stride without a readable mark is a safe place to go on.
  let unmarked = marks.strideOf(position);
  const mark = marks.read(unmarked);
  if (mark !== undefined && mark.position < position) unmarked++;
  return { position, record, maxTimeUs, unmarked };
}

function damaged(channel: Mapped, position: number): MillraceError {
  return new MillraceError('ERR_CORRUPT', `${channel.path} is damaged at position ${position}`, {
    path: channel.path,
    position,
  });
}

/** Publishes what recovery found, and wakes everyone: a sleeper may have missed the wake of the dead writer. */
export function publishRecovered(channel: Mapped, recovered: Recovered): void {
  storeSplit(channel.words, RECORD_COUNT, Math.floor(recovered.record / 2 ** 32) | 0, recovered.record | 0);
  // step 42
  storePosition(channel.words, TAIL, recovered.position);
  // step 43
  Atomics.add(channel.words, WAKE_SEQUENCE, 1);
  // step 44
}

/** Ends a channel: the final position first, then the state that makes readers look at it. */
export function storeEnd(channel: Mapped, state: number, position: number): void {
  storePosition(channel.words, FINAL_POSITION, position);
  // step 11
  Atomics.store(channel.words, STATE, state);
  // step 12
  Atomics.add(channel.words, WAKE_SEQUENCE, 1);
  // step 13
}

const STATES = { closed: L.STATE_CLOSED, sealed: L.STATE_SEALED, abandoned: L.STATE_ABANDONED };

/**
 * Ends what a dead writer left: as it meant to if it was about to, else as abandoned. The caller holds the
 * writer's lock and may write the mapping. What is damaged, or was
 * left by an earlier start of the machine, ends at its published tail.
 */
export function abandonLocked(channel: Mapped): void {
  if (!isOfThisBoot(channel)) {
    storeEnd(channel, L.STATE_ABANDONED, loadPosition(channel.words, TAIL));
    return;
  }
  const recovered = recoverable(channel);
  if (recovered === undefined) {
    storeEnd(channel, L.STATE_ABANDONED, loadPosition(channel.words, TAIL));
    return;
  }
  publishRecovered(channel, recovered);
  storeEnd(channel, STATES[recovered.ending ?? 'abandoned'], recovered.position);
}

/** What recovery finds; undefined where the channel is damaged. */
export function recoverable(channel: Mapped): Recovered | undefined {
  try {
    return recover(channel);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_CORRUPT') return undefined;
    throw error;
  }
}

/**
 * Declares a dead writer's channel ended, for good: readers that reach its end see it as abandoned.
 * Over a live writer: ERR_WRITER_ACTIVE; over an ended channel: ERR_ENDED.
 */
export function declareAbandoned(givenPath: string): void {
  const channel = lockUnended(resolve(aPath(givenPath)));
  try {
    abandonLocked(channel);
  } finally {
    binding().closeFile(channel.file);
  }
}

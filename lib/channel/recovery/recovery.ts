import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import {
  highOf,
  loadPosition,
  loadSplit,
  type Mapped,
  type Mark,
  Marks,
  offsetAt,
  openMapped,
  type Place,
  positionAt,
  readFrozen,
  STATE,
  stampOf,
  storePosition,
  storeSplit,
  WRITER_LOCK_BYTE,
} from '../file/index.js';
import * as L from '../layout.js';
import { endedAs } from '../presence/index.js';
import { explain } from '../runtime/index.js';
import { ARRIVAL, wakeEveryone } from '../waiting/index.js';
import { damaged, plausibleLength } from './damage.js';
import { lastKnown } from './known.js';
import { nextIntact } from './next-intact.js';

const TAIL = L.TAIL_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;
const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;

/** Where a writer starts or goes on: a committed end of the stream, as a mark would name it. */
export interface Start extends Mark {
  /** The first stride that has no mark yet. */
  unmarked: number;
}

/** Where a dead writer's stream ends. */
export interface Recovered extends Mark {
  /** The writer had stored its END or LINK frame, and died before it said so in the header. */
  ending: 'closed' | 'sealed' | undefined;
}

/** The same by its frames from a known place on. */
export interface Counted extends Recovered {
  from: Mark;
}

/** Opens a channel over its dead writer, to go on writing it: holds the writer's lock from here on. */
export function lockUnended(path: string): Mapped {
  const channel = openMapped(path, 'write');
  try {
    lockWriter(channel);
    const ended = endedAs(channel);
    if (ended !== undefined) throw neverAgain(path, ended);
    binding().allowWrites(channel.file, channel.bytes.length);
    return channel;
  } catch (error) {
    binding().closeFile(channel.file);
    throw explain(error, path, 'resume');
  }
}

export function lockWriter(channel: Mapped): void {
  const { path, words } = channel;
  if (binding().lockByte(channel.file, WRITER_LOCK_BYTE)) return;
  const pid = words[L.WRITER_PID_OFFSET >> 2];
  throw new MillraceError('ERR_WRITER_ACTIVE', `${path} has a live writer, pid ${pid}`, { path, pid });
}

export function neverAgain(path: string, state: string): MillraceError {
  return new MillraceError('ERR_ENDED', `${path} is ${state} and is never written again`, { path, state });
}

/**
 * Finds the end of a dead writer's stream: the first frame of length 0 behind the tail. The machine is still the one that
 * the writer ran on, so every store of it is in memory, in order: nothing is torn. What was damaged since is found by the
 * checksums that are there.
 */
export function recover(channel: Mapped): Counted {
  const { words, header } = channel;
  const tail = loadPosition(words, TAIL);
  const limit = loadPosition(words, LIMIT);
  // What a writer keeps to at every moment; other words are not what a writer left.
  const kept = tail >= header.basePosition && tail <= limit && limit - tail <= header.capacity;
  const most = header.mode === 'linear' ? header.basePosition + header.capacity : Number.MAX_SAFE_INTEGER;
  if (!kept || limit > most) throw damaged(channel, tail);
  const marks = new Marks(words, header);
  // A ring without any mark is counted from the tail on, by what stands beside it.
  const mark = lastKnown(channel, tail) ?? {
    position: tail,
    record: loadSplit(words, RECORD_COUNT),
    maxTimeUs: 0,
  };
  const recovered = walkToEnd(channel, mark);
  const { position, record } = recovered;
  const least = Math.max(tail, header.mode === 'linear' ? loadPosition(words, DURABLE) : 0);
  if (position < least || position > limit || !Number.isSafeInteger(record)) throw damaged(channel, position);
  if (header.mode === 'linear') {
    checkFrames(channel, mark.position, position);
    checkDurable(channel, marks);
  }
  return { ...recovered, from: mark };
}

/** Nobody goes on behind frames that were damaged since: of those that have a checksum it must hold. */
function checkFrames(channel: Mapped, from: number, to: number): void {
  const { bytes, header } = channel;
  if (!header.checksums) return;
  const end = offsetAt(channel, to);
  const stamp = stampOf(from);
  const right = binding().checkFrames(bytes, offsetAt(channel, from), end, stamp, header.incarnation, 0);
  if (right !== end) throw damaged(channel, positionAt(channel, right));
}

/** What was synced ends with a frame: from there on the next writer fills in checksums. */
function checkDurable(channel: Mapped, marks: Marks): void {
  const { words, header } = channel;
  const durable = loadPosition(words, DURABLE);
  const mark = marks.newestAtOrBelow(durable, header.basePosition);
  let position = mark?.position ?? header.basePosition;
  while (position < durable) {
    const length = plausibleLength(channel, position);
    if (length === 0) throw damaged(channel, position);
    position += (length + 15) & -16;
  }
  if (position !== durable && durable > header.basePosition) throw damaged(channel, durable);
}

function walkToEnd(channel: Mapped, from: Mark): Recovered {
  const { words, header } = channel;
  let { position, record, maxTimeUs } = from;
  for (;;) {
    const off = (position - header.basePosition) % header.capacity;
    const word = (header.dataOffset + off) >> 2;
    // A linear channel that is full to its end has no room for a 0 behind its last frame.
    if (words[word] === 0 || (off === 0 && header.mode === 'linear' && position > header.basePosition)) break;
    const length = plausibleLength(channel, position);
    if (length === 0) throw damaged(channel, position);
    const kind = words[word + 1] & 0xff;
    if (kind === L.KIND_END || kind === L.KIND_LINK) {
      return { position, record, maxTimeUs, ending: kind === L.KIND_END ? 'closed' : 'sealed' };
    }
    if (kind === L.KIND_DATA) {
      record++;
      if (header.frameHeader === L.FRAME_HEADER_EXTENDED) {
        maxTimeUs = Math.max(maxTimeUs, readFrozen(words, word + 4));
      }
    }
    position += (length + 15) & -16;
  }
  return { position, record, maxTimeUs, ending: undefined };
}

/** Publishes what recovery found, and wakes everyone: a sleeper may have missed the wake of the dead writer. */
export function publishRecovered(channel: Mapped, { position, record }: Place): void {
  storeSplit(channel.words, RECORD_COUNT, highOf(record), record | 0);
  // step 42
  storePosition(channel.words, TAIL, position);
  // step 43
  wakeEveryone(channel, ARRIVAL);
  // step 44
}

/** Ends a channel: the final position first, then the state that makes readers look at it. */
export function storeEnd(channel: Mapped, state: number, position: number): void {
  storePosition(channel.words, FINAL_POSITION, position);
  // step 11
  Atomics.store(channel.words, STATE, state);
  // step 12
  wakeEveryone(channel, ARRIVAL);
  // step 13
}

/**
 * Fills in the checksums that a dead writer did not get to: whoever ends a channel says that all are there. On a linear
 * channel; a ring's writer fills them in itself as it goes.
 */
export function sumUnflushed(
  channel: Mapped,
  { position, ending }: Pick<Recovered, 'position' | 'ending'>,
): void {
  const { file, words, header } = channel;
  if (!header.checksums || header.mode === 'ring') return;
  const last = ending === undefined ? 0 : (words[offsetAt(channel, position) >> 2] + 15) & -16;
  const end = offsetAt(channel, position) + last;
  let from: number | undefined = Math.max(header.basePosition, loadPosition(words, DURABLE));
  while (from !== undefined && offsetAt(channel, from) < end) {
    const at = offsetAt(channel, from);
    const stopped = binding().sumFrames(file, at, end, stampOf(from), header.incarnation);
    // Behind damage, too: without one, what is whole there would be taken for damaged.
    from = stopped < end ? nextIntact(channel, positionAt(channel, stopped))?.position : undefined;
  }
}

/** What recovery finds; undefined where the channel is damaged. */
export function recoverable(channel: Mapped): Counted | undefined {
  try {
    return recover(channel);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_CORRUPT') return undefined;
    throw error;
  }
}

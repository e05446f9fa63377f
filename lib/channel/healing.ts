import { MillraceError } from '../errors.js';
import { binding } from '../native.js';
import { damaged } from './damage.js';
import { disk } from './disk.js';
import * as L from './layout.js';
import { endedAs, isOfThisBoot } from './liveness.js';
import { type Mapped, STATE } from './mapped.js';
import { Marker } from './marker.js';
import { Marks } from './marks.js';
import { endOfStream, publishRecovered, type Recovered } from './recovery.js';
import { highOf, loadPosition, readFrozen, stampOf, storePosition } from './words.js';

const LIMIT = L.LIMIT_OFFSET >> 2;
const DURABLE = L.DURABLE_OFFSET >> 2;
/** Work on so many bytes is short enough to hold the event loop for. */
const SLICE = 2 ** 20;

/**
 * What is left of a linear channel with checksums when its machine went down: each page of it as it was at some time, the
 * header's too, and pages that were being written may be torn. Only what a sync had brought to the disk is sure. So
 * neither tail nor marks are believed here, but checksums alone.
 */
export function isCutOff(channel: Mapped): boolean {
  const { header } = channel;
  return (
    header.checksums && header.mode === 'linear' && endedAs(channel) === undefined && !isOfThisBoot(channel)
  );
}

export function refuseUnhealable({ path, header }: Mapped): void {
  if (header.checksums && header.mode === 'linear') return;
  throw new MillraceError(
    'ERR_ENDED',
    `${path} was left by an earlier start of this machine; it can be read, but not written again: ` +
      (header.mode === 'ring'
        ? 'a ring does not outlive it'
        : 'without checksums nothing tells what of it is whole'),
    { path, state: 'dead' },
  );
}

/** What of a channel that was cut off is whole, from its base on. */
export interface Remains extends Recovered {
  /** The byte of the file behind its last whole frame. */
  end: number;
}

/** How work is done that is done in slices: all at once, or with a turn of the event loop after each. */
type InSlices<T> = Generator<void, T, void>;

export function atOnce<T>(work: InSlices<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

async function inTurns<T>(work: InSlices<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Makes a channel that was cut off one that can be gone on with. Nothing is changed in one that is damaged. Whoever dies
 * on the way leaves it cut off, as it was, for the next to do the same again.
 */
export async function heal(channel: Mapped): Promise<Remains & { dropped: number }> {
  const remains = await inTurns(examine(channel));
  const { file, words } = channel;
  // step 82
  const cleared = remains.ending === undefined ? await binding().clearRest(file, remains.end) : remains.end;
  // step 83
  await inTurns(markAnew(channel, remains.end));
  // The first page may be older than all the rest.
  storePosition(words, LIMIT, channel.header.basePosition + channel.header.capacity);
  Atomics.store(words, STATE, L.STATE_OPEN);
  publishRecovered(channel, remains);
  // Before anything is appended: or frames that were dropped now could come back behind the new ones.
  await disk.flushFrames(file, 0, 0, 0, 0, true);
  // step 84
  storePosition(words, DURABLE, remains.position);
  return {
    ...endOfStream(remains, new Marks(words, channel.header)),
    ending: remains.ending,
    end: remains.end,
    dropped: cleared - remains.end,
  };
}

/** Finds what is whole. Throws where that can't be all that was synced: that is damage, and no torn tail. */
export function* examine(channel: Mapped): InSlices<Remains> {
  const end = yield* wholeFrames(channel);
  const remains = yield* countFrames(channel, end);
  const position = positionAt(channel, end);
  const durable = loadPosition(channel.words, DURABLE);
  if (position < durable) throw damaged(channel, position, `, and it was synced up to ${durable}`);
  if (remains.ending !== undefined) return remains;
  const proven = yield* syncedBehind(channel, end);
  if (proven !== undefined) throw damaged(channel, position, `, and it was synced up to ${proven}`);
  return remains;
}

function* wholeFrames(channel: Mapped): InSlices<number> {
  const { bytes, words, header } = channel;
  const dataEnd = header.dataOffset + header.capacity;
  const wholeUntil = (at: number, until: number) =>
    binding().checkFrames(bytes, at, until, stampOf(positionAt(channel, at)), header.incarnation, dataEnd);
  for (let at = header.dataOffset; ; yield) {
    let stopped = wholeUntil(at, Math.min(at + SLICE, dataEnd));
    const need = at < dataEnd ? (words[at >> 2] + 15) & -16 : 0;
    if (stopped === at && need > SLICE && need <= dataEnd - at) stopped = wholeUntil(at, at + need);
    if (stopped === at) return at;
    at = stopped;
  }
}

/** Of frames that are known to be whole. */
function* countFrames(channel: Mapped, end: number): InSlices<Remains> {
  const { words, header } = channel;
  const remains = { record: header.baseRecord, maxTimeUs: 0, unmarked: 0 };
  let slice = header.dataOffset + SLICE;
  for (let at = header.dataOffset; at < end; ) {
    const word = at >> 2;
    const kind = words[word + 1] & 0xff;
    const next = at + ((words[word] + 15) & -16);
    if (kind === L.KIND_END || kind === L.KIND_LINK) {
      const ending = kind === L.KIND_END ? 'closed' : 'sealed';
      return { ...remains, position: positionAt(channel, at), ending, end: next };
    }
    if (kind === L.KIND_DATA) {
      remains.record++;
      if (header.frameHeader === L.FRAME_HEADER_EXTENDED) {
        remains.maxTimeUs = Math.max(remains.maxTimeUs, readFrozen(words, word + 4));
      }
    }
    at = next;
    if (at < slice) continue;
    slice = at + SLICE;
    yield;
  }
  return { ...remains, position: positionAt(channel, end), ending: undefined, end };
}

/** A CHECKPOINT behind `from` that tells of a sync that reached further than that: how far. */
export function* syncedBehind(channel: Mapped, from: number): InSlices<number | undefined> {
  const { bytes, words, header } = channel;
  const dataEnd = header.dataOffset + header.capacity;
  const length = header.frameHeader + 8;
  const need = (length + 15) & -16;
  for (let at = from; at + need <= dataEnd; at += L.FRAME_ALIGN) {
    if ((at - from) % SLICE === 0) yield;
    const word = at >> 2;
    if (words[word] !== length || (words[word + 1] & 0xff) !== L.KIND_CHECKPOINT) continue;
    const stamp = stampOf(positionAt(channel, at));
    const next = at + need;
    if (binding().checkFrames(bytes, at, next, stamp, header.incarnation, next) !== next) continue;
    const synced = readFrozen(words, (at + header.frameHeader) >> 2);
    if (synced > positionAt(channel, from)) return synced;
  }
  return undefined;
}

/** Marks of frames that were dropped may be on the disk, and marks of those that are left may be missing. */
function* markAnew(channel: Mapped, end: number): InSlices<void> {
  const { words, header } = channel;
  new Marks(words, header).clear();
  const marker = new Marker(channel, header.dataOffset, 0);
  let record = header.baseRecord;
  for (let from = header.dataOffset; from < end; yield) {
    let at = from;
    let records = 0;
    while (at < end && at - from < SLICE) {
      if ((words[(at >> 2) + 1] & 0xff) === L.KIND_DATA) records++;
      at += (words[at >> 2] + 15) & -16;
    }
    const units = positionAt(channel, from) / 16;
    marker.walk(from, at, highOf(units), units | 0, record);
    record += records;
    from = at;
  }
}

function positionAt({ header }: Mapped, offset: number): number {
  return header.basePosition + offset - header.dataOffset;
}

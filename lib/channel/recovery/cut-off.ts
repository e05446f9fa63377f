import { binding } from '../../native.js';
import { loadPosition, type Mapped, offsetAt, positionAt, readFrozen, stampOf } from '../file/index.js';
import * as L from '../layout.js';
import { endedAs, isOfThisBoot } from '../presence/index.js';
import { type InSlices, SLICE_BYTES } from '../runtime/index.js';
import { damaged, plausibleLength } from './damage.js';
import type { Recovered } from './recovery.js';

const DURABLE = L.DURABLE_OFFSET >> 2;

/**
 * What is left of a linear channel with checksums when its machine went down: each page of it as it was at some time, the
 * header's too, and pages that were being written may be torn. Only what a sync had brought to the disk is sure. So
 * neither tail nor marks are believed, but checksums alone, until somebody heals it.
 */
export function isCutOff(channel: Mapped): boolean {
  const { header } = channel;
  return (
    header.checksums && header.mode === 'linear' && endedAs(channel) === undefined && !isOfThisBoot(channel)
  );
}

/** What of a channel that was cut off is whole, from its base on. */
export interface Remains extends Recovered {
  /** The byte of the file behind its last whole frame. */
  end: number;
}

/** Finds what is whole. Throws where that can't be all that was synced: that is damage, and no torn end. */
export function* examine(channel: Mapped): InSlices<Remains> {
  const remains = yield* frameRemains(channel);
  const position = positionAt(channel, remains.end);
  const durable = loadPosition(channel.words, DURABLE);
  if (position < durable) throw damaged(channel, position, `, and it was synced up to ${durable}`);
  if (remains.ending !== undefined) return remains;
  const proven = yield* syncedBehind(channel, remains.end);
  if (proven !== undefined) throw damaged(channel, position, `, and it was synced up to ${proven}`);
  return remains;
}

/** The same by its frames alone, whatever was synced. */
export function* frameRemains(channel: Mapped): InSlices<Remains> {
  return yield* countFrames(channel, yield* wholeFrames(channel));
}

function* wholeFrames(channel: Mapped): InSlices<number> {
  const { bytes, words, header } = channel;
  const dataEnd = header.dataOffset + header.capacity;
  const wholeUntil = (at: number, until: number) =>
    binding().checkFrames(bytes, at, until, stampOf(positionAt(channel, at)), header.incarnation, dataEnd);
  for (let at = header.dataOffset; ; yield) {
    let stopped = wholeUntil(at, Math.min(at + SLICE_BYTES, dataEnd));
    const need = at < dataEnd ? (words[at >> 2] + 15) & -16 : 0;
    if (stopped === at && need > SLICE_BYTES && need <= dataEnd - at) stopped = wholeUntil(at, at + need);
    if (stopped === at) return at;
    at = stopped;
  }
}

/** Of frames whose checksums hold. A batch whose end is missing never was. */
function* countFrames(channel: Mapped, end: number): InSlices<Remains> {
  const { words, header } = channel;
  const whole = { record: header.baseRecord, maxTimeUs: 0, end: header.dataOffset };
  let { record, maxTimeUs } = whole;
  let slice = header.dataOffset + SLICE_BYTES;
  for (let at = header.dataOffset; at < end; ) {
    const word = at >> 2;
    const length = plausibleLength(channel, positionAt(channel, at));
    // It has the checksum of what it is, and that is nothing that such a channel has.
    if (length === 0) break;
    const kind = words[word + 1] & 0xff;
    const next = at + ((length + 15) & -16);
    if (kind === L.KIND_END || kind === L.KIND_LINK) {
      const ending = kind === L.KIND_END ? 'closed' : 'sealed';
      return { ...whole, position: positionAt(channel, at), ending, end: next };
    }
    if (kind === L.KIND_DATA) {
      record++;
      if (header.frameHeader === L.FRAME_HEADER_EXTENDED) {
        maxTimeUs = Math.max(maxTimeUs, readFrozen(words, word + 4));
      }
    }
    at = next;
    if ((words[word + 1] & L.FLAG_BATCH_GOES_ON) === 0) Object.assign(whole, { record, maxTimeUs, end: at });
    if (at < slice) continue;
    slice = at + SLICE_BYTES;
    yield;
  }
  return { ...whole, position: positionAt(channel, whole.end), ending: undefined };
}

/** A CHECKPOINT behind `from` that tells of a sync that reached further than that: how far. */
export function* syncedBehind(channel: Mapped, from: number): InSlices<number | undefined> {
  const { bytes, header } = channel;
  const dataEnd = header.dataOffset + header.capacity;
  const length = header.frameHeader + L.CHECKPOINT_BYTES;
  const need = (length + 15) & -16;
  const begins = Buffer.alloc(8);
  begins.writeInt32LE(length, L.FRAME_LENGTH_OFFSET);
  begins[L.FRAME_KIND_OFFSET] = L.KIND_CHECKPOINT;
  for (let slice = from; slice < dataEnd; slice += SLICE_BYTES) {
    const part = bytes.subarray(slice, Math.min(slice + SLICE_BYTES, dataEnd));
    for (let found = part.indexOf(begins); found >= 0; found = part.indexOf(begins, found + 1)) {
      const at = slice + found;
      if (found % L.FRAME_ALIGN !== 0 || at + need > dataEnd) continue;
      const stamp = stampOf(positionAt(channel, at));
      const whole = binding().checkFrames(bytes, at, at + need, stamp, header.incarnation, dataEnd);
      if (whole !== at + need) continue;
      const synced = readFrozen(channel.words, (at + header.frameHeader) >> 2);
      if (offsetAt(channel, synced) > from) return synced;
    }
    yield;
  }
  return undefined;
}

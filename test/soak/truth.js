import { readFileSync } from 'node:fs';
import * as L from '../../dist/channel/layout.js';
import { count, Wrong } from './cases.js';

const THIS_BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim().replaceAll('-', '');

/**
 * What a reader that verifies may say of a channel, whatever was done to its file.
 *
 * A frame is *sure* where a wrong one can be told: it has a checksum, or it lies where one without is damage (in a linear
 * channel that its writer ended or that was cut off, and below what was synced). What is handed out of it is what was
 * written. And a linear channel that its writer ended is read to its last record, or an error is thrown.
 */
export class Truth {
  records;
  /** Whether a record that is missing between others is a failure, and whether one that is missing at the end is. */
  hasNoGaps;
  isWhole;
  isCutOff;
  /** Where the first frame begins that is not as it was. */
  spoiledFrom;
  /** Up to here: where the last such frame begins. Between the two, how many records there are nobody can tell. */
  spoiledTo;
  /** Whether that is one in front of the last one. */
  isSpoiled = false;
  /** Nothing says which records these are. */
  isLost = false;
  /** Up to here frames are as they were and have their checksums, and no batch goes on behind it. */
  wholeUpTo;
  durable;
  #places;
  #layout;
  #bytes;
  #sureUpTo;

  /** `bytes`: the file as it is now; `template`: as it was made. */
  constructor(template, bytes) {
    const { shape, records, places, layout, frames } = template;
    this.records = records;
    this.#places = places;
    this.#layout = layout;
    this.#bytes = bytes;
    this.durable = durableOf(bytes);
    const state = bytes.readInt32LE(L.STATE_OFFSET);
    const isEnded = state === L.STATE_CLOSED || state === L.STATE_SEALED;
    const isLinear = shape.mode === 'linear';
    this.isWhole = isEnded && (shape.ending === 'closed' || shape.ending === 'sealed');
    this.isCutOff = isLinear && !isEnded && isOfAnotherBoot(bytes, state);
    if (!isLinear) this.#sureUpTo = 0;
    else if (isEnded || this.isCutOff) this.#sureUpTo = Number.POSITIVE_INFINITY;
    else this.#sureUpTo = this.durable;
    this.hasNoGaps = isEnded || this.isCutOff;
    const isSpoiled = (from, to) => template.bytes.compare(bytes, from, to, from, to) !== 0;
    if (isLinear) {
      const spoiled = frames.filter(({ at, length }) => isSpoiled(at, at + length));
      this.spoiledFrom = spoiled[0]?.position ?? Number.POSITIVE_INFINITY;
      // Where a walk finds its way again it counts back from a mark or the tail, which has no checksum.
      const isTailSpoiled = isSpoiled(L.TAIL_OFFSET, L.RECORD_COUNT_OFFSET + 12);
      this.spoiledTo = isTailSpoiled ? Number.POSITIVE_INFINITY : (spoiled.at(-1)?.position ?? 0);
      this.isSpoiled = this.spoiledFrom < frames.at(-1).position;
    } else {
      this.spoiledFrom = isSpoiled(layout.dataOffset, layout.bytes) ? 0 : Number.POSITIVE_INFINITY;
      this.spoiledTo = Number.POSITIVE_INFINITY;
      // Where a ring stands nothing but its words says, and they have no checksum.
      if (isSpoiled(L.TAIL_OFFSET, L.HEARTBEAT_OFFSET)) this.isLost = true;
    }
    const unsummed = frames.find(({ at }) => bytes.readInt32LE(at + L.FRAME_CRC_OFFSET) === 0);
    const end = Math.min(this.spoiledFrom, (unsummed ?? frames.at(-1)).position);
    this.wholeUpTo = records[places.get(end)]?.batch ?? end;
  }

  /** Whether nobody can tell the number of the record there. */
  isBetweenDamage(position) {
    return position > this.spoiledFrom && position <= this.spoiledTo;
  }

  placeOf(position) {
    return this.#places.get(position);
  }

  isSure(position) {
    const { dataOffset, capacity } = this.#layout;
    const crc = this.#bytes.readInt32LE(dataOffset + (position % capacity) + L.FRAME_CRC_OFFSET);
    return crc !== 0 || position < this.#sureUpTo;
  }
}

function isOfAnotherBoot(bytes, state) {
  const boot = bytes.toString('hex', L.WRITER_BOOT_OFFSET, L.WRITER_BOOT_OFFSET + 16);
  return state !== L.STATE_ABANDONED && boot !== THIS_BOOT;
}

/** A word that is torn counts as nothing. */
function durableOf(bytes) {
  const [highA, low, highB] = [0, 4, 8].map((at) => bytes.readUInt32LE(L.DURABLE_OFFSET + at));
  return highA === highB ? (highA * 2 ** 32 + low) * 16 : 0;
}

/** Follows what one reader hands out, and holds it against the truth, if there is any. */
export class Account {
  handed = 0;
  /** An error was thrown: what follows goes on behind something that is damaged or lost. */
  told = false;
  #truth;
  #capacity;
  #after = -1;
  /** Where in the truth the next record must lie, once that is known. */
  #next;

  /**
   * Without a `truth` it sees only that what is handed out could be. `first` is the number of the record that has to come
   * first, if that is known: one more than the last where none is to come.
   */
  constructor(capacity, truth, first) {
    this.#capacity = capacity;
    this.#truth = truth;
    this.#next = first;
  }

  /** The reader was moved on purpose. */
  moved() {
    this.#after = -1;
    this.#next = undefined;
  }

  see(seen) {
    const { position, data } = seen;
    // Where a header was forged to begin behind all numbers, positions can't be told apart.
    const isTold = Number.isSafeInteger(position);
    if (isTold && !(position % 16 === 0 && position > this.#after)) {
      throw new Wrong(`a record at ${position} behind one at ${this.#after}`);
    }
    if (!(data.length <= this.#capacity)) throw new Wrong(`a record of ${data.length} bytes`);
    this.#after = position;
    this.handed++;
    if (this.#truth === undefined || this.#truth.isLost) return;
    const place = this.#truth.placeOf(position);
    if (this.#truth.isSure(position)) {
      const written = this.#truth.records[place];
      const isCounted = !this.#truth.isBetweenDamage(position);
      compare(isCounted ? seen : { ...seen, record: written?.record }, written);
      if (seen.record !== written.record) count('numbered otherwise, between damage');
    }
    if (!this.told && this.#next !== undefined && place !== this.#next && this.#truth.hasNoGaps) {
      throw new Wrong(`record ${place} where record ${this.#next} has to come, and no error`);
    }
    this.#next = place === undefined ? undefined : place + 1;
  }

  /** It read on until there was nothing more, and no error was thrown: of what was cut off, what is whole was there. */
  isAtRest() {
    if (!this.#truth?.isCutOff || this.told || this.#next === undefined) return;
    const { records, wholeUpTo } = this.#truth;
    if (records[this.#next]?.position < wholeUpTo) {
      throw new Wrong(`it stopped before record ${this.#next}; up to ${wholeUpTo} all is whole`);
    }
  }

  /** It read to the end and no error was thrown: that is all there was. */
  isAtEnd() {
    if (!this.#truth?.isWhole || this.#truth.isLost || this.told) return;
    const { length } = this.#truth.records;
    if (this.#next !== undefined && this.#next !== length) {
      throw new Wrong(`it ended before record ${this.#next} of ${length}, and no error`);
    }
  }
}

/** Compares all that a record says of itself. */
export function compare(seen, written) {
  if (written === undefined) throw new Wrong(`a record at ${seen.position}, where none was written`);
  for (const what of ['record', 'type', 'timestamp', 'tag']) {
    if (seen[what] !== written[what]) {
      throw new Wrong(`the record at ${seen.position} has ${what} ${seen[what]}, and not ${written[what]}`);
    }
  }
  if (!written.data.equals(seen.data)) throw new Wrong(`the record at ${seen.position} has another payload`);
}

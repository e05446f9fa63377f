import { Refusal } from '../../../dist/index.js';
import { randomOf } from '../../crash/fixtures/plan.js';

const RESERVED = 64;
const MARK_STRIDE = 4096;
const LARGEST = 16384;

/** Text, so that a record can be given as bytes or as a string and be the same. */
const text = textOf(65536 + LARGEST + 64);

function textOf(length) {
  const random = randomOf(1);
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = 33 + random(90);
  return bytes;
}

/** The bytes of record `number`: others for each, so that a record which is taken for another shows. */
export function contentOf(number, length) {
  const from = Math.imul(number + 1, 0x9e3779b1) >>> 16;
  return text.subarray(from, from + length);
}

export function must(holds, what) {
  // The words are made only where they are needed: there are many checks for each record.
  if (!holds) throw new Error(typeof what === 'function' ? what() : what);
}

/** What a channel is, as a plain array of its records with the rules of where they lie and what is refused. */
export class Model {
  records = [];
  /** Where the next record goes, unless what is left of the lap is too short for it. */
  end;
  /** What `ready()` waits for: what was refused last, as long as the stream has not gone on since. */
  #refused;

  constructor({ mode, capacity, timestamps, base, baseRecord }) {
    this.ring = mode === 'ring';
    this.timed = timestamps;
    this.capacity = capacity;
    this.base = base;
    this.baseRecord = baseRecord;
    this.end = base;
    this.header = timestamps ? 32 : 16;
    this.maxRecord = this.ring ? capacity / 8 : capacity / 4;
    this.largestBatch = this.ring ? capacity / 4 : capacity - RESERVED;
    /**
     * No mark stands in a record or a PAD, and limit goes up by sixteenths of a capacity: what is that near to being
     * overwritten may be said to be gone.
     */
    this.coarse = 2 * (this.maxRecord + this.header) + capacity / 16 + 2 * MARK_STRIDE;
  }

  frameOf(length) {
    return (length + this.header + 15) & -16;
  }

  bytesOf(lengths) {
    return lengths.reduce((sum, length) => sum + this.frameOf(length), 0);
  }

  get nextNumber() {
    return this.baseRecord + this.records.length;
  }

  get lapLeft() {
    return this.capacity - ((this.end - this.base) % this.capacity);
  }

  /** Where `need` bytes in one piece go: on a ring, a PAD fills what is left of a lap that is too short for them. */
  placeFor(need) {
    return this.ring && need > this.lapLeft ? this.end + this.lapLeft : this.end;
  }

  /** What becomes of records of these lengths in one piece: the bytes they take, or the refusal. */
  outcomeOf(lengths, slowest) {
    if (lengths.length === 0) return 0;
    const need = this.bytesOf(lengths);
    const most = lengths.length === 1 ? need : this.largestBatch;
    if (need > most || lengths.some((length) => length > this.maxRecord)) return Refusal.TOO_LARGE;
    return this.refusalOf(need, slowest) ?? need;
  }

  /** `slowest`: where the last of those who hold the writer back stands. */
  refusalOf(need, slowest) {
    const until = this.placeFor(need) + need + RESERVED;
    if (!this.ring) return until - this.base > this.capacity ? Refusal.FULL : undefined;
    return until - slowest > this.capacity ? Refusal.BACK_PRESSURE : undefined;
  }

  append(records) {
    this.end = this.placeFor(this.bytesOf(records.map(({ length }) => length)));
    for (const record of records) {
      this.records.push({ ...record, at: this.end });
      this.end += this.frameOf(record.length);
    }
  }

  /** A PAD was written for what is to come. */
  makePlaceFor(need) {
    this.end = this.placeFor(need);
  }

  refuse(refusal, need) {
    this.#refused = { refusal, need, at: this.end };
  }

  forgetRefused() {
    this.#refused = undefined;
  }

  /** What `ready()` gives: the bytes it waits for, or TOO_LARGE. */
  get awaited() {
    if (this.#refused?.at !== this.end) return this.header;
    const { refusal, need } = this.#refused;
    return refusal === Refusal.TOO_LARGE ? refusal : Math.max(need, this.header);
  }

  /** Where a reader may stand whose next record is record `index`: at it, or at the PAD before it. */
  standsAt(index, position) {
    const before = index === 0 ? this.base : this.#endOf(this.records[index - 1]);
    return position === (this.records[index]?.at ?? this.end) || position === before;
  }

  #endOf({ at, length }) {
    return at + this.frameOf(length);
  }

  /** Throws unless what a reader was given is record `index`. */
  check(index, found) {
    const record = this.records[index];
    must(record !== undefined, () => `Record ${index} was never written`);
    const place = record.at === found.position && record.length === found.bytes.length;
    must(
      place && record.type === found.type,
      () =>
        `Record ${index} is at ${found.position}, length ${found.bytes.length}, type ${found.type} ` +
        `instead of ${record.at}, ${record.length}, ${record.type}`,
    );
    if (this.timed) {
      must(record.tag === found.tag, () => `Record ${index} has tag ${found.tag} instead of ${record.tag}`);
      must(record.time === found.time, () => `Record ${index} is of ${found.time} instead of ${record.time}`);
    }
    const content = contentOf(this.baseRecord + index, record.length);
    must(content.equals(found.bytes), () => `Record ${index} has other bytes`);
  }
}

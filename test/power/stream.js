import { randomOf } from '../crash/fixtures/plan.js';

export const LARGEST = 8192;
const NOISE = 65536;

export const noise = noiseOf(NOISE + LARGEST);

function noiseOf(length) {
  const random = randomOf(1);
  return Buffer.from(Array.from({ length }, () => random(256)));
}

export function must(holds, what) {
  // The words are made only where they are needed: there are many checks for each record.
  if (!holds) throw new Error(typeof what === 'function' ? what() : what);
}

/** All that was committed to a channel, in its order: what is found after a power cut is the beginning of that. */
export class Stream {
  records = [];
  /** Records that a power cut took. */
  dropped = [];
  /** Whether its writer was about to end it, or did. */
  ending = false;
  #header;
  #baseRecord;
  /** Records that were ever made. A number that was dropped is given again, but to other bytes. */
  #made = 0;

  constructor({ timestamps, base }) {
    this.#header = timestamps ? 32 : 16;
    this.#baseRecord = base.record;
  }

  get count() {
    return this.records.length;
  }

  get end() {
    return this.records.at(-1)?.next;
  }

  /** Bytes for the next record that nothing else ever had. */
  payload(length) {
    const from = Math.imul(++this.#made, 0x9e3779b1) >>> 16;
    return noise.subarray(from, from + length);
  }

  sizeOf(length) {
    return (this.#header + length + 15) & -16;
  }

  /** What of a record nobody said is as the channel makes it. `goesOn`: the next one is of the same batch. */
  add(position, { data, type = 0, tag = 0, time, goesOn = false }) {
    const next = position + this.sizeOf(data.length);
    this.records.push({ position, next, data, type, tag, time, goesOn });
    return next;
  }

  /** How many records lie below a position. */
  countBelow(position) {
    let count = this.records.length;
    while (count > 0 && this.records[count - 1].next > position) count--;
    return count;
  }

  /** Only the first `count` are left: the others are gone, and may never come back. */
  cut(count) {
    this.dropped.push(...this.records.splice(count));
    this.ending = false;
  }

  numberOf(index) {
    return this.#baseRecord + index;
  }

  check(index, found) {
    const record = this.records[index];
    must(
      record !== undefined,
      () => `There is a record ${index} at ${found.position} that was never written`,
    );
    const { position, type, data, tag, time } = record;
    must(
      found.position === position && found.record === this.numberOf(index) && found.type === type,
      () =>
        `Record ${index} is number ${found.record} at ${found.position}, type ${found.type} ` +
        `instead of ${this.numberOf(index)} at ${position}, type ${type}`,
    );
    must(data.equals(found.data), () => `Record ${index} at ${position} has other bytes`);
    const tagged = found.tag === undefined || found.tag === tag;
    const timed = found.timestamp === undefined || time === undefined || found.timestamp === time;
    must(tagged && timed, () => `Record ${index} at ${position} has another tag or time`);
  }
}

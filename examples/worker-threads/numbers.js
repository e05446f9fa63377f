/** What goes through the channel: the numbers from 0 on, one a record. */
import { join } from 'node:path';

export const COUNT = 100_000;
/** Far less than all of them, so that a reader which stands still would stop the writer. */
export const CAPACITY = '256KiB';

/** @param {string} directory */
export const channelIn = (directory) => join(directory, 'numbers');

/** One number in 8 bytes. */
export const number = {
  /** @param {number} value */
  encode(value) {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleLE(value);
    return bytes;
  },
  /** @param {Buffer} bytes */
  decode: (bytes) => bytes.readDoubleLE(),
};

/** Counts numbers, and sees whether each is the next one. */
export class Tally {
  count = 0;
  #outOfTurn = 0;

  /** @param {number} value */
  add(value) {
    if (value !== this.count) this.#outOfTurn++;
    this.count++;
  }

  toString() {
    return `${this.count} numbers, ${this.#outOfTurn} of them out of turn`;
  }
}

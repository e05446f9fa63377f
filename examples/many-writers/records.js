/** What each writer writes: records with numbers from 0 on, of which the last one says so. */
export const RECORDS = 2000;

/** What came of the writers, by their names. */
export class Tally {
  /** @type {Map<string, number>} */
  #counts = new Map();
  #latest = '';
  outOfTurn = 0;
  /** How often a record was of another writer than the one before it. */
  changes = 0;

  /** @param {string} writer @param {{ number: number }} record */
  add(writer, { number }) {
    const count = this.of(writer);
    if (number !== count) this.outOfTurn++;
    this.#counts.set(writer, count + 1);
    if (writer !== this.#latest) this.changes++;
    this.#latest = writer;
  }

  /** @param {string} writer */
  of(writer) {
    return this.#counts.get(writer) ?? 0;
  }
}

/**
 * A reader that has caught up and looks at the next length word again and again takes the cache line away from
 * the writer that is about to store there. So while small batches keep coming, a busy reader stays away for a
 * little after each look that came to the end, without touching shared memory: a little longer while batches stay
 * small, and soon not at all when records come one by one, as in a round trip, or not at all.
 */
const FIRST_STAY = 512; // turns of the loop below, about 1.3 ns each
const LONGEST_STAY = 16384;
const ENOUGH_IN_A_BATCH = 64;
const FRUITLESS_LOOKS = 2;

export class Backoff {
  #stay = 0;
  #due = false;
  #fruitless = 0;
  #spun = 0;

  /** Stays away for as long as recent batches make worth while, if the last look came to the end. */
  beforeLook(): void {
    if (!this.#due) return;
    this.#due = false;
    let spun = this.#spun;
    for (let i = this.#stay; i > 0; i--) spun = (Math.imul(spun, 1664525) + 1013904223) | 0;
    this.#spun = spun;
  }

  /** A look came to the end of what is there, having found so many records. */
  afterEmptyLook(found: number): void {
    this.#fruitless = found === 0 ? this.#fruitless + 1 : 0;
    if (found === 1 || this.#fruitless > FRUITLESS_LOOKS) {
      this.#stay >>= 1;
      if (this.#stay < FIRST_STAY) this.#stay = 0;
    } else if (found > 1 && found < ENOUGH_IN_A_BATCH) {
      this.#stay = Math.min(LONGEST_STAY, Math.max(FIRST_STAY, this.#stay + (this.#stay >> 2)));
    }
    this.#due = this.#stay > 0;
  }
}

/**
 * A reader that has caught up and looks at the next length word again and again takes the cache line away from
 * the writer that is about to store there. So while small batches keep coming, a busy reader stays away for a
 * little after each look that came to the end, without touching shared memory: a little longer while batches stay
 * small, and soon not at all when records come one by one, as in a round trip, or not at all.
 *
 * A stream whose reader is at the writer's heels comes one by one, too, at the pace at which they take the line from
 * each other. Which of both it is shows when the reader stays away for once: that is tried now and then, less and less
 * often where it was in vain.
 */
const FIRST_STAY = 512; // turns of the loop below, about 1.3 ns each
const LONGEST_STAY = 4096;
const ENOUGH_IN_A_BATCH = 64;
const FRUITLESS_LOOKS = 2;
const FIRST_TRIAL = 16;
const RAREST_TRIAL = 1024;

export class Backoff {
  #stay = 0;
  #due = false;
  #fruitless = 0;
  #spun = 0;
  /** Looks that found one record, since the last trial; and how many make the next one due. */
  #single = 0;
  #trialAfter = FIRST_TRIAL;

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
    if (found === 1 && this.#stay === 0) this.#countSingle();
    else if (found === 1 || this.#fruitless > FRUITLESS_LOOKS) this.#shorten();
    else if (found > 1) this.#lengthen(found);
    this.#due = this.#stay > 0;
  }

  #countSingle(): void {
    if (++this.#single < this.#trialAfter) return;
    this.#single = 0;
    this.#trialAfter = Math.min(RAREST_TRIAL, this.#trialAfter * 2);
    this.#stay = FIRST_STAY;
  }

  #shorten(): void {
    this.#stay >>= 1;
    if (this.#stay < FIRST_STAY) this.#stay = 0;
  }

  #lengthen(found: number): void {
    this.#trialAfter = FIRST_TRIAL;
    if (found >= ENOUGH_IN_A_BATCH) return;
    this.#stay = Math.min(LONGEST_STAY, Math.max(FIRST_STAY, this.#stay + (this.#stay >> 2)));
  }
}

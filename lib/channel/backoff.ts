/**
 * A reader that has caught up and looks at the next length word again and again takes the cache line away from
 * the writer that is about to store there. So while small batches keep coming, a busy reader stays away for a
 * little after it drained the channel, without touching shared memory; not at all when records come one by one,
 * as in a round trip.
 */
const FIRST_PAUSE = 64;
const LONGEST_PAUSE = 4096;
const SMALL_BATCH = 64;
const LARGE_BATCH = 512;

export class Backoff {
  #pause = 0;
  #due = false;
  #spun = 0;

  /** Spins for as long as recent batches make worth while, once after each batch. */
  beforeLook(): void {
    if (!this.#due) return;
    this.#due = false;
    let spun = this.#spun;
    for (let i = this.#pause; i > 0; i--) spun = (Math.imul(spun, 1664525) + 1013904223) | 0;
    this.#spun = spun;
  }

  afterBatch(count: number): void {
    if (count === 0) return;
    if (count === 1) this.#pause = 0;
    else if (count < SMALL_BATCH) this.#pause = Math.min(this.#pause * 2 + FIRST_PAUSE, LONGEST_PAUSE);
    else if (count > LARGE_BATCH) this.#pause >>= 1;
    this.#due = this.#pause > 0;
  }
}

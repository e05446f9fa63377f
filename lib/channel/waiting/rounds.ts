// Not the global ones, which tests put others in the place of: this timer outlives them.
import { clearInterval, setInterval } from 'node:timers';
import { outside } from '../runtime/index.js';

/** Who sleeps and is looked after now and then. */
export interface Sleeping {
  /** Nobody woke it for a while: whoever would have may have died in between. */
  lookAgain(): void;
}

/**
 * One timer for all of a thread's sleepers of a kind: to set one for each, and to take it away at each wake, would cost
 * more than the rest of the wake. Keeps the process alive while somebody sleeps. It goes on for a round after the last
 * one rose, since who rises mostly lies down again.
 */
export class Rounds {
  /** Everyone is looked after in every second round. */
  readonly everyMs: number;
  readonly #sleeping = new Map<Sleeping, number>();
  #rounds = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(everyMs: number) {
    this.everyMs = everyMs;
  }

  join(sleeping: Sleeping): void {
    this.#timer ??= outside(() => setInterval(() => this.#goRound(), this.everyMs));
    if (this.#sleeping.size === 0) this.#timer.ref();
    this.#sleeping.set(sleeping, this.#rounds);
  }

  leave(sleeping: Sleeping): void {
    if (this.#sleeping.delete(sleeping) && this.#sleeping.size === 0) this.#timer?.unref();
  }

  #goRound(): void {
    this.#rounds++;
    if (this.#sleeping.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    // Not at once after it lay down: what it is to be woken for has just come then, and the wake is under way.
    for (const [sleeping, since] of this.#sleeping) {
      if (((this.#rounds - since) & 1) === 0) sleeping.lookAgain();
    }
  }
}

export const ROUNDS_FOR_RECORDS = new Rounds(100);
/** A writer also looks for the dead and the slow among its readers. */
export const ROUNDS_FOR_ROOM = new Rounds(10);

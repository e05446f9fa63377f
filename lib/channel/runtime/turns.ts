import { performance } from 'node:perf_hooks';
// Not the global one, which tests put another in the place of: what waits for nothing is to resolve there, too.
import { setImmediate } from 'node:timers';

/** Going on and on holds the event loop: after so long it is to have a turn. */
const LONGEST_TURN_MS = 5;

/**
 * When this thread's event loop last called us, for all who wait, look and iterate on it: many short stretches without a
 * turn between them hold it as one long one does.
 */
let began = performance.now();

/** The event loop has called: what others had to do has been done. */
export function turnBegins(now: number = performance.now()): void {
  began = now;
}

export function isTurnOver(now: number = performance.now()): boolean {
  return now - began >= LONGEST_TURN_MS;
}

/** Looking at the clock for each record would cost as much as the record; for slow ones it must be. */
const MOST_RECORDS_A_LOOK = 64;
/** What takes longer between two looks is slow. */
const SLOW_MS = 1;

/** What is small is read in one batch, however often this thread has to wait for a cpu meanwhile. */
export const LEAST_RECORDS_A_BATCH = 16;

/** For who works record by record: when the event loop is to have a turn. Looks at the clock the less often the quicker that goes. */
export class TurnClock {
  /** Records from one look to the next, and until then. */
  #recordsALook = 1;
  #left = 1;
  #looked = 0;
  #isDue = false;

  /** Asked before each record. */
  isOver(): boolean {
    return --this.#left <= 0 && this.#look();
  }

  /**
   * Takes by `some`, which is told how many, and says how many there were, until there are `max`, or no more; or as many as
   * wanted at `least`, and the event loop is to have its turn. Whoever is asked for the first of them looks at the clock again.
   */
  take(max: number, some: (wanted: number) => number, least = 1): void {
    for (let taken = 0; taken < max; ) {
      const wanted = Math.min(max - taken, Math.max(least - taken, this.#recordsALook));
      const count = some(wanted);
      taken += count;
      if (count < wanted || this.#look()) break;
    }
    this.#left = 1;
  }

  /** It is to have its turn, whatever the clock says. */
  end(): void {
    this.#left = 1;
    this.#isDue = true;
  }

  #look(): boolean {
    const now = performance.now();
    const isSlow = now - this.#looked > SLOW_MS;
    this.#looked = now;
    this.#recordsALook = isSlow ? 1 : Math.min(MOST_RECORDS_A_LOOK, this.#recordsALook * 2);
    this.#left = this.#recordsALook;
    const isDue = this.#isDue || isTurnOver(now);
    this.#isDue = false;
    return isDue;
  }
}

/** Lets the event loop have a turn, then calls. */
export function nextTurn(call: () => void): void {
  setImmediate(() => {
    turnBegins();
    call();
  });
}

export function turn(): Promise<void> {
  return new Promise(nextTurn);
}

/** Asked by all that resolve without waiting, as long as the event loop has no turn. */
let held: TurnClock | undefined;

/**
 * Whether the event loop is to have a turn before a promise resolves that waited for nothing: who awaits one of these after the
 * other would hold it for ever. Asked for each of them.
 */
export function isTurnDue(): boolean {
  if (held !== undefined) return held.isOver();
  // It calls others than us, too: that it has been held is known only from the first of these on.
  held = new TurnClock();
  turnBegins();
  nextTurn(() => {
    held = undefined;
  });
  return false;
}

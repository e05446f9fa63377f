import { setTimeout as delay } from 'node:timers/promises';

/** Timers know no longer ones. */
const LONGEST_MS = 2 ** 31 - 1;

/** What tells the time, and waits; both in milliseconds. */
export interface Clock {
  now(): number;
  sleep(ms: number, signal: AbortSignal): Promise<unknown>;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, { signal }),
};

/**
 * When each record is due: as long after the first one as its time is after that one's, divided by the speed. It counts from
 * the first one always, so what comes late delays nothing that follows. A time that goes back is due at once.
 */
export class Pace {
  readonly #speed: number;
  readonly #clock: Clock;
  #first: { us: number; at: number } | undefined;

  /** `speed`: Infinity for as fast as it goes. */
  constructor(speed: number, clock = CLOCK) {
    this.#speed = speed;
    this.#clock = clock;
  }

  /** How many milliseconds it is until a record of this time, in microseconds, is due. */
  left(us: number): number {
    const now = this.#clock.now();
    this.#first ??= { us, at: now };
    const due = this.#first.at + (us - this.#first.us) / 1000 / this.#speed;
    return Math.max(0, due - now);
  }

  /** Resolves once it is due; throws an AbortError where the signal comes before that. */
  async until(us: number, signal: AbortSignal): Promise<void> {
    for (let left = this.left(us); left > 0; left = this.left(us)) {
      await this.#clock.sleep(Math.min(left, LONGEST_MS), signal);
    }
  }
}

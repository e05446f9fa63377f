import { availableParallelism } from 'node:os';
import { performance } from 'node:perf_hooks';
import { invalidArgument } from '../../errors.js';
import { oneOf, show } from '../../options.js';

/**
 * What to do before the next look, after one that found nothing: `'look'` at once; `'yield'` to the event loop, or to
 * another thread; `'park'`: sleep until there is something; or sleep for so many milliseconds.
 */
export type Idling = 'look' | 'yield' | 'park' | number;

/** Says how to wait. Anything but `park` takes a cpu, or time. */
export interface IdleStrategy {
  /** After so many looks in a row that found nothing (1 at first), over so many milliseconds. */
  idle(looks: number, waitedMs: number): Idling;
  /** What was waited for is there, after so many looks that found nothing. */
  found?(looks: number, waitedMs: number): void;
}

export type Idle = 'adaptive' | 'spin' | 'yield' | 'park' | IdleStrategy;

const NAMES = ['adaptive', 'spin', 'yield', 'park'] as const;

/** A core that spins is only worth it where there are more than the two that talk to each other. */
const SPIN_LOOKS = availableParallelism() > 2 ? 200 : 0;
/** A turn of the event loop takes longer than some looks do. */
const LOOKS_A_TURN = 16;
const LONGEST_YIELD_MS = 1;
const SHORTEST_YIELD_MS = 1 / 16;

/**
 * A short spin, then yielding, then parking. Where what comes usually comes while it yields, it goes on yielding for up
 * to a millisecond; where that was in vain it parks sooner the next time, and in the end at once.
 */
class Adaptive implements IdleStrategy {
  #yieldMs = LONGEST_YIELD_MS;

  idle(looks: number, waitedMs: number): Idling {
    if (looks <= SPIN_LOOKS || looks % LOOKS_A_TURN !== 0) return 'look';
    return waitedMs < this.#yieldMs ? 'yield' : 'park';
  }

  found(_looks: number, waitedMs: number): void {
    const less = this.#yieldMs > SHORTEST_YIELD_MS ? this.#yieldMs / 2 : 0;
    this.#yieldMs = waitedMs < LONGEST_YIELD_MS ? LONGEST_YIELD_MS : less;
  }
}

/** A cpu that somebody else has in between is gone for longer than a turn of an event loop that has nothing to do. */
const LONGEST_TURN_MS = 0.5;
/** So much longer than others had the cpu meanwhile, and than it was in vain. */
const REST_TIMES_LOST = 20;
const REST_TIMES_IN_VAIN = 2;

/**
 * Yields while another thread works, as that is mostly over within some hundred microseconds: who sleeps through them is
 * woken late, and by a cpu that slept, too. Where it wasn't over it parks for twice as long; where others had need of the
 * cpu, who would have let go of it sooner for one that wakes, for twenty times as long as they had it.
 */
class WhileWorkIsQuick implements IdleStrategy {
  #isYielding = false;
  #lastMs = 0;
  #restsUntil = 0;

  idle(looks: number, waitedMs: number): Idling {
    if (looks === 1) {
      this.#lastMs = 0;
      this.#isYielding = performance.now() >= this.#restsUntil;
    }
    this.#judge(waitedMs);
    return this.#isYielding ? 'yield' : 'park';
  }

  found(_looks: number, waitedMs: number): void {
    this.#judge(waitedMs);
  }

  #judge(waitedMs: number): void {
    const turnMs = waitedMs - this.#lastMs;
    this.#lastMs = waitedMs;
    if (!this.#isYielding) return;
    let restMs = 0;
    if (turnMs >= LONGEST_TURN_MS) restMs = REST_TIMES_LOST * turnMs;
    else if (waitedMs >= LONGEST_YIELD_MS) restMs = REST_TIMES_IN_VAIN * waitedMs;
    if (restMs === 0) return;
    this.#isYielding = false;
    this.#restsUntil = performance.now() + restMs;
  }
}

/** For what nobody rings, as a file that appears, and for who can't be rung for: looks now and then. */
export class Polling implements IdleStrategy {
  readonly #longestMs: number;

  constructor(longestMs: number) {
    this.#longestMs = longestMs;
  }

  idle(looks: number): number {
    return Math.min(this.#longestMs, Math.ceil(looks / 64));
  }
}

export function checkIdle(idle: unknown): void {
  if (typeof idle === 'object' && idle !== null) {
    const { idle: method, found } = idle as Partial<IdleStrategy>;
    if (typeof method === 'function' && (found === undefined || typeof found === 'function')) return;
    throw invalidArgument(`An idle strategy needs a method idle(looks, waitedMs), not ${show(idle)}`);
  }
  oneOf('idle', idle === undefined ? 'adaptive' : idle, NAMES);
}

export function strategyOf(idle: Idle = 'adaptive'): IdleStrategy {
  switch (idle) {
    case 'adaptive':
      return new Adaptive();
    case 'spin':
      return { idle: () => 'look' };
    case 'yield':
      return { idle: () => 'yield' };
    case 'park':
      return { idle: () => 'park' };
    default:
      return idle;
  }
}

/** The same for the work of another thread of this process, as a sync. */
export function strategyForWork(idle: Idle = 'adaptive'): IdleStrategy {
  return idle === 'adaptive' ? new WhileWorkIsQuick() : strategyOf(idle);
}

export function checkIdling(idling: Idling): Idling {
  if (idling === 'look' || idling === 'yield' || idling === 'park') return idling;
  if (typeof idling === 'number' && idling >= 0) return idling;
  throw invalidArgument(
    `An idle strategy says 'look', 'yield', 'park' or a number of milliseconds, not ${show(idling)}`,
  );
}

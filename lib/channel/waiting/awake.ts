import { performance } from 'node:perf_hooks';
// Not the global one, which tests put another in the place of.
import { setImmediate } from 'node:timers';
import { binding } from '../../native.js';
import { throwLater } from '../runtime/index.js';
import { checkIdling, type Idle, type IdleStrategy, strategyForWork } from './idle.js';

/**
 * Keeps an event loop awake while another thread works for somebody who waits here: it goes round and round, as the
 * strategy says, so that who is to go on goes on at once. All else that the loop has to do is done in between, and other
 * threads come first.
 */
export class Awake {
  readonly #strategy: IdleStrategy;
  #since = 0;
  #looks = 0;
  #hasBegun = false;
  #isOn = false;
  #isScheduled = false;

  constructor(idle: Idle | undefined) {
    this.#strategy = strategyForWork(idle);
  }

  /** The work begins. Returns whether the loop stays awake for it. */
  begin(): boolean {
    this.#since = performance.now();
    this.#looks = 0;
    this.#hasBegun = true;
    this.#goOn(0);
    return this.#isOn;
  }

  /** The work is over, if any was begun. */
  end(): void {
    if (!this.#hasBegun) return;
    this.#hasBegun = false;
    this.#isOn = false;
    try {
      this.#strategy.found?.(this.#looks, performance.now() - this.#since);
    } catch (error) {
      throwLater(error);
    }
  }

  /** A turn of the loop. */
  turn(): void {
    this.#isScheduled = false;
    if (!this.#isOn) return;
    binding().yieldCpu();
    this.#goOn(performance.now() - this.#since);
  }

  #goOn(waitedMs: number): void {
    this.#looks++;
    try {
      const idling = checkIdling(this.#strategy.idle(this.#looks, waitedMs));
      // To look again at once would be to no purpose: what is to be found comes with a turn of the loop.
      this.#isOn = idling === 'look' || idling === 'yield';
    } catch (error) {
      this.#isOn = false;
      throwLater(error);
    }
    if (!this.#isOn || this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(turn, this);
  }
}

const turn = (awake: Awake): void => awake.turn();

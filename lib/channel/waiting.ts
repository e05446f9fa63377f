import { invalidArgument, MillraceError } from '../errors.js';
import { knownOptions, show } from '../options.js';
import { forget, onAbort } from './aborting.js';
import { checkIdling, type IdleStrategy, type Idling, Polling } from './idle.js';
import type { Sleeper } from './sleeper.js';

/** What everything that waits takes. */
export interface WaitOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** Where this is the rest of a longer wait, `until` is when that ends. */
export interface Limits extends WaitOptions {
  until?: number;
}

/** Node takes what is more for 1. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Looking at once holds the event loop: not for longer than this. */
const LONGEST_TURN_MS = 5;
/** Where nobody can be heard, sleeping is looking now and then: rarer the longer nothing came. */
const DEAF = new Polling(10);
const NEVER_CHANGES = new Int32Array(new SharedArrayBuffer(4));

/**
 * Waits until `ready` says so, the signal aborts or the time is up; how is up to the strategy. `ready` is called on the
 * event loop again and again; what it throws ends the wait.
 */
export async function waitUntil(
  ready: () => boolean,
  what: string,
  options: Limits = {},
  strategy: IdleStrategy = DEAF,
  sleeper?: Sleeper,
): Promise<void> {
  checkWait(options);
  throwIfAborted(options.signal, what);
  if (ready()) return;
  await new Promise<void>((resolve, reject) => {
    new Wait(ready, what, options, strategy, sleeper, resolve, reject).begin();
  });
}

class Wait {
  readonly #ready: () => boolean;
  readonly #what: string;
  readonly #options: Limits;
  readonly #strategy: IdleStrategy;
  readonly #sleeper: Sleeper | undefined;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #since = performance.now();
  readonly #until: number;
  #looks = 1;
  #over = false;
  #asleep = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    ready: () => boolean,
    what: string,
    options: Limits,
    strategy: IdleStrategy,
    sleeper: Sleeper | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#ready = ready;
    this.#what = what;
    this.#options = options;
    this.#strategy = strategy;
    this.#sleeper = sleeper;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#until = endOf(options);
  }

  begin(): void {
    if (this.#options.signal !== undefined) onAbort(this.#options.signal, this.#abort);
    this.#sleeper?.attend(this.#step);
    this.#try(() => {
      if (this.#idle(performance.now()) === 'look') this.#look();
    });
  }

  readonly #step = (): void => {
    if (!this.#over) this.#try(() => this.#look());
  };

  #look(): void {
    const begun = performance.now();
    for (let now = begun; ; now = performance.now()) {
      if (this.#ready()) {
        this.#found();
        return;
      }
      if (now >= this.#until) throw timedOut(this.#what, this.#options.timeoutMs as number);
      this.#looks++;
      if (this.#idle(now) !== 'look') return;
      if (now - begun < LONGEST_TURN_MS) continue;
      setImmediate(this.#step);
      return;
    }
  }

  /** Sees to it that there is another look; where that is to be at once, the caller does. */
  #idle(now: number): Idling {
    const idling = checkIdling(this.#strategy.idle(this.#looks, now - this.#since));
    if (idling === 'yield') setImmediate(this.#step);
    else if (idling === 'park') this.#park();
    else if (typeof idling === 'number') this.#later(idling);
    return idling;
  }

  #later(ms: number): void {
    const left = Math.max(0, this.#until - performance.now());
    this.#timer = setTimeout(this.#step, Math.min(ms, left, LONGEST_TIMER_MS));
  }

  #park(): void {
    const sleeper = this.#sleeper;
    if (sleeper?.listen() !== true) {
      this.#later(DEAF.idle(this.#looks));
      return;
    }
    // Now that it is known that somebody sleeps.
    if (this.#ready()) {
      this.#found();
      return;
    }
    this.#asleep = true;
    sleeper.sleep(this.#rung);
    this.#timer = setTimeout(this.#lookAgain, Math.min(sleeper.lookAgainMs, this.#left()));
  }

  #left(): number {
    return Math.max(0, Math.ceil(this.#until - performance.now()));
  }

  readonly #rung = (): void => this.#try(() => this.#lookAsleep(true));

  readonly #lookAgain = (): void => {
    this.#try(() => {
      this.#lookAsleep(false);
      if (this.#over) return;
      if (performance.now() >= this.#until) throw timedOut(this.#what, this.#options.timeoutMs as number);
      const ms = Math.min((this.#sleeper as Sleeper).lookAgainMs, this.#left());
      this.#timer = setTimeout(this.#lookAgain, ms);
    });
  };

  #lookAsleep(rung: boolean): void {
    const sleeper = this.#sleeper as Sleeper;
    // Rung for somebody else, or for what others took: it is made known anew that somebody sleeps.
    if (!this.#ready() && !(sleeper.listen() && this.#ready())) return;
    sleeper.ended(rung);
    this.#found();
  }

  #found(): void {
    this.#strategy.found?.(this.#looks, performance.now() - this.#since);
    this.#end();
    this.#resolve();
  }

  readonly #abort = (): void => {
    if (this.#over) return;
    this.#end();
    this.#reject(aborted(this.#what, this.#options.signal?.reason));
  };

  #try(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#end();
      this.#reject(error);
    }
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#sleeper?.leave(this.#step);
    if (this.#asleep) this.#sleeper?.rise(this.#rung);
    if (this.#options.signal !== undefined) forget(this.#options.signal, this.#abort);
  }
}

/** The same, but blocks this thread. To yield is to look again: who blocks has a core of its own, or should park. */
export function waitBlocked(
  ready: () => boolean,
  what: string,
  timeoutMs: number | undefined,
  strategy: IdleStrategy,
  sleeper: Sleeper,
): void {
  checkWait({ timeoutMs });
  const since = performance.now();
  const until = since + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let looks = 0;
  while (!ready()) {
    const now = performance.now();
    looks++;
    if (now >= until) throw timedOut(what, timeoutMs as number);
    const left = Math.ceil(Math.min(until - now, LONGEST_TIMER_MS));
    const idling = checkIdling(strategy.idle(looks, now - since));
    if (typeof idling === 'number') pause(Math.min(idling, left));
    else if (idling === 'park' && !sleeper.block(ready, left)) pause(Math.min(DEAF.idle(looks), left));
  }
  if (looks > 0) strategy.found?.(looks, performance.now() - since);
}

function pause(ms: number): void {
  Atomics.wait(NEVER_CHANGES, 0, 0, ms);
}

/** For a wait in parts: all of them end where one of this length would. */
export function limitsFromNow({ signal, timeoutMs }: WaitOptions = {}): Limits {
  return { signal, timeoutMs, until: endOf({ timeoutMs }) };
}

function endOf({ timeoutMs, until }: Limits): number {
  return until ?? performance.now() + (timeoutMs ?? Number.POSITIVE_INFINITY);
}

export function waitOptions(what: string, options: WaitOptions | undefined, others: string[] = []): void {
  knownOptions(what, options, ['signal', 'timeoutMs', ...others]);
}

export function checkWait({ signal, timeoutMs }: WaitOptions): void {
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
    throw invalidArgument(`timeoutMs must be a number of milliseconds from 0 on, not ${show(timeoutMs)}`);
  }
  checkSignal(signal);
}

export function checkSignal(signal: unknown): void {
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidArgument(`signal must be an AbortSignal, not ${show(signal)}`);
  }
}

export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw aborted(what, signal.reason);
}

function timedOut(what: string, timeoutMs: number): MillraceError {
  return new MillraceError('ERR_TIMEOUT', `${what}: not within ${timeoutMs} ms`, { timeoutMs });
}

function aborted(what: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_ABORTED', `${what}: aborted`, { cause });
}

/** Waits for work that can't be stopped, as long as the options say. Whoever waits no longer leaves it to its end. */
export async function within<T>(work: Promise<T>, what: string, options: Limits): Promise<T> {
  const { signal, timeoutMs } = options;
  // Should nobody be left to hear of its failure.
  work.catch(() => {});
  checkWait(options);
  throwIfAborted(signal, what);
  const left = Math.max(0, endOf(options) - performance.now());
  const limited = left <= LONGEST_TIMER_MS;
  if (signal === undefined && !limited) return work;
  return new Promise<T>((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer);
      if (signal !== undefined) forget(signal, abort);
      settle();
    };
    const abort = () => end(() => reject(aborted(what, signal?.reason)));
    const timer = limited
      ? setTimeout(() => end(() => reject(timedOut(what, timeoutMs as number))), left)
      : undefined;
    if (signal !== undefined) onAbort(signal, abort);
    work.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}

import { performance } from 'node:perf_hooks';
import { MillraceError } from '../../errors.js';
import { checkWait, knownOptions } from '../../options.js';
import { forget, isTurnOver, nextTurn, onAbort, throwLater, turnBegins } from '../runtime/index.js';
import { checkIdling, type IdleStrategy, type Idling, Polling } from './idle.js';
import type { Sleeper, Waiting } from './sleeper.js';

/** What everything that waits takes. */
export interface WaitOptions {
  /** Ends the wait with ERR_ABORTED. */
  signal?: AbortSignal | undefined;
  /** Ends it with ERR_TIMEOUT after so many milliseconds. */
  timeoutMs?: number | undefined;
}

/** Where this is the rest of a longer wait, `until` is when that ends. */
export interface Limits extends WaitOptions {
  until?: number;
}

/** What is under way, in the words of the error that ends it, and the path that it is about. */
export interface Task {
  what: string;
  path?: string;
}

/** Node takes what is more for 1. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Where nobody can be heard, sleeping is looking now and then: rarer the longer nothing came. */
const DEAF = new Polling(10);
const NEVER_CHANGES = new Int32Array(new SharedArrayBuffer(4));

/** Looks for what is waited for, at a time in milliseconds; undefined where there is nothing yet. */
export type Look<T> = (now: number) => T | undefined;

const NO_LIMITS: Limits = {};

/**
 * Waits until `look` finds something, the signal aborts or the time is up; how is up to the strategy. `look` is called
 * on the event loop again and again; what it throws ends the wait.
 */
export function waitUntil<T>(
  look: Look<T>,
  task: Task,
  options: Limits = NO_LIMITS,
  strategy: IdleStrategy = DEAF,
  sleeper?: Sleeper,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const now = performance.now();
    try {
      checkWait(options);
      throwIfAborted(options.signal, task);
      const found = look(now);
      if (found !== undefined) handOver(found, now, resolve);
      else new Wait(look, task, options, strategy, sleeper, now, resolve, reject).begin();
    } catch (error) {
      handOver(error, now, reject);
    }
  });
}

/** What is found at once, or fails at once, again and again, must not keep the event loop from its turns. */
function handOver<T>(found: T, now: number, resolve: (found: T) => void): void {
  if (isTurnOver(now)) nextTurn(() => resolve(found));
  else resolve(found);
}

class Wait<T> implements Waiting {
  readonly #lookFor: Look<T>;
  readonly #task: Task;
  readonly #signal: AbortSignal | undefined;
  readonly #timeoutMs: number | undefined;
  readonly #strategy: IdleStrategy;
  readonly #sleeper: Sleeper | undefined;
  readonly #resolve: (found: T) => void;
  readonly #reject: (error: unknown) => void;
  readonly #since: number;
  readonly #until: number;
  #looks = 1;
  #over = false;
  /** While it looks it is not ended from without: what the look finds may be something that it did. */
  #looking = false;
  /** From then on it may be ended from without. */
  #away = false;
  #asleep = false;
  /** How many wakes there were before the last look that came before the sleep. */
  #wakesBefore = 0;
  #timer: NodeJS.Timeout | undefined;
  #abort: (() => void) | undefined;

  constructor(
    look: Look<T>,
    task: Task,
    options: Limits,
    strategy: IdleStrategy,
    sleeper: Sleeper | undefined,
    since: number,
    resolve: (found: T) => void,
    reject: (error: unknown) => void,
  ) {
    this.#lookFor = look;
    this.#task = task;
    this.#signal = options.signal;
    this.#timeoutMs = options.timeoutMs;
    this.#strategy = strategy;
    this.#sleeper = sleeper;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#since = since;
    this.#until = endOf(options, since);
  }

  begin(): void {
    try {
      if (this.#idle(this.#since) === 'look') this.#look();
    } catch (error) {
      this.#fail(error);
    }
  }

  look(): void {
    if (this.#over || this.#looking) return;
    try {
      this.#finds(performance.now());
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Looks, and goes on looking as long as that is to be. */
  goOn(): void {
    if (this.#over) return;
    turnBegins();
    try {
      this.#look();
    } catch (error) {
      this.#fail(error);
    }
  }

  #look(): void {
    for (let now = performance.now(); ; now = performance.now()) {
      if (this.#finds(now)) return;
      if (now >= this.#until) throw timedOut(this.#task, this.#timeoutMs as number);
      this.#looks++;
      if (this.#idle(now) !== 'look') return;
      if (!isTurnOver(now)) continue;
      this.#goAway();
      setImmediate(goOn, this);
      return;
    }
  }

  /** Sees to it that there is another look; where that is to be at once, the caller does. */
  #idle(now: number): Idling {
    const idling = checkIdling(this.#strategy.idle(this.#looks, now - this.#since));
    if (idling === 'look') return idling;
    this.#goAway();
    if (idling === 'yield') setImmediate(goOn, this);
    else if (idling === 'park') this.#park();
    else this.#later(idling);
    return idling;
  }

  #goAway(): void {
    if (this.#away) return;
    this.#away = true;
    this.#sleeper?.attend(this);
    const signal = this.#signal;
    if (signal === undefined) return;
    // The strategy may have aborted it.
    throwIfAborted(signal, this.#task);
    this.#abort = () => {
      if (!this.#looking) this.#fail(aborted(this.#task, signal.reason));
    };
    onAbort(signal, this.#abort);
  }

  #later(ms: number): void {
    const left = Math.max(0, this.#until - performance.now());
    this.#timer = setTimeout(goOn, Math.min(ms, left, LONGEST_TIMER_MS), this);
  }

  #park(): void {
    const sleeper = this.#sleeper;
    if (sleeper?.listen() !== true) {
      this.#later(DEAF.idle(this.#looks));
      return;
    }
    this.#wakesBefore = sleeper.wakes();
    // Now that it is known that somebody sleeps.
    if (this.#finds(performance.now())) return;
    this.#asleep = true;
    sleeper.sleep(this);
    if (this.#until < Number.POSITIVE_INFINITY) this.#sleepUntil();
  }

  #sleepUntil(): void {
    const left = Math.ceil(this.#until - performance.now());
    this.#timer = setTimeout(endInTime, Math.min(Math.max(0, left), LONGEST_TIMER_MS), this);
  }

  rung(): void {
    turnBegins();
    try {
      this.#findsAsleep(true);
    } catch (error) {
      this.#fail(error);
    }
  }

  lookAgain(): void {
    turnBegins();
    try {
      if (this.#findsAsleep(false)) return;
      if (performance.now() >= this.#until) throw timedOut(this.#task, this.#timeoutMs as number);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The time is up, or nearly: timers may be due a little too soon. */
  endInTime(): void {
    this.lookAgain();
    if (!this.#over) this.#sleepUntil();
  }

  #findsAsleep(rung: boolean): boolean {
    const sleeper = this.#sleeper as Sleeper;
    const now = performance.now();
    const wakesBefore = this.#wakesBefore;
    // Who rang took away that somebody sleeps; it may have been for somebody else, or for what others took.
    let found = rung && this.#finds(now);
    if (!found) {
      sleeper.listen();
      this.#wakesBefore = sleeper.wakes();
      found = this.#finds(now);
    }
    if (found) sleeper.ended(rung, wakesBefore);
    return found;
  }

  /** Whether a look found what ends this. */
  #finds(now: number): boolean {
    let found: T | undefined;
    this.#looking = true;
    try {
      found = this.#lookFor(now);
    } finally {
      this.#looking = false;
    }
    if (found === undefined) {
      throwIfAborted(this.#signal, this.#task);
      return false;
    }
    this.#end();
    handOver(found, now, this.#resolve);
    tellStrategy(this.#strategy, this.#looks, now - this.#since);
    return true;
  }

  #fail(error: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.#over = true;
    if (!this.#away) return;
    this.#sleeper?.leave(this);
    if (this.#asleep) this.#sleeper?.rise(this);
    if (this.#timer !== undefined) clearTimeout(this.#timer);
    if (this.#abort !== undefined) forget(this.#signal as AbortSignal, this.#abort);
  }
}

const goOn = <T>(wait: Wait<T>): void => wait.goOn();

const endInTime = <T>(wait: Wait<T>): void => wait.endInTime();

/** The same, but blocks this thread. To yield is to look again: who blocks has a core of its own, or should park. */
export function waitBlocked<T>(
  look: Look<T>,
  task: Task,
  timeoutMs: number | undefined,
  strategy: IdleStrategy,
  sleeper: Sleeper,
): T {
  checkWait({ timeoutMs });
  const since = performance.now();
  const until = since + (timeoutMs ?? Number.POSITIVE_INFINITY);
  let now = since;
  let found = look(now);
  let looks = 0;
  const finds = () => {
    now = performance.now();
    found = look(now);
    return found !== undefined;
  };
  while (found === undefined) {
    looks++;
    if (now >= until) throw timedOut(task, timeoutMs as number);
    const left = Math.ceil(Math.min(until - now, LONGEST_TIMER_MS));
    const idling = checkIdling(strategy.idle(looks, now - since));
    if (typeof idling === 'number') pause(Math.min(idling, left));
    else if (idling === 'park' && !sleeper.block(finds, left)) pause(Math.min(DEAF.idle(looks), left));
    if (found === undefined) finds();
  }
  if (looks > 0) tellStrategy(strategy, looks, now - since);
  return found;
}

/** What it throws must not hide what was found. */
function tellStrategy(strategy: IdleStrategy, looks: number, waitedMs: number): void {
  try {
    strategy.found?.(looks, waitedMs);
  } catch (error) {
    throwLater(error);
  }
}

function pause(ms: number): void {
  Atomics.wait(NEVER_CHANGES, 0, 0, ms);
}

/** For a wait in parts: all of them end where one of this length would. */
export function limitsFromNow({ signal, timeoutMs }: WaitOptions = {}): Limits {
  return { signal, timeoutMs, until: endOf({ timeoutMs }, performance.now()) };
}

function endOf({ timeoutMs, until }: Limits, since: number): number {
  return until ?? since + (timeoutMs ?? Number.POSITIVE_INFINITY);
}

export function waitOptions(what: string, options: WaitOptions | undefined, others: string[] = []): void {
  knownOptions(what, options, ['signal', 'timeoutMs', ...others]);
  if (options !== undefined) checkWait(options);
}

export function throwIfAborted(signal: AbortSignal | undefined, task: Task): void {
  if (signal?.aborted === true) throw aborted(task, signal.reason);
}

/** For what takes long without waiting. */
export function throwIfOver(
  { signal, timeoutMs, until = Number.POSITIVE_INFINITY }: Limits,
  task: Task,
): void {
  throwIfAborted(signal, task);
  if (until < Number.POSITIVE_INFINITY && performance.now() >= until)
    throw timedOut(task, timeoutMs as number);
}

function timedOut({ what, path }: Task, timeoutMs: number): MillraceError {
  return new MillraceError('ERR_TIMEOUT', `${what}: not within ${timeoutMs} ms`, { path, timeoutMs });
}

function aborted({ what, path }: Task, cause: unknown): MillraceError {
  return new MillraceError('ERR_ABORTED', `${what}: aborted`, { path, cause });
}

/** Waits for work that can't be stopped, as long as the options say. Whoever waits no longer leaves it to its end. */
export async function within<T>(work: Promise<T>, task: Task, options: Limits): Promise<T> {
  const { signal, timeoutMs } = options;
  if (signal === undefined && timeoutMs === undefined) return work;
  // Should nobody be left to hear of its failure.
  work.catch(() => {});
  checkWait(options);
  throwIfAborted(signal, task);
  const left = Math.max(0, endOf(options, performance.now()) - performance.now());
  const limited = left <= LONGEST_TIMER_MS;
  return new Promise<T>((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(timer);
      if (signal !== undefined) forget(signal, abort);
      settle();
    };
    const abort = () => end(() => reject(aborted(task, signal?.reason)));
    const timer = limited
      ? setTimeout(() => end(() => reject(timedOut(task, timeoutMs as number))), left)
      : undefined;
    if (signal !== undefined) onAbort(signal, abort);
    work.then(
      (value) => end(() => resolve(value)),
      (error) => end(() => reject(error)),
    );
  });
}

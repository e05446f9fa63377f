import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { invalidArgument, MillraceError } from '../errors.js';
import { knownOptions, show } from '../options.js';

/** What everything that waits takes. */
export interface WaitOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

const POLL_MS = 1;
/** Node takes what is more for 1. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Looks again each millisecond until `ready` says so, the signal aborts or the time is up. */
export async function pollUntil(
  ready: () => boolean,
  what: string,
  options: WaitOptions = {},
): Promise<void> {
  const { signal, timeoutMs } = options;
  checkWait(options);
  const until = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
  for (;;) {
    throwIfAborted(signal, what);
    if (ready()) return;
    if (performance.now() >= until) {
      throw timedOut(what, timeoutMs as number);
    }
    try {
      await delay(POLL_MS, undefined, { signal });
    } catch (cause) {
      throw aborted(what, cause);
    }
  }
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
export async function within<T>(work: Promise<T>, what: string, options: WaitOptions): Promise<T> {
  const { signal, timeoutMs } = options;
  // Should nobody be left to hear of its failure.
  work.catch(() => {});
  checkWait(options);
  throwIfAborted(signal, what);
  const limited = timeoutMs !== undefined && timeoutMs <= LONGEST_TIMER_MS;
  if (signal === undefined && !limited) return work;
  const done = new AbortController();
  const waits: Promise<never>[] = [];
  if (limited) {
    waits.push(
      delay(timeoutMs, undefined, { signal: done.signal }).then(() => {
        throw timedOut(what, timeoutMs);
      }),
    );
  }
  if (signal !== undefined) {
    waits.push(
      once(signal, 'abort', { signal: done.signal }).then(() => {
        throw aborted(what, signal.reason);
      }),
    );
  }
  for (const wait of waits) wait.catch(() => {});
  try {
    return await Promise.race([work, ...waits]);
  } finally {
    done.abort();
  }
}

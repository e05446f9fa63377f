import { performance } from 'node:perf_hooks';

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

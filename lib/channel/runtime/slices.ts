import { turn } from './turns.js';

/**
 * Work on much of a channel, in slices that are short enough to hold the event loop for: all at once, where the caller
 * can't wait, or with a turn of the event loop after each.
 */
export type InSlices<T> = Generator<void, T, void>;

/** Looked through before the event loop has a turn again, if that takes no longer than a turn may. */
export const SLICE_BYTES = 2 ** 20;

export function atOnce<T>(work: InSlices<T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

export async function inTurns<T>(work: InSlices<T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await turn();
  }
}

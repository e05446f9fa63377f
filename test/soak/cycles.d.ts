export interface CycleFailure {
  seed: number;
  cycle: number;
  problem: string;
}

export interface CycleSummary {
  cycles: number;
  /** What was opened in which way, and errors by code. */
  outcomes: Record<string, number>;
  failures: CycleFailure[];
}

/** Descriptors and mappings, a line each. */
export interface Held {
  descriptors: string[];
  mappings: string[];
}

/** What this process holds of files in `directory`, those without a name too. */
export function held(directory: string): Held;

/** The same once nothing is held any more, or `withinMs` is over; does `meanwhile` before each look. */
export function heldInTheEnd(directory: string, withinMs?: number, meanwhile?: () => void): Promise<Held>;

/**
 * Opens and closes writers and readers of all kinds, in this process, `count` channels one after the other, with all
 * that can fail about it, and tells what was left behind: descriptors, mappings, files, reader slots.
 */
export function cycleHandles(options: {
  count: number;
  seed: number;
  /** A directory of their own; removed by the caller. */
  directory: string;
  /** Called now and then with the number of cycles that are done. */
  report?: (done: number) => void;
}): Promise<CycleSummary>;

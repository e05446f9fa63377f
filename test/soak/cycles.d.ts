export interface CycleFailure {
  seed: number;
  cycle: number;
  problem: string;
}

export interface CycleSummary {
  /** Channels, each with readers and one writer or more. */
  cycles: number;
  /** Writers and readers that were opened, and closed again. */
  opens: number;
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

/**
 * Opens and closes at least so many writers and readers of all kinds, in this process, one channel after the other, with all
 * that can fail about it, and tells what was left behind: descriptors, mappings, files, reader slots.
 */
export function cycleHandles(options: {
  opens: number;
  seed: number;
  /** A directory of their own; removed by the caller. */
  directory: string;
  /** Called now and then with the number of opens that are done. */
  report?: (opens: number) => void;
}): Promise<CycleSummary>;

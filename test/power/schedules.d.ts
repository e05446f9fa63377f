export interface PowerFailure {
  /** `losePower({ seed, losses: 1 })` does it again. */
  seed: number;
  problem: string;
  /** The last ones, the latest at the end. */
  operations: string[];
}

export interface PowerSummary {
  cases: number;
  /** How often each thing came up that this is there for. */
  counts: Record<string, number>;
  failures: PowerFailure[];
}

export interface PowerOptions {
  losses: number;
  seed: number;
  newDirectory: () => string;
  /** Where the library is: `dist/`, or a copy in which steps are calls, so that the power also goes between two of them. */
  libraryUrl: string;
  /** Called after each case with the number of power cuts so far. */
  report?: (losses: number) => void;
}

/**
 * Does random things to linear channels, one after the other and each with a seed of its own, from `seed` on; switches the
 * power off under each of them up to three times, so many times in all, and holds what is left against what was promised.
 * The same seed does the same again.
 */
export function losePower(options: PowerOptions): Promise<PowerSummary>;

/** The same with logs of many segments. Files are made ahead on other threads, so the same seed does nearly the same. */
export function loseLogPower(options: PowerOptions): Promise<PowerSummary>;

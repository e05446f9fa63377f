export interface MutationFailure {
  /** `runMutations({ seed, from: index, count: 1 })` does it again. */
  seed: number;
  index: number;
  /** What was being done, and to what kind of channel. */
  doing: string;
  problem: string;
}

export interface MutationSummary {
  cases: number;
  /** How often each outcome came up: records read, and errors by code. */
  outcomes: Record<string, number>;
  failures: MutationFailure[];
}

/**
 * Damages channels of all kinds in `count` ways, does with each what one does with channels, in a child that may
 * crash or hang without taking this process along, and tells what went wrong.
 */
export function runMutations(options: {
  count: number;
  seed: number;
  from?: number;
  /** Where the channels lie; removed by the caller. */
  directory: string;
  /** Called now and then with the number of cases that are done. */
  report?: (done: number) => void;
  /** A case that takes longer hangs. */
  patienceMs?: number;
}): Promise<MutationSummary>;

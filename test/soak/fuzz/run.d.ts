export interface FuzzFailure {
  /** `fuzzChannels({ seed, operations: 1 })` does it again. */
  seed: number;
  problem: string;
  /** The last ones, the latest at the end. */
  operations: string[];
}

export interface FuzzSummary {
  channels: number;
  operations: number;
  /** How often each thing came up that this is there for. */
  counts: Record<string, number>;
  failures: FuzzFailure[];
}

/**
 * Does at least so many random things to channels of all kinds, with readers of all kinds, one channel after the other and each
 * with a seed of its own, from `seed` on; and the same to a plain array. Tells where both differ. The same seed does the
 * same again: time stands still meanwhile but for what the operations let pass.
 */
export function fuzzChannels(options: {
  operations: number;
  seed: number;
  newPath: () => string;
  /** Called after each channel with the number of operations that are done. */
  report?: (operations: number) => void;
}): Promise<FuzzSummary>;

export interface DamageOptions {
  count: number;
  seed: number;
  /** Which part of the cases, and of how many. */
  share?: [which: number, of: number];
  /** The case to begin with. */
  from?: number;
  /** Where the channels lie; removed by the caller. */
  directory: string;
  /** Called now and then with the number of cases that are done. */
  report?: (done: number) => void;
  /** A case that takes longer hangs. */
  patienceMs?: number;
}

export interface DamageFailure {
  /** With the same `count`, this `seed` and `from: index` it is done again first. */
  seed: number;
  index: number;
  /** What was being done, and to what kind of channel. */
  doing: string;
  problem: string;
}

export interface DamageSummary {
  cases: number;
  /** How often each outcome came up: records read, errors by code, and what else is worth counting. */
  outcomes: Record<string, number>;
  failures: DamageFailure[];
}

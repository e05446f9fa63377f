import type { Source } from './source.js';

/** Something went wrong with a source: it is to be told before more is handed out. */
export const FAILED = -1;

export interface Order<Out> {
  /**
   * Hands out up to `wanted` records by `take`, which returns how many it took of a source, or FAILED. Returns how many
   * were handed out.
   */
  handOut(sources: readonly Source<Out>[], wanted: number, take: Take<Out>, eyes: Eyes<Out>): number;
  /** In how many milliseconds something can be handed out of what is known to be there; 0: at once, Infinity: never. */
  dueIn(sources: readonly Source<Out>[], eyes: Eyes<Out>): number;
}

export type Take<Out> = (source: Source<Out>, most: number) => number;

/** Looks at a source, and keeps to itself what goes wrong with it. */
export interface Eyes<Out> {
  /** Whether it has a record. */
  look(source: Source<Out>): boolean;
  /** Whether nothing will come of it any more. */
  isOver(source: Source<Out>): boolean;
}

const RECORDS_A_TURN = 64;

/** By turns: a channel that has more than others takes no more of the reader than they do. */
export class FairOrder<Out> implements Order<Out> {
  #turn = 0;
  #left = RECORDS_A_TURN;

  handOut(sources: readonly Source<Out>[], wanted: number, take: Take<Out>): number {
    let count = 0;
    for (let idle = 0; count < wanted && idle < sources.length; idle++) {
      if (this.#turn >= sources.length) this.#next(0);
      const most = Math.min(wanted - count, this.#left);
      let taken = FAILED;
      try {
        taken = take(sources[this.#turn], most);
      } finally {
        this.#left -= taken;
        // Whoever fails, or whose handler does, has had its turn, too.
        if (taken < most || this.#left === 0) this.#next(this.#turn + 1);
      }
      if (taken === FAILED) break;
      count += taken;
      if (taken > 0) idle = -1;
    }
    return count;
  }

  #next(turn: number): void {
    this.#turn = turn;
    this.#left = RECORDS_A_TURN;
  }

  dueIn(sources: readonly Source<Out>[], eyes: Eyes<Out>): number {
    return sources.some((source) => eyes.look(source)) ? 0 : Number.POSITIVE_INFINITY;
  }
}

/**
 * Merged by timestamp. A channel with nothing to read may still get an older record than the others have: a record waits
 * for that until its time is `holdMs` ago, or until it was looked at for as long.
 */
export class TimeOrder<Out> implements Order<Out> {
  readonly #holdMs: number;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  handOut(sources: readonly Source<Out>[], wanted: number, take: Take<Out>, eyes: Eyes<Out>): number {
    let left = this.#oldest(sources, eyes);
    let count = 0;
    while (count < wanted && left !== undefined && this.#heldFor(left, sources, eyes) === 0) {
      const taken = take(left, 1);
      if (taken === FAILED) break;
      count += taken;
      eyes.look(left);
      left = oldestOf(sources);
    }
    return count;
  }

  dueIn(sources: readonly Source<Out>[], eyes: Eyes<Out>): number {
    const oldest = this.#oldest(sources, eyes);
    return oldest === undefined ? Number.POSITIVE_INFINITY : this.#heldFor(oldest, sources, eyes);
  }

  #oldest(sources: readonly Source<Out>[], eyes: Eyes<Out>): Source<Out> | undefined {
    for (const source of sources) eyes.look(source);
    return oldestOf(sources);
  }

  #heldFor(oldest: Source<Out>, sources: readonly Source<Out>[], eyes: Eyes<Out>): number {
    if (this.#holdMs === 0) return 0;
    if (sources.every((source) => source.headUs !== undefined || eyes.isOver(source))) return 0;
    const byItsTime = (oldest.headUs as number) / 1000 + this.#holdMs - Date.now();
    const bySight = oldest.headSeenMs + this.#holdMs - performance.now();
    return Math.max(0, Math.min(byItsTime, bySight));
  }
}

function oldestOf<Out>(sources: readonly Source<Out>[]): Source<Out> | undefined {
  let oldest: Source<Out> | undefined;
  for (const source of sources) {
    if (source.headUs === undefined) continue;
    if (oldest === undefined || source.headUs < (oldest.headUs as number)) oldest = source;
  }
  return oldest;
}

import type { Source } from './source.js';

/** Something went wrong with a source: it is to be told before more is handed out. */
export const FAILED = -1;

export interface Order<Out> {
  /** Hands out up to `wanted` records. */
  handOut(sources: readonly Source<Out>[], wanted: number, access: Access<Out>): void;
  /** In how many milliseconds something can be handed out of what is known to be there; 0: at once, Infinity: never. */
  dueIn(sources: readonly Source<Out>[], access: Access<Out>): number;
}

/** How to get at a source; what goes wrong with it, this keeps to itself. */
export interface Access<Out> {
  /** Hands out up to so many records of it; returns how many, or FAILED. */
  take(source: Source<Out>, most: number): number;
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

  handOut(sources: readonly Source<Out>[], wanted: number, access: Access<Out>): void {
    let count = 0;
    for (let idle = 0; count < wanted && idle < sources.length; idle++) {
      if (this.#turn >= sources.length) this.#next(0);
      const most = Math.min(wanted - count, this.#left);
      let taken = FAILED;
      try {
        taken = access.take(sources[this.#turn], most);
      } finally {
        this.#left -= taken;
        // Whoever fails, or whose handler does, has had its turn, too.
        if (taken < most || this.#left === 0) this.#next(this.#turn + 1);
      }
      if (taken === FAILED) break;
      count += taken;
      if (taken > 0) idle = -1;
    }
  }

  #next(turn: number): void {
    this.#turn = turn;
    this.#left = RECORDS_A_TURN;
  }

  dueIn(sources: readonly Source<Out>[], access: Access<Out>): number {
    return sources.some((source) => access.look(source)) ? 0 : Number.POSITIVE_INFINITY;
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

  handOut(sources: readonly Source<Out>[], wanted: number, access: Access<Out>): void {
    let left = this.#oldest(sources, access);
    let count = 0;
    while (count < wanted && left !== undefined && this.#heldFor(left, sources, access) === 0) {
      const taken = access.take(left, 1);
      if (taken === FAILED) break;
      count += taken;
      access.look(left);
      left = oldestOf(sources);
    }
  }

  dueIn(sources: readonly Source<Out>[], access: Access<Out>): number {
    const oldest = this.#oldest(sources, access);
    return oldest === undefined ? Number.POSITIVE_INFINITY : this.#heldFor(oldest, sources, access);
  }

  #oldest(sources: readonly Source<Out>[], access: Access<Out>): Source<Out> | undefined {
    for (const source of sources) access.look(source);
    return oldestOf(sources);
  }

  #heldFor(oldest: Source<Out>, sources: readonly Source<Out>[], access: Access<Out>): number {
    if (this.#holdMs === 0 || !mayGetMore(sources, access)) return 0;
    const byItsTime = oldest.headUs / 1000 + this.#holdMs - Date.now();
    const bySight = oldest.headSeenMs + this.#holdMs - performance.now();
    return Math.max(0, Math.min(byItsTime, bySight));
  }
}

/** Whether any that has nothing to read may still get something. */
function mayGetMore<Out>(sources: readonly Source<Out>[], access: Access<Out>): boolean {
  for (const source of sources) if (!source.hasHead && !access.isOver(source)) return true;
  return false;
}

function oldestOf<Out>(sources: readonly Source<Out>[]): Source<Out> | undefined {
  let oldest: Source<Out> | undefined;
  for (const source of sources) {
    if (source.hasHead && (oldest === undefined || source.headUs < oldest.headUs)) oldest = source;
  }
  return oldest;
}

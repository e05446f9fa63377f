import { MillraceError } from '../../errors.js';
import { lookAhead, type Reader } from '../ends/index.js';
import type { FileIdentity } from '../file/index.js';
import { type Beating, heart, type Status } from '../presence/index.js';
import type { Head, Where } from '../reading/index.js';

/** Where a channel of many stands. */
export interface ManySource {
  path: string;
  /** How its writer is. */
  status: Status;
  /** Where it is read next. */
  position: number;
  /** Bytes from there to the published tail. */
  lag: number;
  /** Records lost to overtaking. */
  lost: number;
  /** It is no longer read: it has ended, its writer died, or it can't be read any further. */
  ended: boolean;
  /** What reading it threw last, if nothing was read of it since. */
  error: unknown;
}

/** How often one that rests is looked at. */
const LOOK_MS = 250;
/** Later than any record. A number as the times are: else an object would be made of each of them. */
const NO_HEAD = Number.POSITIVE_INFINITY;

/** One of the channels that are read as one. */
export class Source<Out> implements Head {
  readonly reader: Reader<Out>;
  /** What tells it from another of its path, where it is one of a directory. */
  readonly file: FileIdentity | undefined;
  /** Nothing will come of it any more. */
  over = false;
  /** What reading it threw last, if nothing was read of it since. */
  error: unknown;
  /** The time of its next record in microseconds, if it is known to have one; Infinity where it is not. */
  headUs = NO_HEAD;
  /** When that was seen, where that is asked for. */
  headSeenMs = 0;
  /** Its file is gone: nobody can resume it. */
  isRemoved = false;
  readonly #notesSight: boolean;
  #headPosition = -1;
  #waiting = false;
  /** Who is looked after holds it: the heart alone would let it go. */
  #rest: Beating | undefined;

  constructor(reader: Reader<Out>, notesSight: boolean, file: FileIdentity | undefined) {
    this.reader = reader;
    this.#notesSight = notesSight;
    this.file = file;
  }

  /** Whether it is known to have a next record. */
  get hasHead(): boolean {
    return this.headUs !== NO_HEAD;
  }

  /** Whether it has a next record. */
  peek(): boolean {
    this.forgetHead();
    if (!lookAhead(this.reader, this)) return false;
    if (this.#notesSight) this.#noteSight();
    return true;
  }

  #noteSight(): void {
    const { position } = this.reader;
    if (this.#headPosition === position) return;
    this.#headPosition = position;
    this.headSeenMs = performance.now();
  }

  /** Whether its file is gone, its writer dead, and all it wrote was read. */
  get isLeft(): boolean {
    return this.isRemoved && this.reader.status === 'dead' && !this.peek();
  }

  /** Its next record is about to be taken. */
  forgetHead(): void {
    this.headUs = NO_HEAD;
  }

  /**
   * Waits in the background until it is worth while to look at it again, once for any number of calls; tells whether more
   * is to come of it.
   */
  watch(signal: AbortSignal, wake: (more: boolean) => void, fail: (error: unknown) => void): void {
    if (this.#waiting || this.resting) return;
    this.#waiting = true;
    const over = (settle: () => void) => {
      this.#waiting = false;
      settle();
    };
    this.reader.ready({ signal }).then(
      (more) => over(() => wake(more)),
      (error) => over(() => (isAbort(error) ? undefined : fail(error))),
    );
  }

  /** Goes on behind what was lost or is damaged, now that it will be told; false where that can't be. */
  goOnBehind({ code, next }: MillraceError): boolean {
    switch (code) {
      case 'ERR_OVERTAKEN':
      // Within a handler of its own reader: it can be read again once that returns.
      case 'ERR_BUSY':
        return true;
      case 'ERR_EVICTED':
        return this.#goTo('oldest');
      case 'ERR_CORRUPT':
        return next !== undefined && this.#goTo(next);
      default:
        return false;
    }
  }

  /** Its writer is dead, which was told; another one may resume it. */
  get resting(): boolean {
    return this.#rest !== undefined;
  }

  /**
   * Nothing is expected of it until it has a writer again, or something to read: of one that came and died between two
   * looks nothing else is seen.
   */
  rest(wake: () => void, fail: (error: unknown) => void): void {
    const over = (settle: () => void) => {
      heart.stop(beating);
      this.#rest = undefined;
      settle();
    };
    this.#rest = {
      heartbeat: () => {
        try {
          if (this.reader.status !== 'dead' || this.peek()) over(wake);
        } catch (error) {
          over(() => fail(error));
        }
      },
    };
    const beating = heart.start(this.#rest, LOOK_MS);
  }

  #goTo(where: Where): boolean {
    try {
      this.reader.seek(where);
      return true;
    } catch {
      // What made it necessary is what is told.
      return false;
    }
  }

  /** Undefined where somebody closed its reader: nothing is known of it any more. */
  describe(): ManySource | undefined {
    try {
      const { path, status, position, lag, lost } = this.reader;
      return { path, status, position, lag, lost, ended: this.over, error: this.error };
    } catch {
      return undefined;
    }
  }
}

/** What a user's strategy of waiting throws may be anything. */
function isAbort(error: unknown): boolean {
  return error instanceof MillraceError && error.code === 'ERR_ABORTED';
}

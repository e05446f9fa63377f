import { environment, type Limits, type Task, waitUntil, whereLeads } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { isLocked, type LockFile, TURN_BYTE, writerActive } from './lock-file.js';

// Words of the lock file, each on a line of its own where others look at it again and again.
const APPENDING = 512 >> 2;
const TURN = 640 >> 2;
const WANTED = 768 >> 2;
const PIDS = 1024 >> 2;

/** Each appender holds the lock on one of these bytes of the file for life. */
const FIRST_APPENDER_BYTE = 2;
const MOST_APPENDERS = 700;
const NOBODY = 0;
/** A look costs a good part of a turn. */
const NAMED_EACH_MS = 10;

/** What the one whose turn it is has to know of those before. */
export interface TurnFacts {
  /** Nobody else had a turn since the last one of ours. */
  isOurs: boolean;
  /** Whoever had it died in it. */
  wasLeft: boolean;
}

/** Whether somebody appends to a log that is shared, but for whoever does by this very open of its lock file. */
export function hasAppender(lock: Pick<LockFile, 'path' | 'file'>): boolean {
  return isLocked(lock, FIRST_APPENDER_BYTE, FIRST_APPENDER_BYTE + MOST_APPENDERS);
}

/**
 * The turns that several processes take at appending. A turn is a kernel's lock, so that nobody's death keeps it; a word
 * says who has it, so that whoever takes it after a death knows that something may be half done.
 *
 *   APPENDING   who has the turn, 0: nobody. Cleared before the lock is given back
 *   TURN        counts turns: who finds it as it left it knows that all is as it left it
 *   WANTED      1: somebody waits for a turn
 */
export class Turns {
  readonly #lock: LockFile;
  readonly #words: Int32Array;
  readonly #number: number;
  #last = 0;
  /** When the lock's name was looked at last. */
  #namedAtMs = Number.NEGATIVE_INFINITY;

  /** Joins those who append. */
  constructor(lock: LockFile) {
    this.#lock = lock;
    this.#words = lock.words();
    this.#number = this.#join();
    this.#words[PIDS + this.#number] = environment.pid;
  }

  #join(): number {
    const lock = this.#lock;
    for (let number = 0; number < MOST_APPENDERS; number++) {
      if (!lock.tryLock(FIRST_APPENDER_BYTE + number)) continue;
      // Who repairs the log looks for appenders after that: one of the two sees the other.
      if (!lock.hasWriter && whereLeads(lock) === 'here') return number;
      lock.unlock(FIRST_APPENDER_BYTE + number);
      throw writerActive(lock.directory);
    }
    const path = lock.directory;
    throw new MillraceError('ERR_BUSY', `The log ${path} has ${MOST_APPENDERS} appenders already`, { path });
  }

  /** Whether nobody else appends to the log. */
  get isAlone(): boolean {
    return !hasAppender(this.#lock);
  }

  /** Waits for a turn, and takes it. */
  async take(limits: Limits): Promise<TurnFacts> {
    try {
      return await waitUntil(() => this.#tryTake(), this.task, limits);
    } catch (error) {
      throw this.explain(error);
    }
  }

  /** What it is that one waits for. */
  get task(): Task {
    const path = this.#lock.directory;
    return { what: `Waiting for a turn to append to ${path}`, path };
  }

  /** Where it took too long: who has the turn. */
  explain(error: unknown): unknown {
    if (!(error instanceof MillraceError) || error.code !== 'ERR_TIMEOUT') return error;
    const holder = Atomics.load(this.#words, APPENDING) - 1;
    if (holder < 0 || holder === this.#number) return error;
    const pid = this.#words[PIDS + holder];
    const { code, message } = error;
    return new MillraceError(code, `${message}; process ${pid} has it`, { ...error, appender: holder, pid });
  }

  #tryTake(): TurnFacts | undefined {
    if (!this.#lock.tryLock(TURN_BYTE)) {
      Atomics.store(this.#words, WANTED, 1);
      return undefined;
    }
    this.#assertNamedStill();
    const wasLeft = Atomics.load(this.#words, APPENDING) !== NOBODY;
    Atomics.store(this.#words, APPENDING, this.#number + 1);
    // step 150
    return { isOurs: !wasLeft && Atomics.load(this.#words, TURN) === this.#last, wasLeft };
  }

  /** Does it where the last turn there was is one of ours, and nobody can take one meanwhile. Waits for nothing. */
  asLast(work: () => void): void {
    // Others who close at the same time don't stand in each other's way.
    if (!this.#isLast || !this.#lock.tryLock(TURN_BYTE)) return;
    try {
      if (this.#isLast) work();
    } finally {
      this.#lock.unlock(TURN_BYTE);
    }
  }

  get #isLast(): boolean {
    return Atomics.load(this.#words, APPENDING) === NOBODY && Atomics.load(this.#words, TURN) === this.#last;
  }

  /** Whoever removes the lock of a log that is appended to makes way for others with another one. */
  #assertNamedStill(): void {
    const now = performance.now();
    if (now - this.#namedAtMs < NAMED_EACH_MS) return;
    this.#namedAtMs = now;
    try {
      this.#lock.assertNamed();
    } catch (error) {
      this.#namedAtMs = Number.NEGATIVE_INFINITY;
      this.abandon();
      throw error;
    }
  }

  /** Gives it back as death does: who has the next turn looks for what is half done. */
  abandon(): void {
    this.#lock.unlock(TURN_BYTE);
  }

  /** Gives it back; true where others wait for it, who should have it first. */
  give(): boolean {
    this.#last = (Atomics.load(this.#words, TURN) + 1) | 0;
    Atomics.store(this.#words, TURN, this.#last);
    // step 151
    Atomics.store(this.#words, APPENDING, NOBODY);
    // step 152
    this.#lock.unlock(TURN_BYTE);
    return Atomics.exchange(this.#words, WANTED, 0) !== 0;
  }
}

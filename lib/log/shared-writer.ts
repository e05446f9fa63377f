import { setTimeout } from 'node:timers/promises';
import { type Limits, throwIfAborted } from '../channel/index.js';
import { closedHandle } from '../errors.js';
import type { Directory } from './directory.js';
import type { LockFile } from './lock-file.js';
import { LogWriter } from './log-writer.js';
import type { LogSettings } from './options.js';
import { type LogRecovery, recoverLog } from './recovery.js';
import { type TurnFacts, Turns } from './turns.js';

interface Wanted {
  append: (writer: LogWriter) => number;
  limits: Limits;
  resolve: (offset: number) => void;
  reject: (error: unknown) => void;
}

/** So long others have the turn to themselves who waited for it. */
const PAUSE_MS = 2;

/** Appends to a log by turns with other processes: what is wanted while one waits goes in in one turn. */
export class SharedWriter {
  readonly recovery: LogRecovery;
  readonly #directory: Directory;
  readonly #lock: LockFile;
  readonly #settings: LogSettings;
  readonly #turns: Turns;
  readonly #writer: LogWriter;
  #wanted: Wanted[] = [];
  #working: Promise<void> | undefined;
  #closed = false;

  private constructor(
    directory: Directory,
    lock: LockFile,
    settings: LogSettings,
    turns: Turns,
    writer: LogWriter,
    recovery: LogRecovery,
  ) {
    this.#directory = directory;
    this.#lock = lock;
    this.#settings = settings;
    this.#turns = turns;
    this.#writer = writer;
    this.recovery = recovery;
  }

  /** Joins those who append, and sees in a turn of its own what there is. */
  static async open(
    directory: Directory,
    lock: LockFile,
    settings: LogSettings,
    limits: Limits,
  ): Promise<SharedWriter> {
    const turns = new Turns(lock);
    await turns.take(limits);
    try {
      // What looks foreign may be another one's work.
      const tidies = turns.isAlone;
      const { end, sealed, recovery } = await recoverLog(directory, lock.id, settings, {
        shared: true,
        tidies,
      });
      const writer = new LogWriter(directory, lock.id, settings, sealed, end, true);
      // step 153
      turns.give();
      return new SharedWriter(directory, lock, settings, turns, writer, recovery);
    } catch (error) {
      turns.abandon();
      throw error;
    }
  }

  get writer(): LogWriter {
    return this.#writer;
  }

  /** Whether nobody else appends to the log. */
  get isAlone(): boolean {
    return this.#turns.isAlone;
  }

  /** Appends in the next turn; what `append` throws is what this rejects with. */
  inTurn(append: (writer: LogWriter) => number, limits: Limits): Promise<number> {
    if (this.#closed) return Promise.reject(closedHandle('log', this.#directory.path));
    return new Promise((resolve, reject) => {
      this.#wanted.push({ append, limits, resolve, reject });
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    while (this.#wanted.length > 0) {
      let others = false;
      try {
        // Who waits least long decides how long all of them do; the others wait on.
        const facts = await this.#turns.take(shortest(this.#wanted));
        others = await this.#use(facts);
      } catch (error) {
        this.#rejectThose(error);
      }
      if (others) await setTimeout(PAUSE_MS);
    }
    this.#working = undefined;
  }

  /** Does all that is wanted in a turn; true where others wait for theirs. Where it fails, nobody knows the log's end. */
  async #use(facts: TurnFacts): Promise<boolean> {
    try {
      await this.#catchUp(facts);
      for (const wanted of this.#wanted.splice(0)) this.#append(wanted);
      // step 154
      this.#writer.publish();
      return this.#turns.give();
    } catch (error) {
      this.#turns.abandon();
      throw error;
    }
  }

  /** What others did since our last turn. */
  async #catchUp({ isOurs, wasLeft }: TurnFacts): Promise<void> {
    if (isOurs || (!wasLeft && this.#writer.goOn())) return;
    // Who died in its turn may have begun a new segment. Whoever waits for what is in this one has it first.
    if (wasLeft) await this.#writer.synced();
    const options = { shared: true, tidies: false };
    const { end, sealed } = await recoverLog(this.#directory, this.#lock.id, this.#settings, options);
    // step 155
    this.#writer.adopt(end, sealed);
  }

  #append({ append, limits, resolve, reject }: Wanted): void {
    try {
      throwIfAborted(limits.signal, `Appending to ${this.#directory.path}`);
      resolve(append(this.#writer));
    } catch (error) {
      reject(error);
    }
  }

  /** A turn did not come, or what it found can't be gone on with. */
  #rejectThose(error: unknown): void {
    const now = performance.now();
    const isOver = ({ limits }: Wanted) =>
      limits.signal?.aborted === true || (limits.until ?? Infinity) <= now;
    const some = this.#wanted.filter(isOver);
    for (const wanted of some.length > 0 ? some : this.#wanted) wanted.reject(error);
    this.#wanted = some.length > 0 ? this.#wanted.filter((wanted) => !some.includes(wanted)) : [];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
    await this.#writer.close();
  }
}

/** The signal or the end in time of the one whose patience is over first; a signal counts as soon as there is one. */
function shortest(wanted: readonly Wanted[]): Limits {
  const withSignal = wanted.find(({ limits }) => limits.signal !== undefined)?.limits;
  const until = Math.min(...wanted.map(({ limits }) => limits.until ?? Number.POSITIVE_INFINITY));
  const { timeoutMs } = wanted.find(({ limits }) => limits.until === until)?.limits ?? {};
  return { signal: withSignal?.signal, timeoutMs, until: Number.isFinite(until) ? until : undefined };
}

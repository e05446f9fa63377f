import { setTimeout } from 'node:timers/promises';
import { type Limits, type Task, throwIfAborted, turn, within } from '../../channel/index.js';
import { closedHandle } from '../../errors.js';
import { type Directory, type LockFile, type TurnFacts, Turns } from '../files/index.js';
import type { LogSettings } from '../options.js';
import { LogWriter } from '../writing/index.js';
import { type LogRecovery, recoverLog } from './recovery.js';

/** What is to be appended in the next turn. */
class Wanted {
  readonly append: (writer: LogWriter) => number;
  readonly offset: Promise<number>;
  resolve!: (offset: number) => void;
  reject!: (error: unknown) => void;

  constructor(append: (writer: LogWriter) => number) {
    this.append = append;
    this.offset = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }
}

/** So long others have the turn to themselves who waited for it. */
const PAUSE_MS = 2;

/**
 * Appends to a log by turns with other processes: what is wanted while one waits goes in in one turn, as far as there is room,
 * and in the order of the calls.
 */
export class SharedWriter {
  readonly recovery: LogRecovery;
  readonly #directory: Directory;
  readonly #lock: LockFile;
  readonly #settings: LogSettings;
  readonly #turns: Turns;
  readonly #writer: LogWriter;
  #wanted: Wanted[] = [];
  #working: Promise<void> | undefined;
  #rolling: Promise<number> | undefined;
  /** Ends the waiting for a turn in which nothing would be done any more. */
  #inVain = new AbortController();
  /** What is waited for is no turn, but the disk. */
  #isForRoom = false;
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
      const { end, sealed, recovery } = await recoverLog(directory, lock, settings, {
        shared: true,
        tidies,
      });
      const writer = new LogWriter(directory, lock, settings, sealed, end, true);
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

  /** Appends in the next turn; what `append` throws is what this rejects with. */
  async inTurn(append: (writer: LogWriter) => number, limits: Limits): Promise<number> {
    if (this.#closed) throw closedHandle('log', this.#directory.path);
    const task = this.#task;
    throwIfAborted(limits.signal, task);
    const wanted = new Wanted(append);
    this.#wanted.push(wanted);
    this.#working ??= this.#work();
    try {
      return await within(wanted.offset, task, limits);
    } catch (error) {
      // In the very moment in which patience ended it was done.
      if (!this.#wanted.includes(wanted)) return wanted.offset;
      this.#wanted = this.#wanted.filter((other) => other !== wanted);
      if (this.#wanted.length === 0) this.#inVain.abort();
      throw this.#isForRoom ? error : this.#turns.explain(error);
    }
  }

  /** What it is that one waits for, as of when that is told. */
  get #task(): Task {
    const isForRoom = () => this.#isForRoom;
    const { what, path } = this.#turns.task;
    return {
      path,
      get what() {
        return isForRoom() ? `Waiting for room to append to ${path}` : what;
      },
    };
  }

  async #roomGiven(limits: Limits): Promise<void> {
    this.#isForRoom = true;
    try {
      await this.#writer.ready(limits);
    } finally {
      this.#isForRoom = false;
    }
  }

  async #work(): Promise<void> {
    while (this.#wanted.length > 0 && !this.#closed) {
      let others = false;
      this.#inVain = new AbortController();
      const limits = { signal: this.#inVain.signal };
      try {
        // What waits for the disk keeps nobody else from a turn.
        await this.#roomGiven(limits);
        const facts = await this.#turns.take(limits);
        others = await this.#use(facts);
      } catch (error) {
        // By then something new may be wanted.
        if (!this.#inVain.signal.aborted) for (const { reject } of this.#wanted.splice(0)) reject(error);
      }
      if (others) await setTimeout(PAUSE_MS);
    }
    this.#working = undefined;
  }

  /**
   * Does in a turn all that is wanted and has room; true where others wait for theirs. Where it fails, nobody knows the log's
   * end.
   */
  async #use(facts: TurnFacts): Promise<boolean> {
    try {
      await this.#catchUp(facts);
      // Others may have taken the room meanwhile. Would they go on while this waits for it, there might never be any.
      await this.#roomGiven({});
      this.#appendWanted();
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
    // Who died in its turn, the last one or an earlier one, may have begun a new segment.
    await this.#writer.beforeAdopting();
    const options = { shared: true, tidies: false };
    const { end, sealed } = await recoverLog(this.#directory, this.#lock, this.#settings, options);
    // step 155
    this.#writer.adopt(end, sealed);
  }

  #appendWanted(): void {
    let count = 0;
    while (count < this.#wanted.length && !this.#writer.isPressed) this.#append(this.#wanted[count++]);
    this.#wanted.splice(0, count);
  }

  #append({ append, resolve, reject }: Wanted): void {
    try {
      resolve(append(this.#writer));
    } catch (error) {
      reject(error);
    }
  }

  /** In the next turn; where one of these waits for that already, it is enough. */
  async rollByAge(): Promise<void> {
    if (this.#settings.rollAfterMs === undefined) return;
    this.#rolling ??= this.inTurn(rollByAge, {}).finally(() => {
      this.#rolling = undefined;
    });
    await this.#rolling;
  }

  /** Whoever has the turn may stand still for ever: what waits for one is not appended any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#inVain.abort();
    await this.#working;
    // Who commits hears first that it is appended, and waits for the disk only then.
    await turn();
    for (const { reject } of this.#wanted.splice(0)) reject(closedHandle('log', this.#directory.path));
    await this.#writer.close(() => this.#turns.asLast(() => this.#writer.signAsReleased()));
  }
}

function rollByAge(writer: LogWriter): number {
  writer.rollByAge();
  return writer.next;
}

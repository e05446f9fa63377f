import { type TurnClock, turn } from '../runtime/index.js';

/** What an iteration needs of what it reads. */
export interface Source<T> {
  readonly closed: boolean;
  assertOpen(): void;
  /** The next one is asked for: throws where that comes too late. What was waited for is given all the same. */
  asked?(): void;
  read(): T | undefined;
  /** Whether there is something to read, or to be told by reading; false at the end, or where `isOver` says so. */
  wait(isOver: () => boolean): Promise<boolean>;
  /** Has those who wait look whether that is over. */
  rouse(): void;
  /** The iteration is over, also by an error. Whoever leaves it waits for what this has to do. */
  end?(): Promise<void>;
}

type Result<T> = IteratorResult<T, undefined>;

/** `for await` over a reader: a promise a record, and a turn of the event loop each 5 ms. */
export class RecordIterator<T> implements AsyncIterableIterator<T, undefined, undefined> {
  readonly #source: Source<T>;
  #begun = false;
  #done = false;
  readonly #clock: TurnClock;
  /** Calls whose promise is not settled; each later one has its turn behind them. */
  #pending = 0;
  #ended: Promise<void> | undefined;
  #last: Promise<Result<T>> | undefined;

  constructor(source: Source<T>, clock: TurnClock) {
    this.#source = source;
    this.#clock = clock;
  }

  next(): Promise<Result<T>> {
    if (this.#pending > 0) return this.#queue();
    try {
      if (!this.#begun) this.#begin();
      const next = this.#next();
      if (!(next instanceof Promise)) return Promise.resolve(next);
      this.#pending = 1;
      this.#last = next;
      return next;
    } catch (error) {
      this.#giveUp();
      return Promise.reject(error);
    }
  }

  /** Who closes the reader later ends this; before, that is a mistake. */
  #begin(): void {
    this.#source.assertOpen();
    this.#begun = true;
  }

  #queue(): Promise<Result<T>> {
    this.#pending++;
    const next = () => {
      try {
        const result = this.#next();
        return result instanceof Promise ? result : this.#settled(result);
      } catch (error) {
        return this.#failed(error);
      }
    };
    this.#last = (this.#last as Promise<Result<T>>).then(next, next);
    return this.#last;
  }

  /** A promise, which settles by `settled` or `failed`, only where there is nothing yet or the event loop has a turn. */
  #next(): Result<T> | Promise<Result<T>> {
    this.#source.asked?.();
    if (this.#clock.isOver()) return turn().then(this.#goOn);
    return this.#take() ?? this.#wait();
  }

  /** Undefined: there is nothing yet. */
  #take(): Result<T> | undefined {
    if (this.#done || this.#source.closed) return this.#end();
    const record = this.#source.read();
    return record === undefined ? undefined : { done: false, value: record };
  }

  #wait(): Promise<Result<T>> {
    return this.#source.wait(this.#isOver).then(this.#arrived, this.#failed);
  }

  readonly #isOver = () => this.#done;

  /** Others may take what came: then it goes on waiting. */
  readonly #arrived = (more: boolean): Result<T> | Promise<Result<T>> => {
    try {
      const next = more ? this.#take() : this.#end();
      return next === undefined ? this.#wait() : this.#settled(next);
    } catch (error) {
      return this.#failed(error);
    }
  };

  readonly #goOn = () => this.#arrived(true);

  #settled(result: Result<T>): Result<T> {
    this.#pending--;
    return result;
  }

  readonly #failed = (error: unknown): never => {
    this.#pending--;
    this.#giveUp();
    throw error;
  };

  /** Nobody calls `return` where `next` rejects: what has an end comes to it at once. What has none goes on. */
  #giveUp(): void {
    if (this.#source.end !== undefined) this.#end();
  }

  #end(): Result<T> {
    this.#done = true;
    this.#ended ??= this.#source.end?.();
    // Whoever doesn't leave it, but meets its end, has nothing to wait for.
    this.#ended?.catch(() => {});
    return { done: true, value: undefined };
  }

  async return(): Promise<Result<T>> {
    const end = this.#end();
    if (this.#pending > 0) this.#source.rouse();
    await this.#ended;
    return end;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

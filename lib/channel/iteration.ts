import { performance } from 'node:perf_hooks';
import type { ReaderRecord } from './record.js';

/** Going on and on holds the event loop: after so long it has a turn. */
const LONGEST_TURN_MS = 5;
/** Looking at the clock for each record would cost as much as the record. */
const RECORDS_A_LOOK_AT_THE_CLOCK = 64;

/** What an iteration needs of its reader. */
export interface Source<Out> {
  readonly closed: boolean;
  assertOpen(): void;
  read(): ReaderRecord<Out> | undefined;
  /** The next one; false where there is none any more. */
  wait(): Promise<ReaderRecord<Out> | false>;
}

type Result<Out> = IteratorResult<ReaderRecord<Out>, undefined>;

/** `for await` over a reader: a promise a record, and a turn of the event loop each 5 ms. */
export class RecordIterator<Out> implements AsyncIterableIterator<ReaderRecord<Out>, undefined, undefined> {
  readonly #source: Source<Out>;
  #begun = false;
  #done = false;
  #sinceLook = 0;
  #turnBegan = performance.now();

  constructor(source: Source<Out>) {
    this.#source = source;
  }

  next(): Promise<Result<Out>> {
    if (++this.#sinceLook >= RECORDS_A_LOOK_AT_THE_CLOCK && this.#isTurnOver())
      return turn().then(this.#nextTurn);
    try {
      if (!this.#begun) this.#begin();
      return Promise.resolve(this.#next());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Who closes the reader later ends this; before, that is a mistake. */
  #begin(): void {
    this.#source.assertOpen();
    this.#begun = true;
  }

  #isTurnOver(): boolean {
    this.#sinceLook = 0;
    return performance.now() - this.#turnBegan >= LONGEST_TURN_MS;
  }

  readonly #next = (): Result<Out> | Promise<Result<Out>> => {
    if (this.#done || this.#source.closed) return this.#end();
    const record = this.#source.read();
    return record === undefined ? this.#source.wait().then(this.#pass) : { done: false, value: record };
  };

  readonly #nextTurn = () => {
    this.#turnBegan = performance.now();
    return this.#next();
  };

  readonly #pass = (record: ReaderRecord<Out> | false): Result<Out> => {
    this.#turnBegan = performance.now();
    return record === false ? this.#end() : { done: false, value: record };
  };

  #end(): Result<Out> {
    this.#done = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<Result<Out>> {
    return this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

export function turn(): Promise<undefined> {
  return new Promise((resolve) => setImmediate(resolve, undefined));
}

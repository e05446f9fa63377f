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
  ready(): Promise<boolean>;
}

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

  next(): Promise<IteratorResult<ReaderRecord<Out>, undefined>> {
    if (++this.#sinceLook >= RECORDS_A_LOOK_AT_THE_CLOCK && this.#isTurnOver()) return this.#later(true);
    try {
      if (!this.#begun) this.#begin();
      const record = this.#take();
      if (record !== undefined) return Promise.resolve({ done: false, value: record });
    } catch (error) {
      return Promise.reject(error);
    }
    return this.#later(false);
  }

  /** Who closes the reader later ends this; before, that is a mistake. */
  #begin(): void {
    this.#source.assertOpen();
    this.#begun = true;
  }

  #take(): ReaderRecord<Out> | undefined {
    return this.#done || this.#source.closed ? undefined : this.#source.read();
  }

  #isTurnOver(): boolean {
    this.#sinceLook = 0;
    return performance.now() - this.#turnBegan >= LONGEST_TURN_MS;
  }

  async #later(isTurnOver: boolean): Promise<IteratorResult<ReaderRecord<Out>, undefined>> {
    if (isTurnOver) await turn();
    let more = !this.#done;
    while (more) {
      this.#turnBegan = performance.now();
      const record = this.#take();
      if (record !== undefined) return { done: false, value: record };
      // Others may take what came, or end this meanwhile.
      more = !this.#source.closed && (await this.#source.ready()) && !this.#done;
    }
    this.#done = true;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<ReaderRecord<Out>, undefined>> {
    this.#done = true;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

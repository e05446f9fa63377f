import { type Teller, turn } from '../channel/index.js';
import type { Retention } from './retention.js';

/** Looks after a log beside its appending, one thing at a time. */
export class Upkeep {
  readonly #path: string;
  readonly #retention: Retention;
  readonly #teller: Teller;
  readonly #closing = new AbortController();
  /** Resolves once all is done that is to be done so far. */
  #done: Promise<unknown> = Promise.resolve();
  #isDue = false;

  constructor(path: string, retention: Retention, teller: Teller) {
    this.#path = path;
    this.#retention = retention;
    this.#teller = teller;
  }

  /** Soon after, what need not be kept is removed. */
  retainSoon(): void {
    if (this.#isDue || this.#retention.keepsAll) return;
    this.#isDue = true;
    this.alone(async () => {
      await turn();
      this.#isDue = false;
      await this.#retention.apply(this.#closing.signal);
    }).catch((error) => this.failed('Removing old segments', error));
  }

  /** Does this while nothing else takes or replaces segments. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#done.then(work);
    this.#done = result.catch(() => {});
    return result;
  }

  /** Where nobody waits for it, who listens to the log hears of it. */
  failed(what: string, error: unknown): void {
    const { message } = error as Error;
    this.#teller.tell('failed', `${what} of ${this.#path} failed: ${message}`, { error });
  }

  /** Resolves once what was begun is at an end. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#done;
  }
}

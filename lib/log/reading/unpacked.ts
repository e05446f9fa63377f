import type { LogRecord } from '../records/index.js';

/** The records of a compressed batch that are still to be handed out. */
export class Unpacked {
  #records: LogRecord[] = [];
  #at = 0;

  /** The next one, or the one that is being handed out. */
  get current(): LogRecord | undefined {
    return this.#at < this.#records.length ? this.#records[this.#at] : undefined;
  }

  take(records: LogRecord[]): void {
    this.#records = records;
    this.#at = 0;
  }

  /** The current one was handed out. None is kept once all were. */
  pass(): void {
    this.#at++;
    if (this.#at === this.#records.length) this.clear();
  }

  clear(): void {
    this.take([]);
  }
}

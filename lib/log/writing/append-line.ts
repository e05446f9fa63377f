import { type Limits, type Task, throwIfAborted, within } from '../../channel/index.js';
import type { LogWriter } from './log-writer.js';

/** Those who append where too much waits for the disk: each waits, and is appended in the order of the calls. */
export class AppendLine {
  readonly #writer: LogWriter;
  readonly #task: Task;
  #waiting = 0;
  /** Settled once all have left the line that stand in it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(writer: LogWriter, path: string) {
    this.#writer = writer;
    this.#task = { what: `Waiting for room to append to ${path}`, path };
  }

  /** Appends at once where nobody has to wait. */
  append(append: () => number, limits: Limits): number | Promise<number> {
    throwIfAborted(limits.signal, this.#task);
    if (this.#waiting === 0 && !this.#writer.isPressed) return append();
    this.#waiting++;
    const before = this.#last;
    const appended = this.#inLine(before, append, limits).finally(() => this.#waiting--);
    // Who waits no longer lets nobody before those who came first.
    this.#last = Promise.allSettled([before, appended]);
    return appended;
  }

  async #inLine(before: Promise<unknown>, append: () => number, limits: Limits): Promise<number> {
    await within(before, this.#task, limits);
    await this.#writer.ready(limits);
    return append();
  }
}

import { type Limits, Line, type Task, throwIfAborted } from '../../channel/index.js';
import type { LogWriter } from './log-writer.js';

/** Those who append where too much waits for the disk: each waits, and is appended in the order of the calls. */
export class AppendLine {
  readonly #writer: LogWriter;
  readonly #task: Task;
  readonly #line = new Line();

  constructor(writer: LogWriter, path: string) {
    this.#writer = writer;
    this.#task = { what: `Waiting for room to append to ${path}`, path };
  }

  /** Appends at once where nobody has to wait. */
  append(append: () => number, limits: Limits): number | Promise<number> {
    throwIfAborted(limits.signal, this.#task);
    if (this.#line.isEmpty && !this.#writer.isPressed) return append();
    return this.#line.enter(() => this.#appendWithRoom(append, limits), this.#task, limits);
  }

  async #appendWithRoom(append: () => number, limits: Limits): Promise<number> {
    // In the moment between there being room and this, another one may have taken it.
    do await this.#writer.ready(limits);
    while (this.#writer.isPressed);
    return append();
  }
}

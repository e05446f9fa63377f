import { setMaxListeners } from 'node:events';
import { isTurnDue, turn } from '../runtime/index.js';
import { type Task, type WaitOptions, within } from '../waiting/index.js';
import type { Source } from './source.js';

/** How long waits outlast the last one who waited: mostly somebody waits again at once, and arming all anew costs. */
const LINGER_MS = 100;

/** What is waited for, and who hears of it. */
export interface Hearing<Out> {
  /** True: there is something; false: there never will be. Else in how many milliseconds to look again. */
  look(): boolean | number;
  /** Those to listen to meanwhile. */
  sources(): readonly Source<Out>[];
  /** No more is to come of one of them. */
  ended(source: Source<Out>): void;
  failed(source: Source<Out>, error: unknown): void;
  /** From now on somebody waits, or nobody does. */
  keepAlive(on: boolean): void;
}

interface Waiter {
  over: boolean;
  wake(): void;
}

/** Those who wait for records of many channels, and what listens for them meanwhile. */
export class Arrivals<Out> {
  readonly #task: Task;
  readonly #hearing: Hearing<Out>;
  readonly #waiters = new Set<Waiter>();
  #waits = new AbortController();
  #linger: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(task: Task, hearing: Hearing<Out>) {
    this.#task = task;
    this.#hearing = hearing;
  }

  /** False also where `isOver` says so: `wake` has it asked. */
  async wait(options: WaitOptions = {}, isOver = () => false): Promise<boolean> {
    const waiter: Waiter = { over: false, wake: () => {} };
    this.#waiters.add(waiter);
    this.#hearing.keepAlive(true);
    try {
      const found = await within(this.#arrival(waiter, isOver), this.#task, options);
      // What is there at once, again and again, must not keep the event loop from its turns.
      if (isTurnDue()) await turn();
      return found;
    } finally {
      waiter.over = true;
      waiter.wake();
      this.#waiters.delete(waiter);
      if (this.#waiters.size === 0) this.#restSoon();
    }
  }

  async #arrival(waiter: Waiter, isOver: () => boolean): Promise<boolean> {
    while (!waiter.over && !isOver()) {
      const found = this.#hearing.look();
      if (typeof found === 'boolean') return found;
      await this.#change(waiter, found);
    }
    return false;
  }

  /** Waits until anything happened that may be a reason to look again. */
  async #change(waiter: Waiter, dueIn: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const woken = new Promise<void>((resolve) => {
      waiter.wake = resolve;
      if (dueIn < Number.POSITIVE_INFINITY) timer = setTimeout(resolve, dueIn);
    });
    if (this.#waits.signal.aborted) this.#waits = new AbortController();
    // One listener for each channel is no leak.
    setMaxListeners(0, this.#waits.signal);
    for (const source of this.#hearing.sources()) {
      // One that is held back has something already.
      if (source.hasHead) continue;
      source.watch(
        this.#waits.signal,
        (more) => {
          if (!more) this.#hearing.ended(source);
          this.wake();
        },
        (error) => this.#hearing.failed(source, error),
      );
    }
    await woken;
    clearTimeout(timer);
  }

  /** Has all who wait look again. */
  wake(): void {
    for (const waiter of this.#waiters) waiter.wake();
  }

  /** Nobody waits any more: a little later nothing does in the background either, and nothing keeps the process alive. */
  #restSoon(): void {
    this.#hearing.keepAlive(false);
    if (this.#closed) return;
    this.#linger ??= setTimeout(() => {
      if (this.#waiters.size === 0) this.#waits.abort();
    }, LINGER_MS).unref();
    this.#linger.refresh();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#linger);
    this.#waits.abort();
    this.wake();
  }
}

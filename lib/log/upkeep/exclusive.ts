import { type Task, waitUntil, within } from '../../channel/index.js';
import type { LockFile } from '../files/index.js';

/** Work of one kind on a log, of which only one is under way at a time: in this process, and in all others. */
export class Exclusive {
  readonly #lock: LockFile;
  readonly #byte: number;
  readonly #task: Task;
  readonly #signal: AbortSignal;
  /** Resolves once all is at an end that was begun. */
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  /** `signal`: aborts what still waits for its turn. */
  constructor(lock: LockFile, byte: number, task: Task, signal: AbortSignal) {
    this.#lock = lock;
    this.#byte = byte;
    this.#task = task;
    this.#signal = signal;
  }

  get isBusy(): boolean {
    return this.#count > 0;
  }

  /** Does it when its turn has come. */
  do<T>(work: () => Promise<T>, signal = this.#signal): Promise<T> {
    this.#count++;
    const before = this.#last;
    const result = this.#after(before, work, signal).finally(() => this.#count--);
    // Who gives up waiting leaves those before at it.
    this.#last = Promise.allSettled([before, result]);
    return result;
  }

  async #after<T>(before: Promise<unknown>, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    await within(before, this.#task, { signal });
    return this.#locked(work, signal);
  }

  async #locked<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const lock = this.#lock;
    await waitUntil(() => lock.tryLock(this.#byte) || undefined, this.#task, { signal });
    try {
      return await work();
    } finally {
      lock.unlock(this.#byte);
    }
  }

  /** Resolves once all is at an end that was begun, however that went. */
  async settled(): Promise<void> {
    await this.#last;
  }
}

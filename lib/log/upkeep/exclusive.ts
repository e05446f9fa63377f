import { Line, type Task, waitUntil } from '../../channel/index.js';
import type { LockFile } from '../files/index.js';

/** Work of one kind on a log, of which only one is under way at a time: in this process, and in all others. */
export class Exclusive {
  readonly #lock: LockFile;
  readonly #byte: number;
  readonly #task: Task;
  readonly #signal: AbortSignal;
  readonly #line = new Line();

  /** `signal`: aborts what still waits for its turn. */
  constructor(lock: LockFile, byte: number, task: Task, signal: AbortSignal) {
    this.#lock = lock;
    this.#byte = byte;
    this.#task = task;
    this.#signal = signal;
  }

  get isBusy(): boolean {
    return !this.#line.isEmpty;
  }

  /** Does it when its turn has come. */
  do<T>(work: () => Promise<T>, signal = this.#signal): Promise<T> {
    return this.#line.enter(() => this.#locked(work, signal), this.#task, { signal });
  }

  async #locked<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const lock = this.#lock;
    await waitUntil(() => lock.tryLock(this.#byte) || undefined, this.#task, { signal });
    try {
      // What lies in its directory may be another log by now.
      lock.assertNamed();
      return await work();
    } finally {
      lock.unlock(this.#byte);
    }
  }

  /** Resolves once all is at an end that was begun, however that went. */
  settled(): Promise<void> {
    return this.#line.settled();
  }
}

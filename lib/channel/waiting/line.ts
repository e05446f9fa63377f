import { type Limits, type Task, within } from './waiting.js';

/** Work that is done one after the other, in the order in which it came. */
export class Line {
  /** Resolves once all have left the line that stand in it. */
  #last: Promise<void> = Promise.resolve();
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Does it once all before it is at an end, however that went; within the limits, which the work itself may have, too. */
  enter<T>(work: () => T | Promise<T>, task: Task, limits: Limits): Promise<T> {
    this.#length++;
    const before = this.#last;
    const result = within(before, task, limits)
      .then(work)
      .finally(() => {
        this.#length--;
      });
    // Who gives up waiting lets nobody before those who came first. Nothing of what they came to is kept.
    this.#last = Promise.allSettled([before, result]).then(() => {});
    return result;
  }

  /** Resolves once all is at an end that was begun, however that went. */
  settled(): Promise<void> {
    return this.#last;
  }
}

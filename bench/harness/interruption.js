import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { PinnedProcess } from './process.js';

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
/** For a trial to put away what it made, once its processes are gone. */
const GRACE_MS = 5000;

/** A signal from outside ends what runs, and lets the rest of the harness say what there is. A second one ends all. */
export class Interruption {
  #controller = new AbortController();
  code;

  constructor() {
    for (const [name, code] of Object.entries(SIGNALS)) process.on(name, () => this.#come(name, code));
  }

  get signal() {
    return this.#controller.signal;
  }

  get came() {
    return this.#controller.signal.aborted;
  }

  /** What `work` does, or a failure soon after the interruption. */
  async heed(work) {
    const over = new AbortController();
    try {
      const result = await Promise.race([work, this.#overdue(over.signal)]);
      this.signal.throwIfAborted();
      return result;
    } finally {
      over.abort();
    }
  }

  async #overdue(over) {
    await once(this.signal, 'abort', { signal: over });
    await setTimeout(GRACE_MS, undefined, { signal: over });
    throw this.signal.reason;
  }

  #come(name, code) {
    if (this.came) process.exit(code);
    this.code = code;
    this.#controller.abort(new Error(`interrupted by ${name}`));
    PinnedProcess.endForGood();
  }
}

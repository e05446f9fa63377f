import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Line } from './line.js';

const entry = fileURLToPath(new URL('./thread-entry.js', import.meta.url));

/** A thread pinned to a cpu that runs `script`. `shared` is in its workerData. */
export function startThread(script, args, cpu, shared = {}, transferList = [], options = {}) {
  const workerData = { script, cpu, ...shared };
  return new Worker(entry, { argv: args, workerData, transferList, ...options });
}

/** A thread whose event loop lives, to be talked to like a PinnedProcess. */
export class PinnedThread {
  #line;

  constructor(cpu, script, args) {
    /** What `postMessage` and the event 'message' are called on. */
    this.messages = startThread(script, args, cpu, {}, [], { stdin: true, stdout: true });
    this.#line = new Line(`a thread of ${script}`, this.messages.stdout, this.messages.stdin);
    this.messages.on('error', (error) => this.#line.break(error));
  }

  say(words) {
    this.#line.say(words);
  }

  hear(timeoutMs) {
    return this.#line.hear(timeoutMs);
  }
}

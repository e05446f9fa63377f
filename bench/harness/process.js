import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Line } from './line.js';

const ENDS_WITHIN_MS = 2000;
/** The standard streams come before it. */
const FIRST_LINE = 3;

/** One process of a side: pinned to a cpu, asleep on its standard input unless it was told to run. */
export class PinnedProcess {
  static #alive = new Set();
  static #allEnded = false;
  #child;
  #line;
  #gone;
  #complaints = '';

  /** Ends all of them at once. */
  static endAll() {
    for (const process of PinnedProcess.#alive) process.#child.kill('SIGKILL');
  }

  /** The same, and no other one starts. */
  static endForGood() {
    PinnedProcess.#allEnded = true;
    PinnedProcess.endAll();
  }

  /**
   * `serialization`, for a process of Node: a channel for messages, too, of that kind. `lines`: how many more there
   * shall be, from its descriptor 3 on, each with somebody in it whom the harness talks to.
   */
  constructor(cpu, command, args, { serialization, lines = 0 } = {}) {
    if (PinnedProcess.#allEnded) throw new Error('the run is over');
    this.title = [command, ...args].map((part) => part.split('/').at(-1)).join(' ');
    // What it started itself goes with it, and it goes with the harness, however that ends.
    const pinned = ['--pdeathsig', 'KILL', 'taskset', '-c', String(cpu), command, ...args];
    this.#child = spawn('setpriv', pinned, {
      stdio: ['pipe', 'pipe', 'pipe', ...Array(lines).fill('pipe'), ...(serialization ? ['ipc'] : [])],
      ...(serialization && { serialization }),
    });
    PinnedProcess.#alive.add(this);
    this.#line = new Line(this.title, this.#child.stdout, this.#child.stdin);
    /** One for each of `lines`. */
    this.lines = this.#child.stdio
      .slice(FIRST_LINE, FIRST_LINE + lines)
      .map((both, i) => new Line(`${this.title}, line ${i}`, both, both));
    this.#child.stderr.on('data', (text) => {
      this.#complaints += text;
    });
    this.#child.on('close', (code, signal) => {
      this.#leave(new Error(`${this.title} ended with ${code ?? signal}: ${this.#complaints.trim()}`));
    });
    this.#child.on('error', (error) => this.#leave(error));
  }

  /** What `send` and the event 'message' are called on. */
  get messages() {
    return this.#child;
  }

  say(words) {
    this.#line.say(words);
  }

  hear(timeoutMs) {
    return this.#line.hear(timeoutMs);
  }

  /** Lets it end by itself, for it sees the end of its input; resolves once it is gone. */
  async end() {
    if (this.#gone) return;
    for (const line of [this.#line, ...this.lines]) line.close();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_WITHIN_MS);
    await once(this.#child, 'close');
    clearTimeout(timer);
  }

  #leave(reason) {
    PinnedProcess.#alive.delete(this);
    this.#gone = reason;
    for (const line of [this.#line, ...this.lines]) line.break(reason);
  }
}

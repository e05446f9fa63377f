import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const ENDS_WITHIN_MS = 2000;

/** One process of a side: pinned to a cpu, asleep on its standard input unless it was told to run. */
export class PinnedProcess {
  static #alive = new Set();
  static #allEnded = false;
  #child;
  #lines = [];
  #waiting;
  #gone;
  #ending = false;
  #complaints = '';

  /** Ends all of them at once; no other one starts. */
  static endAll() {
    PinnedProcess.#allEnded = true;
    for (const process of PinnedProcess.#alive) process.#child.kill('SIGKILL');
  }

  /** `serialization`, for a process of Node: a channel for messages, too, of that kind. */
  constructor(cpu, command, args, { serialization } = {}) {
    if (PinnedProcess.#allEnded) throw new Error('the run is over');
    this.title = [command, ...args].map((part) => part.split('/').at(-1)).join(' ');
    // What it started itself goes with it, and it goes with the harness, however that ends.
    const pinned = ['--pdeathsig', 'KILL', 'taskset', '-c', String(cpu), command, ...args];
    this.#child = spawn('setpriv', pinned, {
      stdio: ['pipe', 'pipe', 'pipe', ...(serialization ? ['ipc'] : [])],
      ...(serialization && { serialization }),
    });
    PinnedProcess.#alive.add(this);
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
    this.#child.stderr.on('data', (text) => {
      this.#complaints += text;
    });
    this.#child.stdin.on('error', () => {});
    this.#child.on('close', (code, signal) => {
      PinnedProcess.#alive.delete(this);
      this.#gone = new Error(`${this.title} ended with ${code ?? signal}: ${this.#complaints.trim()}`);
      this.#waiting?.reject(this.#gone);
    });
    this.#child.on('error', (error) => {
      PinnedProcess.#alive.delete(this);
      this.#gone = error;
      this.#waiting?.reject(error);
    });
  }

  /** What `send` and the event 'message' are called on. */
  get messages() {
    return this.#child;
  }

  say(line) {
    this.#child.stdin.write(`${line}\n`);
  }

  /** The next line it prints, as JSON. */
  async hear(timeoutMs = 20_000) {
    if (this.#lines.length > 0) return this.#lines.shift();
    if (this.#gone) throw this.#gone;
    const { promise, resolve, reject } = withResolvers();
    const timer = setTimeout(() => reject(new Error(`${this.title} said nothing`)), timeoutMs);
    this.#waiting = { resolve, reject };
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  /** Lets it end by itself, for it sees the end of its input; resolves once it is gone. */
  async end() {
    if (this.#gone) return;
    this.#ending = true;
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), ENDS_WITHIN_MS);
    await once(this.#child, 'close');
    clearTimeout(timer);
  }

  #take(line) {
    if (this.#ending) return;
    const said = JSON.parse(line);
    if (this.#waiting) this.#waiting.resolve(said);
    else this.#lines.push(said);
  }
}

function withResolvers() {
  const settle = {};
  settle.promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return settle;
}

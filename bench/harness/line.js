import { createInterface } from 'node:readline';

/** The harness' line to somebody who works for it: what it says are words, what it hears is JSON, line by line. */
export class Line {
  #title;
  #output;
  #heard = [];
  #waiting;
  #broken;
  #closed = false;

  constructor(title, input, output) {
    this.#title = title;
    this.#output = output;
    createInterface({ input }).on('line', (line) => this.#take(line));
    output.on('error', () => {});
  }

  say(words) {
    this.#output.write(`${words}\n`);
  }

  /** The next thing that is said at the other end. */
  async hear(timeoutMs = 20_000) {
    if (this.#heard.length > 0) return this.#heard.shift();
    if (this.#broken) throw this.#broken;
    const { promise, resolve, reject } = withResolvers();
    const timer = setTimeout(() => reject(new Error(`${this.#title} said nothing`)), timeoutMs);
    this.#waiting = { resolve, reject };
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting = undefined;
    }
  }

  /** Who is at the other end sees that, and ends by itself. */
  close() {
    this.#closed = true;
    this.#output.end();
  }

  /** Nobody is at the other end any more, for that reason. */
  break(error) {
    this.#broken = error;
    this.#waiting?.reject(error);
  }

  #take(line) {
    if (this.#closed) return;
    let said;
    try {
      said = JSON.parse(line);
    } catch {
      this.break(new Error(`${this.#title} said what isn't JSON: ${line}`));
      return;
    }
    if (this.#waiting === undefined) {
      this.#heard.push(said);
      return;
    }
    // The next line may come before whoever waits goes on.
    this.#waiting.resolve(said);
    this.#waiting = undefined;
  }
}

function withResolvers() {
  const settle = {};
  settle.promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
  return settle;
}

/** The processes of the demo, and the directory they share: one end for all of them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { shmPath } from 'millrace';

export class Child {
  /**
   * @param {string} name
   * @param {import('node:child_process').ChildProcess} process
   */
  constructor(name, process) {
    this.name = name;
    this.process = process;
    /** The latest of everything it told. @type {Record<string, any>} */
    this.told = {};
    this.complaint = '';
    process.stderr?.setEncoding('utf8').on('data', (text) => {
      this.complaint += text;
    });
    process.on('message', (message) => Object.assign(this.told, message));
    this.closed = once(process, 'close');
  }

  get pid() {
    return this.process.pid ?? 0;
  }

  /** @param {unknown} message */
  tell(message) {
    if (this.process.connected) this.process.send(/** @type {any} */ (message));
  }
}

export class Family {
  /** Rejects when a child ends in another way than it should. */
  failure;
  #fail = (/** @type {Error} */ _error) => {};
  /** @type {Set<Child>} */
  #living = new Set();

  constructor() {
    // RAM where the machine has some to offer as a file system; else the temporary directory.
    this.directory = mkdtempSync(join(dirname(shmPath('any')), 'millrace-demo-'));
    this.failure = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.failure.catch(() => {});
    process.on('exit', () => this.#tidy());
  }

  /**
   * @param {string} name
   * @param {string} file
   * @param {Record<string, unknown>} settings
   */
  start(name, file, settings) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    const child = new Child(
      name,
      fork(script, [JSON.stringify({ name, directory: this.directory, ...settings })], {
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      }),
    );
    this.#living.add(child);
    child.process.on('error', (error) => this.#fail(error));
    child.closed.then(([code, signal]) => {
      // Who was killed on purpose is no longer of the family.
      if (!this.#living.delete(child) || code === 0) return;
      this.#fail(new Error(`${name} ended with ${signal ?? `exit code ${code}`}\n${child.complaint}`.trim()));
    });
    return child;
  }

  /** Kills a child as the system would: no handler runs, nothing is said. @param {Child} child */
  async kill(child) {
    this.#living.delete(child);
    child.process.kill('SIGKILL');
    await child.closed;
  }

  /** Ends all that still lives, and takes the directory away. */
  async end() {
    await Promise.all([...this.#living].map((child) => this.kill(child)));
    this.#tidy();
  }

  #tidy() {
    for (const child of this.#living) child.process.kill('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

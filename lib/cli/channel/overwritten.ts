import { say } from '../output.js';
import { count } from '../words.js';

const NOTE_EVERY_MS = 1000;

/** Says how many records were overwritten before they could be had, not oftener than people can read it. */
export class Overwritten {
  readonly #path: string;
  readonly #done: string;
  #records = 0;
  #said = Number.NEGATIVE_INFINITY;

  /** `done`: what was to be done to them, such as 'printed'. */
  constructor(path: string, done: string) {
    this.#path = path;
    this.#done = done;
  }

  add(records: number): void {
    this.#records += records;
    if (performance.now() - this.#said >= NOTE_EVERY_MS) this.#say();
  }

  #say(): void {
    if (this.#records === 0) return;
    say(
      `${count(this.#records)} records of ${this.#path} were overwritten before they could be ${this.#done}`,
    );
    this.#records = 0;
    this.#said = performance.now();
  }

  [Symbol.dispose](): void {
    this.#say();
  }
}

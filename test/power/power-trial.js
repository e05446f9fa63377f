import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Dice } from '../soak/fuzz/dice.js';
import { Machine } from './machine.js';

const LAST_NOTES = 80;
export const MOST_LOSSES = 3;

/**
 * A machine's life through several power cuts. Each kind says what is done on it (`live`), what was `promised`, whose
 * promises are heard (`user`), and forgets what was open when the machine is switched on (`forget`).
 */
export class PowerTrial {
  library;
  dice;
  machine;
  clock = { us: 1_700_000_000_000_000 };
  /** Whether the library sees that its files are in RAM, where it checks less. */
  ram = false;
  /** What the power cut left that has just come. */
  left;
  /** No sync comes to its end before the power goes again. */
  unsynced = false;
  /** The power goes at the so-manyth step from now on. */
  stepsLeft;
  /** Power cuts so far. */
  losses = 0;
  /** How often the disk is looked at in a step, in percent. */
  lookChance = 0;
  #home;
  #seed;
  #counts;
  #notes = [];
  #problem;
  #boots = 0;

  constructor(library, seed, home, counts) {
    this.library = library;
    this.dice = new Dice(seed);
    this.#seed = seed;
    this.#home = home;
    this.#counts = counts;
  }

  count(what, times = 1) {
    this.#counts[what] = (this.#counts[what] ?? 0) + times;
  }

  note(...words) {
    this.#notes.push(words.join(' '));
    if (this.#notes.length > LAST_NOTES) this.#notes.shift();
  }

  /** What went wrong, if anything did. */
  async run() {
    // In the shipped files steps are comments; in a copy of them that is made for it, they are calls.
    globalThis.__millraceStep = (number) => this.#step(number);
    try {
      this.#switchOn('boot-0');
      await this.live();
      return undefined;
    } catch (error) {
      return { seed: this.#seed, problem: explained(error), operations: this.#notes };
    } finally {
      globalThis.__millraceStep = undefined;
      this.machine.off();
    }
  }

  #step(number) {
    if (this.left !== undefined) return;
    if (this.dice.chance(this.lookChance)) this.machine.disk.look();
    if (this.stepsLeft === undefined || --this.stepsLeft > 0) return;
    this.note('  at step', number);
    this.cut();
  }

  #switchOn(name) {
    const directory = join(this.#home, name);
    mkdirSync(directory, { recursive: true });
    const bootId = Buffer.alloc(16, ++this.#boots);
    const random = (below) => this.dice.below(below);
    const { clock, ram } = this;
    this.machine = new Machine(this.library, directory, { bootId, random, clock, ram });
    this.forget();
  }

  async switchOnAgain() {
    const { directory, promised } = this.left;
    this.promised = promised;
    await this.machine.quiet();
    this.machine.off();
    this.left = this.stepsLeft = undefined;
    this.#switchOn(directory);
  }

  /** The power goes: what is left of everything lies in another directory. Nothing that comes after this counts. */
  cut() {
    const directory = `boot-${this.#boots}`;
    const mode = this.machine.disk.image((below) => this.dice.below(below), join(this.#home, directory));
    this.left = { directory, promised: structuredClone(this.promised) };
    this.losses++;
    this.stepsLeft = undefined;
    this.count('losses');
    this.note('POWER CUT,', mode, 'promised:', JSON.stringify(this.promised));
    return mode;
  }

  /** Hears of what becomes of a promise, as long as there is somebody to hear of it. */
  ask(promise, hear) {
    const { user } = this;
    const listen = (outcome) => {
      if (this.user !== user || this.left !== undefined) return;
      try {
        hear(outcome);
      } catch (error) {
        this.#problem ??= error;
      }
    };
    promise.then(
      (value) => listen({ value }),
      (error) => listen({ error }),
    );
  }

  /** What was wrong with an answer. */
  throwProblem() {
    if (this.#problem !== undefined) throw this.#problem;
  }

  /** Lets one sync end that a process waits for; or the power goes, and false is said. */
  passHold(powerGoes) {
    if (this.left === undefined && powerGoes) this.cut();
    if (this.left !== undefined) return false;
    if (this.dice.chance(50)) this.machine.disk.look();
    this.machine.held[0].release();
    return true;
  }

  async letSomeSyncsEnd() {
    const { machine, dice } = this;
    while (machine.held.length > 0 && dice.chance(50)) {
      machine.held[0].release();
      await machine.quiet();
    }
  }
}

function explained(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? `${error.stack}` : `${error.stack}\n  ${explained(error.cause)}`;
}

import { WRITER } from './machine.js';
import { HELD, JOINED, POSITION } from './reader.js';
import { slotState, staleState, stateOf } from './words.js';
import { RELIEVED, STATE_SEEN } from './writer.js';

/**
 * Whose the slots are. To the kernel: of who has its lock. And by what readers did, whatever is in their slots: so is judged
 * what the writer does to them.
 */
export class Slots {
  all;
  #machine;
  #readers;
  #ofReaders;
  #locks;

  /** `take(bytes)` gives a place in the state. */
  constructor(machine, take) {
    this.#machine = machine;
    this.#readers = machine.scenario.readers;
    this.#ofReaders = this.#readers.map(({ slot }, number) => slot ?? number);
    this.all = [...new Set(this.#ofReaders)];
    this.#locks = take(this.all.length);
  }

  /** Of a reader, by its number. */
  of(number) {
    return this.#ofReaders[number];
  }

  stateOf(slot) {
    return stateOf(this.#machine.state[slotState(slot)]);
  }

  isLocked(slot) {
    return this.#machine.state[this.#locks + slot] !== 0;
  }

  isLockedBy(thread, slot) {
    return this.#machine.state[this.#locks + slot] === thread + 1;
  }

  /** False: somebody has it. */
  tryLock(thread, slot) {
    const { state, memory } = this.#machine;
    if (this.isLocked(slot)) return false;
    state[this.#locks + slot] = thread + 1;
    memory.refresh(thread);
    return true;
  }

  unlock(thread, slot) {
    if (this.isLockedBy(thread, slot)) this.#machine.state[this.#locks + slot] = 0;
  }

  /** The writer took the slot for that of a dead reader. */
  judgeFreed(slot) {
    const number = this.#holderOf(slot);
    if (number >= 0) this.#machine.fail(`reader ${number} lives, and its slot is freed`);
  }

  judgeEvicted(slot) {
    const number = this.#holderOf(slot);
    if (number < 0) return;
    if (!this.#readers[number].evictable) {
      this.#machine.fail(`reader ${number} is evicted, and never may be`);
    }
    this.#registersOf(number)[HELD] = 0;
  }

  /** From here on the writer writes as far as `granted`. */
  judgeGrant(granted) {
    for (let number = 0; number < this.#readers.length; number++) {
      const registers = this.#registersOf(number);
      const position = registers[POSITION];
      if (registers[HELD] === JOINED && granted - position > this.#machine.units) {
        this.#machine.fail(`the writer goes on to ${granted}, and passes reader ${number} at ${position}`);
      }
    }
  }

  #holderOf(slot) {
    return this.#readers.findIndex(
      (_, number) => this.of(number) === slot && this.#registersOf(number)[HELD] !== 0,
    );
  }

  #registersOf(number) {
    return this.#machine.registers[number + 1];
  }

  /** Of a state word that the writer has seen matters only whether it still stands. */
  forgetGenerations() {
    const { state, registers } = this.#machine;
    const writer = registers[WRITER];
    for (const slot of this.all) {
      const word = state[slotState(slot)];
      const seen = writer[STATE_SEEN];
      if (seen !== 0 && writer[RELIEVED] === slot) {
        writer[STATE_SEEN] = seen === word ? stateOf(seen) : staleState(seen);
      }
      state[slotState(slot)] = stateOf(word);
    }
  }
}

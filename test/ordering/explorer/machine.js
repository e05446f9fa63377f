import { MODEL_BYTES, MODELS } from './models.js';
import { readerProgram } from './reader.js';
import { Slots } from './slots.js';
import { ACT, CHANGE, CHOOSE, FENCE, LOAD, PLAIN, STORE, WHEN } from './steps.js';
import {
  CLAIMING,
  describeValue,
  GATING,
  nameOf,
  POSITIONS,
  REGISTRATION,
  ROOM_SEQUENCE,
  slotPatience,
  slotPosition,
  slotState,
  WAKE_SEQUENCE,
  wordCount,
} from './words.js';
import { writerProgram } from './writer.js';

const REGISTERS = 24;
const PROGRAM_COUNTER = MODEL_BYTES;
const SLEEP = MODEL_BYTES + 1;
const FIRST_REGISTER = MODEL_BYTES + 2;

/** Bits of a thread's sleep. */
const ASLEEP = 1;
const LISTENING = 2;
const RUNG = 4;

/** Of a frame in the log of what was committed: its length, and these. */
const LENGTH = 7;
const COMMITTED = 128;
const BODY_SHIFT = 3;

export const WRITER = 0;

/**
 * One state of a writer and its readers, and what can happen in it. All of the state is in `state`, which may be stored and
 * put back. What is not shared memory but is known all the same: the log of frames that were committed, by which everything
 * that a reader hands out is judged.
 */
export class Machine {
  violation;
  /** Set while the text of steps is wanted. */
  told;

  constructor(scenario) {
    this.scenario = scenario;
    const Model = MODELS[scenario.model];
    const bufferSize = scenario.bufferSize ?? Model.bufferSize;
    const windowSize = Model.windowSize === 0 ? 0 : (scenario.windowSize ?? Model.windowSize);
    const threads = scenario.readers.length + 1;
    this.isWeak = scenario.model === 'ARM';
    this.isSequential = scenario.model === 'SC';
    // Whoever sleeps fences those that would wake it: whether their stores are made before or after that does matter.
    const readersSleep = scenario.readers.some(({ sleeps }) => sleeps !== undefined);
    const isFenced = (thread) => (thread === WRITER ? readersSleep : scenario.room !== undefined);
    this.isFencedByOthers = Array.from(
      { length: threads },
      (_, thread) => scenario.model === 'TSO' && isFenced(thread),
    );
    this.units = scenario.units;

    let size = wordCount(scenario.units);
    const take = (bytes) => {
      size += bytes;
      return size - bytes;
    };
    this.frames = take(POSITIONS);
    this.end = take(1);
    this.crashes = take(1);
    this.deaths = take(1);
    this.slots = new Slots(this, take);
    const log = take(windowSize === 0 ? 0 : 1 + 2 * windowSize);
    this.threads = Array.from({ length: threads }, () => take(FIRST_REGISTER + REGISTERS));
    const buffers = this.threads.map(() => take(2 * bufferSize));
    const bytes = (size + 3) & ~3;
    this.state = new Uint8Array(bytes);
    this.words = new Int32Array(this.state.buffer);
    this.registers = this.threads.map((at) =>
      this.state.subarray(at + FIRST_REGISTER, at + FIRST_REGISTER + REGISTERS),
    );
    const layout = { state: this.state, threads: this.threads, buffers, log, bufferSize, windowSize };
    this.memory = new Model(layout);
    this.programs = [writerProgram(scenario, this)];
    for (let reader = 0; reader < scenario.readers.length; reader++) {
      this.programs.push(readerProgram(scenario, this, reader));
    }
    this.programs = this.programs.map(compile);
    this.counted = this.programs.flatMap(({ sequences }, thread) =>
      sequences.map(([register, word]) => ({ registers: this.registers[thread], register, word })),
    );
    this.begin();
  }

  begin() {
    const { scenario, state } = this;
    this.programs.forEach((program, thread) => {
      this.goTo(thread, program.first);
    });
    scenario.readers.forEach(({ kind, evictable, late, comes, from = 0 }, number) => {
      this.programs[number + 1].begin(this.registers[number + 1], from);
      if (comes) return;
      const slot = this.slots.of(number);
      if (kind !== 'observing') state[slotState(slot)] = late ? CLAIMING : GATING;
      state[slotPosition(slot)] = from;
      state[slotPatience(slot)] = evictable ? 1 : 0;
      this.slots.tryLock(number + 1, slot);
    });
    for (let guard = 0; this.registers[WRITER][0] < (scenario.before ?? 0); guard++) {
      if (guard === 1000) throw new Error('The writer does not get through what is to be written before');
      this.runQuietly();
    }
    for (const step of this.programs.flatMap(({ steps }) => steps)) step.isTaken = false;
    this.settle();
  }

  runQuietly() {
    this.memory.blocked = false;
    this.memory.choice = 0;
    if (!this.step(WRITER)) throw new Error('The writer stands before it begins');
    while (this.memory.buffered(WRITER) > 0) this.memory.leave(WRITER, 0);
    for (let thread = 1; thread < this.threads.length; thread++) this.memory.refresh(thread);
  }

  stepOf(thread) {
    return this.programs[thread].steps[this.state[this.threads[thread] + PROGRAM_COUNTER]];
  }

  goTo(thread, name) {
    const counter = this.programs[thread].index.get(name);
    if (counter === undefined) throw new Error(`There is no step '${name}'`);
    this.state[this.threads[thread] + PROGRAM_COUNTER] = counter;
  }

  isAt(thread, name) {
    return this.stepOf(thread).name === name;
  }

  /** One step of a thread, of those that `memory.choice` may choose from; false: it can't be done now. */
  step(thread) {
    const step = this.stepOf(thread);
    const { memory, state } = this;
    const registers = this.registers[thread];
    let next;
    memory.choices = 1;
    switch (step.kind) {
      case LOAD: {
        const at = step.at(registers);
        const value = memory.load(thread, at, step.order, step.late?.(registers));
        if (memory.blocked) return false;
        if (this.told !== undefined) this.tell(step, `load ${nameOf(at)}: ${describeValue(at, value)}`);
        next = step.next(registers, value);
        break;
      }
      case STORE: {
        const at = step.at(registers);
        const value = step.value(registers);
        memory.store(thread, at, value, step.order);
        if (memory.blocked) return false;
        if (this.told !== undefined) this.tell(step, `store ${nameOf(at)} = ${describeValue(at, value)}`);
        next = step.next(registers, value);
        break;
      }
      case CHANGE: {
        const at = step.at(registers);
        const old = state[at];
        const value = step.update(old, registers);
        memory.change(thread, at, value);
        if (memory.blocked) return false;
        if (this.told !== undefined) {
          this.tell(step, `change ${nameOf(at)}: ${describeValue(at, old)} to ${describeValue(at, value)}`);
        }
        next = step.next(registers, old);
        break;
      }
      case FENCE:
        memory.fence(thread);
        if (memory.blocked) return false;
        if (this.told !== undefined) this.tell(step, 'fence');
        next = step.next(registers);
        break;
      case CHOOSE:
        memory.choices = step.count(registers);
        if (this.told !== undefined) this.tell(step, `way ${memory.choice + 1} of ${memory.choices}`);
        next = step.next(registers, memory.choice);
        break;
      case WHEN:
        if (!memory.isDrained(thread) || !step.holds(registers, state)) return false;
        if (this.told !== undefined) this.tell(step, 'goes on');
        next = step.next(registers);
        break;
      case ACT:
        if (!memory.isDrained(thread)) return false;
        next = step.act(this, thread, registers);
        if (next === undefined) return false;
        if (this.told !== undefined) this.tell(step, 'done');
        break;
    }
    step.isTaken = true;
    if (this.violation === undefined) this.goTo(thread, next);
    return true;
  }

  /** Names of the steps that were taken so far, by anyone. */
  get taken() {
    const names = new Set();
    this.programs.forEach(({ steps }, thread) => {
      const who = thread === WRITER ? 'writer' : 'reader';
      for (const step of steps) if (step.isTaken) names.add(`${who}: ${step.name}`);
    });
    return names;
  }

  tell(step, what) {
    const spelt = step.order === undefined ? '' : [' plainly', ', ordered', ' by Atomics'][step.order];
    this.told.push(`${step.name} (${step.source}): ${what}${spelt}`);
  }

  /** Nobody else sees that this step is done: what others do may as well come after it. */
  isHidden(thread) {
    const step = this.stepOf(thread);
    if (step.kind === CHOOSE) return true;
    if (step.isOfItsOwn === true) return this.memory.isDrained(thread);
    if (step.kind === STORE) return !this.isFencedByOthers[thread] && this.memory.hides(thread, step.order);
    return step.kind === FENCE && !this.isWeak && this.memory.isDrained(thread);
  }

  fail(what) {
    this.violation ??= what;
    return 'done';
  }

  isDone(thread) {
    return this.isAt(thread, 'done');
  }

  /** A process dies. What it stored, also last, comes to be seen; and then the kernel drops its locks. */
  die(thread) {
    this.state[thread === WRITER ? this.crashes : this.deaths]++;
    this.state[this.threads[thread] + SLEEP] = 0;
    this.registers[thread].fill(0);
    if (thread === WRITER) for (const slot of this.slots.all) this.slots.unlock(WRITER, slot);
    this.goTo(thread, thread === WRITER ? 'resume' : 'dies');
    this.told?.push('dies');
  }

  /** A reader may die as long as it has its slot. */
  mayDie(thread) {
    if (thread === WRITER) {
      return this.scenario.crash === true && this.state[this.crashes] === 0 && !this.isDone(WRITER);
    }
    const { dies } = this.scenario.readers[thread - 1];
    return (
      dies === true &&
      this.slots.isLockedBy(thread, this.slots.of(thread - 1)) &&
      !this.isAt(thread, 'dies') &&
      this.state[this.deaths] < this.scenario.deaths
    );
  }

  get hasCrashed() {
    return this.state[this.crashes] > 0;
  }

  // Sleeping.

  fallAsleep(thread) {
    this.state[this.threads[thread] + SLEEP] |= ASLEEP;
    this.memory.refresh(thread);
  }

  isAsleep(thread) {
    return (this.state[this.threads[thread] + SLEEP] & ASLEEP) !== 0;
  }

  listen(thread) {
    this.state[this.threads[thread] + SLEEP] |= LISTENING;
  }

  /** Whether the bell was rung since this was asked last. */
  heard(thread) {
    const at = this.threads[thread] + SLEEP;
    const rung = (this.state[at] & RUNG) !== 0;
    this.state[at] &= ~RUNG;
    if (rung) this.memory.refresh(thread);
    return rung;
  }

  wakeFutex(first, end) {
    for (let thread = first; thread < end; thread++) this.state[this.threads[thread] + SLEEP] &= ~ASLEEP;
  }

  ring(first, end) {
    for (let thread = first; thread < end; thread++) {
      const at = this.threads[thread] + SLEEP;
      if ((this.state[at] & LISTENING) !== 0) this.state[at] |= RUNG;
    }
  }

  // What was committed.

  commitFrame(position, length, body) {
    this.state[this.frames + position] = COMMITTED | length | (((body >> 4) & 3) << BODY_SHIFT);
    this.state[this.end] = Math.max(this.state[this.end], position + length);
  }

  /** A frame was taken for whole: is it what was committed there? */
  judge(position, length, body) {
    const frame = this.state[this.frames + position];
    if (frame === 0) return this.fail(`takes what was never committed for a frame, at ${position}`);
    if ((frame & LENGTH) !== length || ((frame >> BODY_SHIFT) & 3) !== ((body >> 4) & 3)) {
      return this.fail(`takes something else for the frame at ${position}`);
    }
    return undefined;
  }

  lengthOf(position) {
    return this.state[this.frames + position] & LENGTH;
  }

  isResumed(position) {
    return (this.state[this.frames + position] & (2 << BODY_SHIFT)) !== 0;
  }

  get committedEnd() {
    return this.state[this.end];
  }

  /** The oldest frame in [least, end) that a mark might name. */
  oldestFrame(least, end) {
    for (let position = least; position < end; position++) {
      if (this.state[this.frames + position] !== 0) return position;
    }
    return undefined;
  }

  /** Nothing can happen any more, but that the writer dies: is that where all of it should end? */
  judgeStandstill() {
    if (!this.isDone(WRITER)) return 'the writer waits for ever for room';
    for (let thread = 1; thread < this.threads.length; thread++) {
      if (this.isDone(thread)) continue;
      // Somebody lives who has the slot that it waits for.
      if (this.isAt(thread, 'claim: lock')) continue;
      const at = this.programs[thread].positionOf(this.registers[thread]);
      if (at !== this.committedEnd) {
        return `reader ${thread - 1} waits for ever at ${at}: there are records up to ${this.committedEnd}`;
      }
    }
    return undefined;
  }

  settle() {
    if (!this.isWeak) {
      this.#forgetCounts();
      return;
    }
    for (let thread = 1; thread < this.threads.length; thread++) {
      if (this.isDone(thread)) this.memory.refresh(thread);
    }
    this.memory.settle();
  }

  /**
   * Sequences only grow, and are only compared with what they were: all that matters of one that a thread has seen (kept as
   * 1 more than it was) is whether it is still the same.
   */
  #forgetCounts() {
    const { state, counted } = this;
    for (const { registers, register, word } of counted) {
      if (registers[register] !== 0) registers[register] = registers[register] === state[word] + 1 ? 2 : 0;
    }
    state[WAKE_SEQUENCE] = state[ROOM_SEQUENCE] = state[REGISTRATION] = 1;
    this.slots.forgetGenerations();
  }

  describeLeaving(thread, entry) {
    const at = this.memory.buffers[thread] + 2 * entry;
    const word = this.state[at] & 63;
    const what = (this.state[at] & 128) !== 0 ? 'is loaded' : 'is seen by all';
    return `${nameOf(word)} = ${describeValue(word, this.state[at + 1])} ${what}`;
  }
}

function compile({ first, begin, positionOf, sequences, steps }) {
  const names = Object.keys(steps);
  for (const name of names) {
    steps[name].name = name;
    steps[name].order ??= steps[name].kind === LOAD ? PLAIN : undefined;
  }
  return {
    first,
    begin,
    positionOf,
    sequences,
    steps: names.map((name) => steps[name]),
    index: new Map(names.map((name, at) => [name, at])),
  };
}

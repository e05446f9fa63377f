import { ATOMIC, PLAIN } from './steps.js';

/**
 * What a machine makes of loads and stores. All three have the same methods; what they know is in the state, so that a copy
 * of the state is all there is. A method that can't be done yet sets `blocked`.
 *
 * A thread's part of the state, from `threads[t]` on: stores in its buffer, floor, released; `buffers[t]`: two bytes for each entry.
 */
const BUFFERED = 0;
const FLOOR = 1;
const RELEASED = 2;
export const MODEL_BYTES = 3;

/** Bits of a buffer's entry, beside the number of its word. */
const IS_RELEASE = 64;
const IS_LOAD = 128;
const WORD = 63;

/** Sequential consistency: every access is done at once, in the order of the program. */
export class Sequential {
  static bufferSize = 0;
  static windowSize = 0;
  blocked = false;
  /** Set by a load that may give one of several values. */
  choices = 1;
  choice = 0;
  /** What a load that was put off turned out to be wrong. */
  wrong = false;

  constructor({ state, threads, buffers, log, bufferSize, windowSize }) {
    this.state = state;
    this.threads = threads;
    this.buffers = buffers;
    this.log = log;
    this.bufferSize = bufferSize;
    this.windowSize = windowSize;
  }

  load(_thread, at, _order) {
    return this.state[at];
  }

  store(_thread, at, value, _order) {
    this.state[at] = value;
  }

  change(_thread, at, value) {
    this.state[at] = value;
  }

  fence(_thread) {}

  /** Whether such a store is seen by nobody yet: then it is of no matter what others do before it. */
  hides(_thread, _order) {
    return false;
  }

  isDrained(_thread) {
    return true;
  }

  buffered(_thread) {
    return 0;
  }

  mayLeave(_thread, _entry) {
    return false;
  }

  leave(_thread, _entry) {}

  settle() {}

  /** A thread that slept has seen all that was there when it woke. */
  refresh(_thread) {}
}

/** x64: stores leave the core in order, later than loads that follow them; a read-modify-write and `xchg` wait for them. */
export class StoreBuffers extends Sequential {
  static bufferSize = 5;

  load(thread, at, _order) {
    const found = this.newestInBuffer(thread, at);
    return found < 0 ? this.state[at] : this.state[found + 1];
  }

  newestInBuffer(thread, at) {
    const first = this.buffers[thread];
    for (let entry = first + 2 * (this.state[this.threads[thread]] - 1); entry >= first; entry -= 2) {
      if ((this.state[entry] & WORD) === at && (this.state[entry] & IS_LOAD) === 0) return entry;
    }
    return -1;
  }

  store(thread, at, value, order) {
    if (order === ATOMIC) {
      if (this.isDrained(thread)) this.state[at] = value;
      else this.blocked = true;
    } else {
      this.push(thread, at, value, 0);
    }
  }

  push(thread, at, value, bits) {
    const { state } = this;
    const counter = this.threads[thread] + BUFFERED;
    const count = state[counter];
    if (count >= this.bufferSize) {
      this.blocked = true;
      return;
    }
    const entry = this.buffers[thread] + 2 * count;
    state[entry] = at | bits;
    state[entry + 1] = value;
    state[counter] = count + 1;
  }

  change(thread, at, value) {
    if (this.isDrained(thread)) this.state[at] = value;
    else this.blocked = true;
  }

  fence(thread) {
    if (!this.isDrained(thread)) this.blocked = true;
  }

  hides(thread, order) {
    return order !== ATOMIC && this.buffered(thread) < this.bufferSize;
  }

  isDrained(thread) {
    return this.buffered(thread) === 0;
  }

  buffered(thread) {
    return this.state[this.threads[thread] + BUFFERED];
  }

  mayLeave(_thread, entry) {
    return entry === 0;
  }

  leave(thread, entry) {
    const at = this.buffers[thread] + 2 * entry;
    const what = this.state[at];
    const value = this.state[at + 1];
    this.remove(thread, entry);
    this.state[what] = value;
  }

  remove(thread, entry) {
    const { state } = this;
    const counter = this.threads[thread] + BUFFERED;
    const count = state[counter] - 1;
    const first = this.buffers[thread];
    state.copyWithin(first + 2 * entry, first + 2 * entry + 2, first + 2 * count + 2);
    state[first + 2 * count] = 0;
    state[first + 2 * count + 1] = 0;
    state[counter] = count;
  }
}

/**
 * Like arm64, and weaker: stores leave in any order but for the same word and for releases (`stlr`), which wait for all before
 * them. A reader's load gives any value that the word had since the reader's floor: plain loads may be satisfied early, whatever
 * their value decides. An acquire (`ldar`) moves the floor to the time of its value, and waits for the thread's own releases;
 * so `stlr`, `ldar` is a fence. A load that was `late` may also be satisfied after later stores.
 *
 * `windowSize` bounds for how many stores a value is remembered. The writer's loads are all acquires, so that what it loads
 * early it loads in order: its buffer alone makes all the difference.
 */
export class WeaklyOrdered extends StoreBuffers {
  static bufferSize = 4;
  static windowSize = 6;

  load(thread, at, order, late) {
    const { state } = this;
    if (order === PLAIN) {
      const found = this.newestInBuffer(thread, at);
      if (found >= 0) return state[found + 1];
      if (late !== undefined) return this.loadLate(thread, at, late);
    } else if (this.mustWait(thread, at)) {
      this.blocked = true;
      return 0;
    }
    if (thread === 0) return state[at];
    const floorAt = this.threads[thread] + FLOOR;
    if (order !== PLAIN) state[floorAt] = Math.max(state[floorAt], state[this.threads[thread] + RELEASED]);
    return this.loadSince(thread, at, order);
  }

  /** What is given is the value that is expected; when it is satisfied it must be that. */
  loadLate(thread, at, expected) {
    this.choices = this.buffered(thread) < this.bufferSize ? 2 : 1;
    if (this.choice === 0) return this.state[at];
    this.push(thread, at, expected, IS_LOAD);
    return expected;
  }

  mustWait(thread, at) {
    const first = this.buffers[thread];
    for (let entry = 0; entry < this.buffered(thread); entry++) {
      const what = this.state[first + 2 * entry];
      if ((what & IS_RELEASE) !== 0 || (what & ~IS_LOAD) === at) return true;
    }
    return false;
  }

  loadSince(thread, at, order) {
    const { state, log } = this;
    const count = state[log];
    const floorAt = this.threads[thread] + FLOOR;
    let options = 0;
    let since = state[floorAt];
    // The oldest time of a value allows all that a later one does.
    let seen = 0;
    let chosen = state[at];
    let chosenSince = since;
    for (let entry = state[floorAt]; entry <= count; entry++) {
      const isNow = entry === count;
      if (!isNow && state[log + 1 + 2 * entry] !== at) continue;
      const value = isNow ? state[at] : state[log + 2 + 2 * entry];
      const bit = 1 << (value & 31);
      const isNew = (seen & bit) === 0 || !this.wasOption(floorAt, at, entry, value);
      if (isNew) {
        if (options === this.choice) {
          chosen = value;
          chosenSince = since;
        }
        options++;
        seen |= bit;
      }
      since = entry + 1;
    }
    this.choices = options;
    if (order !== PLAIN) state[floorAt] = Math.max(state[floorAt], chosenSince);
    return chosen;
  }

  wasOption(floorAt, at, before, value) {
    const { state, log } = this;
    for (let entry = state[floorAt]; entry < before; entry++) {
      if (state[log + 1 + 2 * entry] === at && state[log + 2 + 2 * entry] === value) return true;
    }
    return false;
  }

  store(thread, at, value, order) {
    this.push(thread, at, value, order === PLAIN ? 0 : IS_RELEASE);
  }

  change(thread, at, value) {
    if (!this.isDrained(thread)) {
      this.blocked = true;
      return;
    }
    this.apply(at, value);
    this.refresh(thread);
  }

  fence(thread) {
    if (this.isDrained(thread)) this.refresh(thread);
    else this.blocked = true;
  }

  hides(thread, _order) {
    return this.buffered(thread) < this.bufferSize;
  }

  mayLeave(thread, entry) {
    const { state } = this;
    const first = this.buffers[thread];
    const what = state[first + 2 * entry];
    if ((what & IS_RELEASE) !== 0) return entry === 0;
    for (let earlier = 0; earlier < entry; earlier++) {
      if ((state[first + 2 * earlier] & WORD) === (what & WORD)) return false;
    }
    return true;
  }

  leave(thread, entry) {
    const { state } = this;
    const at = this.buffers[thread] + 2 * entry;
    const what = state[at];
    const value = state[at + 1];
    this.remove(thread, entry);
    if ((what & IS_LOAD) !== 0) {
      if (state[what & WORD] !== value) this.wrong = true;
      return;
    }
    this.apply(what & WORD, value);
    if ((what & IS_RELEASE) !== 0) state[this.threads[thread] + RELEASED] = state[this.log];
  }

  apply(at, value) {
    const { state, log } = this;
    if (state[at] === value) return;
    if (state[log] === this.windowSize) this.forget(1);
    const entry = log + 1 + 2 * state[log];
    state[entry] = at;
    state[entry + 1] = state[at];
    state[log]++;
    state[at] = value;
  }

  /** Drops the oldest stores from the log: nobody may load what they overwrote any more. */
  forget(entries) {
    const { state, log } = this;
    const count = state[log];
    state.copyWithin(log + 1, log + 1 + 2 * entries, log + 1 + 2 * count);
    state.fill(0, log + 1 + 2 * (count - entries), log + 1 + 2 * count);
    state[log] = count - entries;
    for (const thread of this.threads) {
      state[thread + FLOOR] = Math.max(0, state[thread + FLOOR] - entries);
      state[thread + RELEASED] = Math.max(0, state[thread + RELEASED] - entries);
    }
  }

  refresh(thread) {
    const { state, log } = this;
    state[this.threads[thread] + FLOOR] = state[this.threads[thread] + RELEASED] = state[log];
  }

  /** Makes equal what makes no difference: nobody's floor lies below the oldest store that is kept. */
  settle() {
    const { state, log, threads } = this;
    this.refresh(0);
    let least = state[log];
    for (let thread = 1; thread < threads.length; thread++) {
      least = Math.min(least, state[threads[thread] + FLOOR]);
      state[threads[thread] + RELEASED] = Math.max(
        state[threads[thread] + RELEASED],
        state[threads[thread] + FLOOR],
      );
    }
    if (least > 0) this.forget(least);
    state[threads[0] + FLOOR] = state[threads[0] + RELEASED] = 0;
  }
}

export const MODELS = { SC: Sequential, TSO: StoreBuffers, ARM: WeaklyOrdered };

import { Machine, WRITER } from './machine.js';

const STEP = 0;
const LEAVE = 1;
const DEATH = 31;

/**
 * Looks at every state that a scenario can come to, in order of the steps it takes: the first violation found is one of the
 * shortest. Steps that nobody else sees are taken first, which leaves out most of the orders that make no difference (and may
 * make the way told longer); with `everyOrder` all are looked at. `complete` is false where there were more than `most` states; `depth` is the longest way to a state.
 */
export function search(scenario, { most = 100_000_000 } = {}) {
  const mayHide = scenario.everyOrder !== true;
  const machine = new Machine(scenario);
  const size = machine.words.length;
  const seen = new Seen();
  let level = new Level(size);
  let next = new Level(size);
  const origins = new Origins();
  const leaving = new Uint8Array(machine.threads.length);
  const runs = new Uint8Array(machine.threads.length);
  const dies = new Uint8Array(machine.threads.length);
  let violation;
  let isChanged = true;
  let depth = 0;

  const keep = (from, action) => {
    machine.settle();
    if (!seen.add(machine.words)) return;
    next.push(machine.words, origins.push(from, action));
  };
  /** Does all that an action may come to; true: it could be done. */
  const attempt = (at, thread, what) => {
    let choices = 1;
    for (let choice = 0; choice < choices; choice++) {
      if (isChanged) level.restore(at, machine.words);
      isChanged = true;
      const done = perform(machine, thread, what, choice);
      if (!done) return false;
      choices = machine.memory.choices;
      const action = encode(thread, what, choice);
      if (machine.violation !== undefined) {
        violation ??= { what: machine.violation, origin: origins.push(level.origin(at), action) };
        return true;
      }
      keep(level.origin(at), action);
    }
    return choices > 0;
  };

  keep(0, 0);
  while (next.count > 0 && violation === undefined && seen.count <= most) {
    [level, next] = [next, level];
    next.clear();
    depth++;
    for (let at = 0; at < level.count && violation === undefined; at++) {
      level.restore(at, machine.words);
      isChanged = false;
      const threads = machine.threads.length;
      let hidden = -1;
      for (let thread = 0; thread < threads; thread++) {
        leaving[thread] = machine.memory.buffered(thread);
        runs[thread] = machine.isDone(thread) ? 0 : 1;
        dies[thread] = machine.mayDie(thread) ? 1 : 0;
        if (hidden < 0 && runs[thread] === 1 && mayHide && machine.isHidden(thread)) hidden = thread;
      }
      if (hidden >= 0) {
        attempt(at, hidden, STEP);
        if (dies[hidden] === 1) attempt(at, hidden, DEATH);
        continue;
      }
      let moved = false;
      for (let thread = 0; thread < threads && violation === undefined; thread++) {
        if (runs[thread] === 1 && attempt(at, thread, STEP)) moved = true;
        for (let entry = 0; entry < leaving[thread] && violation === undefined; entry++) {
          if (attempt(at, thread, LEAVE + entry)) moved = true;
        }
      }
      for (let thread = 0; thread < threads && violation === undefined; thread++) {
        if (dies[thread] === 1) attempt(at, thread, DEATH);
      }
      if (!moved && violation === undefined) {
        level.restore(at, machine.words);
        const what = machine.judgeStandstill();
        if (what !== undefined) violation = { what, origin: level.origin(at) };
      }
    }
  }
  return {
    states: seen.count,
    complete: next.count === 0 || violation !== undefined,
    depth,
    taken: machine.taken,
    violation: violation?.what,
    trace: violation === undefined ? undefined : tell(scenario, origins.path(violation.origin)),
  };
}

/** Steps at random, until nothing can happen any more or `steps` are done. */
export function walk(scenario, { walks, seed, steps = 400 }) {
  const machine = new Machine(scenario);
  const initial = machine.words.slice();
  const before = new Int32Array(initial.length);
  const below = randomFrom(seed);
  let done = 0;
  for (let number = 0; number < walks; number++) {
    machine.words.set(initial);
    const path = [];
    // Some walks favour one thread over the others for long, or keep stores back.
    const favourite = below(machine.threads.length + 1);
    const eagerness = below(4);
    for (let step = 0; step < steps; step++) {
      before.set(machine.words);
      const actions = possible(machine, favourite, eagerness, below);
      let taken;
      while (actions.length > 0 && taken === undefined) {
        const [action] = actions.splice(below(actions.length), 1);
        taken = performAtRandom(machine, before, action, below);
      }
      const standsStill = taken === undefined;
      if (!standsStill) path.push(taken);
      const what = standsStill ? machine.judgeStandstill() : machine.violation;
      if (what !== undefined) {
        return { steps: done, taken: machine.taken, violation: what, trace: tell(scenario, path) };
      }
      if (standsStill) break;
      machine.settle();
      done++;
    }
  }
  return { steps: done, taken: machine.taken };
}

function possible(machine, favourite, eagerness, below) {
  const actions = [];
  for (let thread = 0; thread < machine.threads.length; thread++) {
    if (!machine.isDone(thread)) {
      actions.push([thread, STEP]);
      if (thread === favourite) for (let more = 0; more < 4; more++) actions.push([thread, STEP]);
    }
    for (let entry = 0; entry < machine.memory.buffered(thread); entry++) {
      for (let times = 0; times <= eagerness; times++) actions.push([thread, LEAVE + entry]);
    }
    if (machine.mayDie(thread) && below(30) === 0) actions.push([thread, DEATH]);
  }
  return actions;
}

function performAtRandom(machine, before, [thread, what], below) {
  if (!perform(machine, thread, what, 0)) {
    machine.words.set(before);
    return undefined;
  }
  const { choices } = machine.memory;
  const choice = choices > 1 ? below(choices) : 0;
  if (choice > 0) {
    machine.words.set(before);
    machine.violation = undefined;
    perform(machine, thread, what, choice);
  }
  return encode(thread, what, choice);
}

function perform(machine, thread, what, choice) {
  const { memory } = machine;
  memory.blocked = false;
  memory.wrong = false;
  memory.choice = choice;
  memory.choices = 1;
  machine.violation = undefined;
  if (what === DEATH) {
    machine.die(thread);
    return true;
  }
  if (what === STEP) return machine.step(thread);
  const entry = what - LEAVE;
  if (!memory.mayLeave(thread, entry)) return false;
  machine.told?.push(machine.describeLeaving(thread, entry));
  memory.leave(thread, entry);
  if (memory.wrong) machine.fail('hands out bytes that were overwritten while they were looked at');
  return true;
}

/** Does the actions of a path once more, and says what each of them was. */
function tell(scenario, path) {
  const machine = new Machine(scenario);
  return path.flatMap((action) => {
    machine.told = [];
    const { thread, what, choice } = decode(action);
    perform(machine, thread, what, choice);
    machine.settle();
    const who = thread === WRITER ? 'writer  ' : `reader ${thread - 1}`;
    return machine.told.filter((text) => !text.startsWith('start')).map((text) => `${who} | ${text}`);
  });
}

function encode(thread, what, choice) {
  return thread | (what << 2) | (choice << 7);
}

function decode(action) {
  return { thread: action & 3, what: (action >> 2) & 31, choice: action >> 7 };
}

function randomFrom(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** The states of one depth, whole. */
class Level {
  count = 0;
  #size;
  #words;
  #origins = new Uint32Array(1024);

  constructor(size) {
    this.#size = size;
    this.#words = new Int32Array(1024 * size);
  }

  clear() {
    this.count = 0;
  }

  push(words, origin) {
    if (this.count === this.#origins.length) {
      this.#origins = grown(this.#origins);
      this.#words = grown(this.#words);
    }
    this.#origins[this.count] = origin;
    const first = this.count++ * this.#size;
    for (let word = 0; word < this.#size; word++) this.#words[first + word] = words[word];
  }

  restore(at, words) {
    const first = at * this.#size;
    for (let word = 0; word < this.#size; word++) words[word] = this.#words[first + word];
  }

  origin(at) {
    return this.#origins[at];
  }
}

/** From which state by which action each one was reached first. */
class Origins {
  #count = 0;
  #from = new Uint32Array(1024);
  #action = new Uint16Array(1024);

  push(from, action) {
    if (this.#count === this.#from.length) {
      this.#from = grown(this.#from);
      this.#action = grown(this.#action);
    }
    this.#from[this.#count] = from;
    this.#action[this.#count] = action;
    return this.#count++;
  }

  path(origin) {
    const path = [];
    for (let at = origin; at !== 0; at = this.#from[at]) path.push(this.#action[at]);
    return path.reverse();
  }
}

/** Which states were seen: 64 bits of each are kept, so that one in some 10^12 states might be taken for another. */
class Seen {
  count = 0;
  #low = new Int32Array(1 << 16);
  #high = new Int32Array(1 << 16);

  add(words) {
    let low = 0x811c9dc5 | 0;
    let high = 0x2545f491;
    for (let word = 0; word < words.length; word++) {
      low = Math.imul(low ^ words[word], 0x9e3779b1);
      low ^= low >>> 15;
      high = Math.imul(high + words[word], 0x85ebca6b) ^ (high >>> 13);
    }
    // 0 stands for an empty place.
    if (!this.#insert(low, high | 1)) return false;
    if (++this.count * 2 > this.#low.length) this.#grow();
    return true;
  }

  #insert(low, high) {
    const mask = this.#low.length - 1;
    let at = (low ^ (high >>> 7)) & mask;
    while (this.#high[at] !== 0) {
      if (this.#low[at] === low && this.#high[at] === high) return false;
      at = (at + 1) & mask;
    }
    this.#low[at] = low;
    this.#high[at] = high;
    return true;
  }

  #grow() {
    const low = this.#low;
    const high = this.#high;
    this.#low = new Int32Array(low.length * 2);
    this.#high = new Int32Array(high.length * 2);
    for (let at = 0; at < low.length; at++) if (high[at] !== 0) this.#insert(low[at], high[at]);
  }
}

function grown(array) {
  const larger = new array.constructor(array.length * 2);
  larger.set(array);
  return larger;
}

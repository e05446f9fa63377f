/**
 * A program is an object of steps by name, and each step is one access to shared memory, with what the thread reckons from
 * it before the next one. `source` names the lines that the step stands for: file, function, and `// step N` where there is one.
 *
 * How an access is spelt decides what the machine may make of it:
 *
 *   PLAIN     words[i]
 *   ORDERED   loadAcquire, storeRelease: plain on x64, Atomics elsewhere
 *   ATOMIC    Atomics.load, Atomics.store
 */
export const PLAIN = 0;
export const ORDERED = 1;
export const ATOMIC = 2;

export const LOAD = 0;
export const STORE = 1;
export const CHANGE = 2;
export const FENCE = 3;
export const CHOOSE = 4;
export const WHEN = 5;
export const ACT = 6;

const always = (value) => (typeof value === 'function' ? value : () => value);

/** `then(registers, value)` gives the name of the next step. */
export function load(source, order, at, then) {
  return { kind: LOAD, source, order, at: always(at), next: always(then) };
}

export function store(source, order, at, value, then) {
  return { kind: STORE, source, order, at: always(at), value: always(value), next: always(then) };
}

/** An atomic read-modify-write: `update(old, registers)` is what it leaves; `then(registers, old)`. */
export function change(source, at, update, then) {
  return { kind: CHANGE, source, at: always(at), update, next: always(then) };
}

/** `Atomics.store` to a word that nobody else has, with an `Atomics.load` behind it. */
export function fence(source, then) {
  return { kind: FENCE, source, next: always(then) };
}

/** One of several things happens, for reasons that are not in memory: time, or a mark that is there or not. */
export function choose(source, count, then) {
  return { kind: CHOOSE, source, count: always(count), next: then };
}

/** A step that only looks at words which nobody but its own thread ever stores: it makes no difference when it does. */
export function ofItsOwn(step) {
  return { ...step, isOfItsOwn: true };
}

/** Stands until `holds` is true of memory as it is: someone who looks again and again. */
export function when(source, holds, then) {
  return { kind: WHEN, source, holds, next: always(then) };
}

/** A call into the kernel: `act(machine, thread, registers)` gives the next step, or undefined while it can't go on. */
export function act(source, run) {
  return { kind: ACT, source, act: run };
}

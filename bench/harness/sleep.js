const nothing = new Int32Array(new SharedArrayBuffer(4));

/** Blocks the thread. */
export function sleepSync(ms) {
  Atomics.wait(nothing, 0, 0, ms);
}

/**
 * Words shared between processes are naturally aligned and 32 bits wide; there is no BigInt at run time.
 * A number up to 2^53 is either *frozen* (two u32, low and high, stored before anyone looks or under a sequence
 * lock) or a *split word*: three u32, hiA, lo, hiB, which its owner may change while others read it.
 */
/** What one is worth in the upper half. */
export const HIGH_UNIT = 2 ** 32;

/**
 * A release store: whoever loads the value atomically sees all that was stored before it, and all loads before it are
 * over.
 *
 * On x64 every aligned store is one, since the machine keeps stores in order and behind earlier loads, and V8 makes
 * typed array accesses in the order of the program. There `Atomics.store` would be more than is needed: an exchange,
 * which waits until every store before it has left the core, for each record, while the reader pulls the same cache
 * line away. Elsewhere it is what makes the order. (The language's memory model speaks of SharedArrayBuffers only, which
 * a mapped file can't be: for either way it is V8's code and the machine that count.)
 */
export const storeRelease: (words: Int32Array, index: number, value: number) => void =
  process.arch === 'x64'
    ? (words, index, value) => {
        words[index] = value;
      }
    : (words, index, value) => {
        Atomics.store(words, index, value);
      };

/**
 * An acquire load: whoever sees the value sees all that was stored before it was released. On x64 every aligned load is
 * one, for the same reasons; there `Atomics.load` would be a call out of compiled code, ten times as dear as the load.
 *
 * Whoever waits for a word to change must look with `Atomics.load` now and then: nothing that a compiler might take
 * the liberty to remember from one plain look to the next outlives that.
 */
export const loadAcquire: (words: Int32Array, index: number) => number =
  process.arch === 'x64' ? (words, index) => words[index] : (words, index) => Atomics.load(words, index);

const privateWord = new Int32Array(1);

/**
 * The store is there for its fence: the atomic load behind it can't be satisfied before the plain loads in front
 * of it are, on no machine that V8 makes code for. The word is nobody else's.
 */
export function fence(): void {
  Atomics.store(privateWord, 0, 0);
}

export function highOf(value: number): number {
  return Math.floor(value / HIGH_UNIT) | 0;
}

export function join(high: number, low: number): number {
  return (high >>> 0) * HIGH_UNIT + (low >>> 0);
}

/** Plain: for words that nobody changes any more, or that a lock of their own guards. */
export function readFrozen(words: Int32Array, index: number): number {
  return join(words[index + 1], words[index]);
}

export function writeFrozen(words: Int32Array, index: number, value: number): void {
  words[index] = value | 0;
  words[index + 1] = highOf(value);
}

/** Like `storeSplit`, but no fence against loads behind it: for words that only ever need to follow what they speak of. */
export function releaseSplit(words: Int32Array, index: number, high: number, low: number): void {
  if (words[index] === high && words[index + 2] === high) storeRelease(words, index + 1, low);
  else storeSplit(words, index, high, low);
}

/**
 * Stores hiA, lo, hiB in that order when the high part changes, else lo alone. Takes two integers and no double:
 * a double that crosses a call would be an allocation. Only the word's owner calls it.
 */
export function storeSplit(words: Int32Array, index: number, high: number, low: number): void {
  if (words[index] === high && words[index + 2] === high) {
    Atomics.store(words, index + 1, low);
  } else {
    Atomics.store(words, index, high);
    // step 70
    Atomics.store(words, index + 1, low);
    // step 71
    Atomics.store(words, index + 2, high);
  }
}

const SPLIT_TRIES = 64;

/**
 * Loads hiB, lo, hiA, the other way round than they are stored: when the high parts agree, lo belongs to them.
 * An owner that died between its stores leaves them apart for ever. Then lo tells which one it belongs to: of a word that
 * only grows the high part changes only when lo goes over from the top of its range to the bottom. A reader's position may
 * also go back: torn then, it is far from every place that there is.
 */
export function loadSplit(words: Int32Array, index: number): number {
  let highA = 0;
  let highB = 0;
  let low = 0;
  for (let tries = 0; tries < SPLIT_TRIES; tries++) {
    highB = Atomics.load(words, index + 2);
    low = Atomics.load(words, index + 1);
    highA = Atomics.load(words, index);
    if (highA === highB) return join(highA, low);
  }
  return join(low < 0 ? highB : highA, low);
}

/** Positions are multiples of 16 and are shared as position / 16. */
export function loadPosition(words: Int32Array, index: number): number {
  return loadSplit(words, index) * 16;
}

export function storePosition(words: Int32Array, index: number, position: number): void {
  const units = position / 16;
  storeSplit(words, index, highOf(units), units | 0);
}

/** Never lower, whoever else raises it: for positions so low that their high part is always 0. */
export function raisePosition(words: Int32Array, index: number, position: number): void {
  const low = stampOf(position);
  for (let now = Atomics.load(words, index + 1); now < low; ) {
    const before = Atomics.compareExchange(words, index + 1, now, low);
    if (before === now) return;
    now = before;
  }
}

/** The low 32 bits of position / 16: a frame's stamp, and the low word of every shared position. */
export function stampOf(position: number): number {
  return (position / 16) | 0;
}

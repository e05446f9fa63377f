import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';

/**
 * What a careful user builds by hand with mmap-io where only the latest value counts: one value in a mapped file,
 * behind a sequence that is odd while the value is being written. A reader takes a copy, and takes it again if the
 * sequence was odd or has changed. Nothing else: whoever doesn't look in time never sees a value, and none is kept.
 */
const SEQUENCE = 0;
const VALUE = 16;
const FILE_BYTES = 1 << 17;

const mmap = createRequire(import.meta.url)('mmap-io');

function mapped(path) {
  const file = openSync(path, 'a+');
  try {
    ftruncateSync(file, FILE_BYTES);
    const bytes = mmap.map(FILE_BYTES, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file);
    return new Int32Array(bytes.buffer, bytes.byteOffset, FILE_BYTES / 4);
  } finally {
    closeSync(file);
  }
}

export class Publisher {
  #words;
  #sequence;

  constructor(path) {
    this.#words = mapped(path);
    this.#sequence = Atomics.load(this.#words, SEQUENCE);
  }

  publish(value) {
    const words = this.#words;
    Atomics.store(words, SEQUENCE, this.#sequence + 1);
    words.set(value, VALUE);
    this.#sequence = (this.#sequence + 2) | 0;
    Atomics.store(words, SEQUENCE, this.#sequence);
  }
}

export class Observer {
  #words;
  #value;
  #seen;

  constructor(path, size) {
    this.#words = mapped(path);
    this.#value = this.#words.subarray(VALUE, VALUE + size / 4);
    this.#seen = Atomics.load(this.#words, SEQUENCE);
  }

  /** Copies the latest value; false where it is the one that was copied last. */
  look(into) {
    const words = this.#words;
    for (;;) {
      const before = Atomics.load(words, SEQUENCE);
      if (before === this.#seen) return false;
      if ((before & 1) !== 0) continue;
      into.set(this.#value);
      if (Atomics.load(words, SEQUENCE) !== before) continue;
      this.#seen = before;
      return true;
    }
  }
}

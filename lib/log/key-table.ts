import { environment } from '../channel/index.js';

const FIRST_ENTRIES = 1024;
const FIRST_KEY_BYTES = 16 * 1024;
const GROWTH = 1.5;
/** Hash, end of the key and value. */
const ENTRY_BYTES = 12;
const SLOT_BYTES = 4;
/** Of four slots three are used at most. */
const SLOTS_AN_ENTRY = 4 / 3;
export const NO_ENTRY = -1;

/**
 * Numbers by keys that are bytes, in no more memory than it was allowed: a hash table beside copies of the keys, with
 * which each key that is looked for is compared. Nothing is taken out of it.
 */
export class KeyTable {
  #count = 0;
  readonly #most: number;
  readonly #seed = environment.random(4).readInt32LE(0);
  /** Index of an entry, plus 1; 0: free. */
  #slots = new Uint32Array(slotsFor(FIRST_ENTRIES));
  #hashes = new Uint32Array(FIRST_ENTRIES);
  /** Where the keys end; each begins where the one before it ends. */
  #ends = new Uint32Array(FIRST_ENTRIES);
  #values = new Uint32Array(FIRST_ENTRIES);
  #keys = Buffer.allocUnsafe(FIRST_KEY_BYTES);
  /** Of the key that was looked for last. */
  #hash = 0;

  /** `bytes`: of memory. */
  constructor(bytes: number) {
    this.#most = bytes;
  }

  get count(): number {
    return this.#count;
  }

  /** The index of the key's entry, or `NO_ENTRY`. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = this.#hashOf(bytes, start, end);
    this.#hash = hash;
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1;
      if (entry < 0) return NO_ENTRY;
      if (this.#hashes[entry] === hash && this.#isKey(entry, bytes, start, end)) return entry;
    }
  }

  valueOf(entry: number): number {
    return this.#values[entry];
  }

  setValue(entry: number, value: number): void {
    this.#values[entry] = value;
  }

  /** Adds the key that `find` was called with last and didn't find. False: there is no room for it. */
  add(bytes: Uint8Array, start: number, end: number, value: number): boolean {
    const entry = this.#count;
    const from = entry === 0 ? 0 : this.#ends[entry - 1];
    const to = from + end - start;
    if (!this.#makeRoom(entry + 1, to)) return false;
    this.#keys.set(bytes.subarray(start, end), from);
    this.#hashes[entry] = this.#hash;
    this.#ends[entry] = to;
    this.#values[entry] = value;
    this.#count = entry + 1;
    this.#place(entry);
    return true;
  }

  #isKey(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const keys = this.#keys;
    let at = entry === 0 ? 0 : this.#ends[entry - 1];
    if (this.#ends[entry] - at !== end - start) return false;
    for (let i = start; i < end; i++) if (bytes[i] !== keys[at++]) return false;
    return true;
  }

  #place(entry: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#hashes[entry] & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }

  #makeRoom(entries: number, keyBytes: number): boolean {
    const hasEntries = entries <= this.#values.length;
    const hasBytes = keyBytes <= this.#keys.length;
    if (hasEntries && hasBytes) return true;
    const newEntries = hasEntries ? this.#values.length : Math.ceil(this.#values.length * GROWTH);
    const newBytes = hasBytes ? this.#keys.length : Math.max(keyBytes, Math.ceil(this.#keys.length * GROWTH));
    const needed = newEntries * ENTRY_BYTES + slotsFor(newEntries) * SLOT_BYTES + newBytes;
    // Of one key, however long it is, there is always room.
    if (needed > this.#most && entries > 1) return false;
    if (!hasEntries) this.#growEntries(newEntries);
    if (!hasBytes) this.#keys = grown(this.#keys, Buffer.allocUnsafe(newBytes));
    return true;
  }

  #growEntries(entries: number): void {
    this.#hashes = grown(this.#hashes, new Uint32Array(entries));
    this.#ends = grown(this.#ends, new Uint32Array(entries));
    this.#values = grown(this.#values, new Uint32Array(entries));
    const slots = slotsFor(entries);
    if (slots === this.#slots.length) return;
    this.#slots = new Uint32Array(slots);
    for (let entry = 0; entry < this.#count; entry++) this.#place(entry);
  }

  /** Nobody who doesn't know the seed can choose keys that all have one hash. */
  #hashOf(bytes: Uint8Array, start: number, end: number): number {
    let hash = this.#seed;
    for (let i = start; i < end; i++) {
      hash = Math.imul(hash ^ bytes[i], 0x5bd1e995);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
    return (hash ^ (hash >>> 16)) >>> 0;
  }
}

function slotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(entries * SLOTS_AN_ENTRY));
}

function grown<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

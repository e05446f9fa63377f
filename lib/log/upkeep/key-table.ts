import { environment } from '../../channel/index.js';

/** To enlarge a large table at once would hold the event loop for long. */
const SHARD_BITS = 8;
const FIRST_ENTRIES = 4;
const FIRST_KEY_BYTES = 64;
const GROWTH = 1.5;
/** Hash, end of the key and value. */
const ENTRY_BYTES = 12;
const SLOT_BYTES = 4;
/** Of four slots three are used at most. */
const SLOTS_AN_ENTRY = 4 / 3;
const NO_ENTRY = -1;
export const NO_VALUE = -1;

/**
 * Numbers from 0 to 2^32 - 1 by keys that are bytes, in no more memory than it was allowed. Nothing is taken out of it.
 * Keys are found by their hashes, and then compared with what was looked for.
 */
export class KeyTable {
  #count = 0;
  /** Bytes of memory that are taken, and that may be. */
  #taken = 0;
  readonly #most: number;
  readonly #shards: Shard[] = [];
  readonly #seed = environment.random(4).readInt32LE(0);
  /** Of the key that was looked for last. */
  #hash = 0;
  #shard: Shard;
  #entry = NO_ENTRY;

  /** `bytes`: of memory. */
  constructor(bytes: number) {
    this.#most = bytes;
    for (let i = 0; i < 1 << SHARD_BITS; i++) this.#shards.push(new Shard());
    this.#shard = this.#shards[0];
    this.#taken = this.#shards.length * bytesFor(FIRST_ENTRIES, FIRST_KEY_BYTES);
  }

  get count(): number {
    return this.#count;
  }

  /** The key's number, or `NO_VALUE`. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end, this.#seed);
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)];
    this.#hash = hash;
    this.#shard = shard;
    this.#entry = shard.find(hash, bytes, start, end);
    return this.#entry === NO_ENTRY ? NO_VALUE : shard.values[this.#entry];
  }

  /** Gives the key that `find` found last another number. */
  change(value: number): void {
    this.#shard.values[this.#entry] = value;
  }

  /** Adds the key that `find` was called with last and didn't find. False: there is no room for it. */
  add(bytes: Uint8Array, start: number, end: number, value: number): boolean {
    const shard = this.#shard;
    const more = shard.lacks(end - start);
    // Of one key, however long it is, there is always room.
    if (more > 0 && this.#taken + more > this.#most && this.#count > 0) return false;
    this.#taken += more;
    shard.add(this.#hash, bytes, start, end, value);
    this.#count++;
    return true;
  }
}

/** The keys whose hashes begin alike. */
class Shard {
  values = new Uint32Array(FIRST_ENTRIES);
  #count = 0;
  #hashes = new Uint32Array(FIRST_ENTRIES);
  /** Where the keys end; each begins where the one before it ends. */
  #ends = new Uint32Array(FIRST_ENTRIES);
  #keys = new Uint8Array(FIRST_KEY_BYTES);
  /** Index of an entry, plus 1; 0: free. */
  #slots = new Uint32Array(slotsFor(FIRST_ENTRIES));

  find(hash: number, bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = slots[slot] - 1;
      if (entry < 0) return NO_ENTRY;
      if (this.#hashes[entry] === hash && this.#isKey(entry, bytes, start, end)) return entry;
    }
  }

  #isKey(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const keys = this.#keys;
    let at = this.#startOf(entry);
    if (this.#ends[entry] - at !== end - start) return false;
    for (let i = start; i < end; i++) if (bytes[i] !== keys[at++]) return false;
    return true;
  }

  #startOf(entry: number): number {
    return entry === 0 ? 0 : this.#ends[entry - 1];
  }

  /** The memory that one more key of that length would take on top. */
  lacks(keyBytes: number): number {
    const entries = this.#entriesWithOneMore();
    const bytes = this.#keyBytesWith(keyBytes);
    return bytesFor(entries, bytes) - bytesFor(this.values.length, this.#keys.length);
  }

  #entriesWithOneMore(): number {
    const { length } = this.values;
    return this.#count < length ? length : Math.ceil(length * GROWTH);
  }

  #keyBytesWith(more: number): number {
    const { length } = this.#keys;
    const needed = this.#startOf(this.#count) + more;
    return needed <= length ? length : Math.max(needed, Math.ceil(length * GROWTH));
  }

  add(hash: number, bytes: Uint8Array, start: number, end: number, value: number): void {
    const entry = this.#count;
    const keyBytes = this.#keyBytesWith(end - start);
    if (keyBytes > this.#keys.length) this.#keys = grown(this.#keys, new Uint8Array(keyBytes));
    if (entry === this.values.length) this.#growEntries(this.#entriesWithOneMore());
    let to = this.#startOf(entry);
    for (let i = start; i < end; i++) this.#keys[to++] = bytes[i];
    this.#hashes[entry] = hash;
    this.#ends[entry] = to;
    this.values[entry] = value;
    this.#count = entry + 1;
    this.#place(entry);
  }

  #growEntries(entries: number): void {
    this.#hashes = grown(this.#hashes, new Uint32Array(entries));
    this.#ends = grown(this.#ends, new Uint32Array(entries));
    this.values = grown(this.values, new Uint32Array(entries));
    const slots = slotsFor(entries);
    if (slots === this.#slots.length) return;
    this.#slots = new Uint32Array(slots);
    for (let entry = 0; entry < this.#count; entry++) this.#place(entry);
  }

  #place(entry: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = this.#hashes[entry] & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = entry + 1;
  }
}

function slotsFor(entries: number): number {
  return 2 ** Math.ceil(Math.log2(entries * SLOTS_AN_ENTRY));
}

function bytesFor(entries: number, keyBytes: number): number {
  return entries * ENTRY_BYTES + slotsFor(entries) * SLOT_BYTES + keyBytes;
}

function grown<T extends Uint8Array | Uint32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}

/** Nobody who doesn't know the seed can choose keys that all have one hash. */
function hashOf(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed;
  for (let i = start; i < end; i++) {
    hash = Math.imul(hash ^ bytes[i], 0x5bd1e995);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ (hash >>> 13), 0x85ebca6b);
  return (hash ^ (hash >>> 16)) >>> 0;
}

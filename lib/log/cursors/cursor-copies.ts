import { join, loadAcquire, storeRelease, writeFrozen } from '../../channel/index.js';
import { binding } from '../../native.js';
import * as L from './cursor-layout.js';

/** One of the two copies of a cursor's offset. */
export interface Copy {
  index: number;
  sequence: number;
  /** The checksum of the name whose cursor it is. */
  owner: number;
  offset: number;
}

const COPY_WORDS = L.COPY_BYTES >> 2;
const SEQUENCE = L.SEQUENCE_OFFSET >> 2;
const OWNER = L.OWNER_OFFSET >> 2;
const VALUE = L.VALUE_OFFSET >> 2;
const CRC = L.COPY_CRC_OFFSET >> 2;
/** Both copies change within one look only if others set the cursor twice meanwhile. */
const TRIES = 64;

/** What was seen of both copies. */
class Sight {
  readonly words = new Int32Array(COPY_WORDS * L.COPIES);
  readonly #bytes = new Uint8Array(this.words.buffer);

  crcOf(index: number): number {
    const at = index * L.COPY_BYTES;
    return binding().crc32c(this.#bytes, at, at + L.COPY_CRC_OFFSET, 0);
  }

  holds(index: number): boolean {
    return this.crcOf(index) === this.words[index * COPY_WORDS + CRC];
  }
}

let seen = new Sight();
let seenBefore = new Sight();
const made = new Sight();

/** The index of a copy's first word, in the slot at this byte. */
function copyWord(slotAt: number, index: number): number {
  return (slotAt + L.COPIES_OFFSET + index * L.COPY_STRIDE) >> 2;
}

/**
 * The newer of the two copies that hold; undefined where none does. Needs no lock: whoever changes the cursor stores over
 * the older one. That a good one is the newer one of all that were there is certain once its sequence still stands there
 * when the other one has been looked at.
 */
export function loadCopy(words: Int32Array, slotAt: number): Copy | undefined {
  for (let tries = 0; tries < TRIES; tries++) {
    look(words, slotAt);
    const newer = ((seen.words[COPY_WORDS + SEQUENCE] - seen.words[SEQUENCE]) | 0) > 0 ? 1 : 0;
    const index = seen.holds(newer) ? newer : 1 - newer;
    if (index === newer || seen.holds(index)) {
      const copy = copyOf(index);
      if (loadAcquire(words, copyWord(slotAt, index) + SEQUENCE) === copy.sequence) return copy;
    } else if (tries > 0 && seen.words.every((word, i) => word === seenBefore.words[i])) {
      return undefined;
    }
  }
  return undefined;
}

function look(words: Int32Array, slotAt: number): void {
  const before = seenBefore;
  seenBefore = seen;
  seen = before;
  for (let index = 0; index < L.COPIES; index++) {
    const at = copyWord(slotAt, index);
    for (let i = 0; i < COPY_WORDS; i++) seen.words[index * COPY_WORDS + i] = loadAcquire(words, at + i);
  }
}

function copyOf(index: number): Copy {
  const { words } = seen;
  const at = index * COPY_WORDS;
  const offset = join(words[at + VALUE + 1], words[at + VALUE]);
  return { index, sequence: words[at + SEQUENCE], owner: words[at + OWNER], offset };
}

/** Whoever dies on the way leaves a copy that doesn't hold; the other one is as it was. */
export function storeCopy(words: Int32Array, slotAt: number, copy: Copy): void {
  made.words[SEQUENCE] = copy.sequence;
  made.words[OWNER] = copy.owner;
  writeFrozen(made.words, VALUE, copy.offset);
  const crc = made.crcOf(0);
  const at = copyWord(slotAt, copy.index);
  for (let i = 0; i < VALUE; i++) storeRelease(words, at + i, made.words[i]);
  // step 104
  for (let i = VALUE; i < CRC; i++) storeRelease(words, at + i, made.words[i]);
  storeRelease(words, at + CRC, crc);
  // step 105
}

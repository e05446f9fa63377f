import { highOf, loadPosition, type Mapped, stampOf, storeSplit } from '../file/index.js';
import * as L from '../layout.js';
import { ARRIVAL, wakeSleepers } from '../waiting/index.js';
import { changeSlot, freeDeadSlot, REGISTRATION, SLOT_POSITION, slotState, slotWord } from './table.js';

const LIMIT = L.LIMIT_OFFSET >> 2;
const REFUSALS = L.REFUSALS_OFFSET >> 2;
const EVICTIONS = L.EVICTIONS_OFFSET >> 2;
const EVICT_AFTER = L.SLOT_EVICT_AFTER_OFFSET >> 2;
/** Telling the dead and the slow apart costs a system call for each: not oftener than this while held back. */
const INSPECT_EVERY_MS = 10;
/**
 * Nobody is evicted before the writer has looked so often: of the time between two looks no more than this part of a
 * reader's patience counts. A writer or a whole machine that stood still learns of its readers only when it goes on.
 */
const LOOKS_AT_LEAST = 8;

/**
 * The writer's side of flow control: how far it may write, given where the readers that hold it back stand.
 *
 * Distances are in units of 16 bytes and come from the low words alone: a writer and the readers it counts are
 * within one capacity, at most 2^26 units, of each other.
 */
export class Flow {
  /** Of the channel's whole life. */
  refusals: number;
  evictions: number;
  /** Called with the slot of a reader that was evicted. */
  onEvict: (slot: number) => void = () => {};
  readonly #channel: Mapped;
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #step: number;
  /** First words of the slots that were GATING when the registration sequence read #listed. */
  #gating: number[] = [];
  #listed: number | undefined;
  #inspected = 0;
  /** For how long which slot has been seen to stand where, while it held the writer back. */
  readonly #standing = new Map<number, { state: number; stamp: number; stoodMs: number }>();

  constructor(channel: Mapped) {
    this.#channel = channel;
    this.#words = channel.words;
    // A writer that tries again and again comes beyond 2^31 of them in minutes.
    this.refusals = channel.words[REFUSALS] >>> 0;
    this.evictions = channel.words[EVICTIONS];
    this.#capacity = channel.header.capacity >> 4;
    this.#step = channel.header.capacity >> 8;
  }

  /**
   * Asks for `want` units from `position` (whose stamp is `stamp`) on. The tail is published already: before
   * limit, so that whoever sees limit sees a tail at or above limit - capacity. Returns how many units from there
   * may be written, 0 if readers stand in the way. The limit word never goes down; what may be written is what a
   * complete round granted, in this life of the writer only.
   */
  grant(position: number, stamp: number, want: number): number {
    const words = this.#words;
    for (;;) {
      const sequence = Atomics.load(words, REGISTRATION);
      const lag = this.#greatestLag(sequence, stamp);
      const granted = Math.min(this.#capacity - lag, want + this.#step);
      if (granted < want) {
        if (this.#relieve(stamp, want)) continue;
        this.refusals++;
        return 0;
      }
      // step 30
      this.#raiseLimit(position + granted * 16);
      // step 31
      // The store of limit and this load are a full fence between them: either this round counted a reader, or
      // the reader, which registers before it looks at limit, sees this limit. It also holds back the stores
      // that will overwrite what limit gave up.
      if (Atomics.load(words, REGISTRATION) === sequence) return granted;
    }
  }

  /** Who waits looks again and again: what it is refused then was counted when it began. */
  looking<T>(look: () => T): T {
    const { refusals } = this;
    try {
      return look();
    } finally {
      this.refusals = refusals;
    }
  }

  #raiseLimit(limit: number): void {
    const words = this.#words;
    const raised = Math.max(limit, loadPosition(words, LIMIT));
    storeSplit(words, LIMIT, highOf(raised / 16), stampOf(raised));
  }

  /** How far the last of the gating readers is behind, in units; 0 where there is none. */
  #greatestLag(sequence: number, stamp: number): number {
    if (sequence !== this.#listed) this.#list(sequence);
    let greatest = 0;
    const gating = this.#gating;
    for (let i = 0; i < gating.length; i++) {
      // Acquire: the reader's loads of what lies below its position are over.
      const lag = (stamp - Atomics.load(this.#words, gating[i] + SLOT_POSITION + 1)) | 0;
      if (lag > greatest) greatest = lag;
    }
    return greatest;
  }

  /** Which slots hold the writer back changes only with the registration sequence. */
  #list(sequence: number): void {
    this.#gating = [];
    for (let slot = 0; slot < this.#channel.header.readerSlots; slot++) {
      const at = slotWord(this.#channel, slot);
      if (slotState(Atomics.load(this.#words, at)) === L.SLOT_GATING) this.#gating.push(at);
    }
    this.#listed = sequence;
  }

  /** Frees the dead and evicts those past their patience; true if that may have made room. */
  #relieve(stamp: number, want: number): boolean {
    const now = performance.now();
    const sinceLastLook = now - this.#inspected;
    if (sinceLastLook < INSPECT_EVERY_MS) return false;
    this.#inspected = now;
    let relieved = false;
    for (const at of this.#gating) {
      const place = Atomics.load(this.#words, at + SLOT_POSITION + 1);
      const holds = this.#capacity - ((stamp - place) | 0) < want;
      if (!holds) {
        this.#standing.delete(at);
        continue;
      }
      const state = Atomics.load(this.#words, at);
      if (slotState(state) !== L.SLOT_GATING) {
        // It let go, or died and was followed by another, and nobody lived to raise the sequence.
        this.#listed = undefined;
        relieved = true;
        continue;
      }
      const slot = (at * 4 - this.#channel.header.readersOffset) / L.SLOT_BYTES;
      if (freeDeadSlot(this.#channel, slot, state) || this.#evict(slot, state, place, sinceLastLook)) {
        this.#standing.delete(at);
        relieved = true;
      }
    }
    return relieved;
  }

  #evict(slot: number, state: number, stamp: number, sinceLastLook: number): boolean {
    const at = slotWord(this.#channel, slot);
    const patience = Atomics.load(this.#words, at + EVICT_AFTER);
    if (patience === 0) return false;
    const standing = this.#standing.get(at);
    if (standing === undefined || standing.stamp !== stamp || standing.state !== state) {
      this.#standing.set(at, { state, stamp, stoodMs: 0 });
      return false;
    }
    standing.stoodMs += Math.min(sinceLastLook, patience / LOOKS_AT_LEAST);
    if (standing.stoodMs < patience) return false;
    // The state changes before limit is raised, and the reader looks at its state after it copied: it never
    // delivers what is overwritten from here on. The slot stays its owner's until that lets go.
    if (!changeSlot(this.#words, at, state, L.SLOT_EVICTED)) return false;
    // step 32
    Atomics.add(this.#words, REGISTRATION, 1);
    this.evictions++;
    // It may sleep, and has to be told.
    wakeSleepers(this.#channel, ARRIVAL);
    this.onEvict(slot);
    return true;
  }

  /** For those who watch. */
  publishCounters(): void {
    this.#words[REFUSALS] = this.refusals;
    this.#words[EVICTIONS] = this.evictions;
  }

  /** Units that could be written from `stamp` on before a reader stands in the way. */
  room(stamp: number): number {
    return this.#capacity - this.#greatestLag(Atomics.load(this.#words, REGISTRATION), stamp);
  }
}

import { loadAcquire, storeRelease } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type Copy, loadCopy, storeCopy } from './cursor-copies.js';
import * as L from './cursor-layout.js';
import { CursorName, isNameSound } from './cursor-name.js';
import { isEmpty, mendSlot, type SlotDamage } from './slot-damage.js';

/** A cursor as it stands in the file. */
export interface CursorEntry {
  /** Undefined where it is damaged beyond reading. */
  name: string | undefined;
  /** The next offset to read; undefined where both of its copies are damaged. */
  offset: number | undefined;
  slot: number;
  /** What of it is not as it was stored, mended or not. */
  damage: SlotDamage[];
}

/** What is damaged in the file. */
export interface CursorFault extends Omit<CursorEntry, 'damage'> {
  /** `free`: the state of a slot in which there is none; `missing`: the file was cut off. */
  what: SlotDamage['what'] | 'free' | 'missing';
  /** The byte of the file. */
  position: number;
}

interface Held extends CursorEntry {
  copy: Copy | undefined;
}

interface Found {
  held?: Held;
  /** A part of the file of which nobody can tell whose it is: it may be the one that is looked for. */
  lost?: number;
}

const STATE = L.STATE_OFFSET >> 2;
const FIELD = L.NAME_LENGTH_OFFSET >> 2;
const NAME_CRC = L.NAME_CRC_OFFSET >> 2;
const TRIES = 64;
/** There is no slot left for one more cursor. */
export const NO_ROOM = Symbol('no room');

/** The slots of a file of cursors. Looking needs no lock; whoever changes something holds the file's. */
export class CursorSlots {
  readonly #path: string;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  /** How many are there. */
  readonly count: number;
  /** How many are missing: the file was cut off. */
  readonly missing: number;

  constructor(path: string, bytes: Buffer, words: Int32Array, count: number, missing: number) {
    this.#path = path;
    this.#bytes = bytes;
    this.#words = words;
    this.count = count;
    this.missing = missing;
  }

  /** The next offset to read; undefined where there is no such cursor. */
  read(name: CursorName): number | undefined {
    const slot = this.#find(name);
    if (slot !== undefined) {
      const copy = this.#copyFor(name, slot);
      if (copy !== undefined) return copy.offset;
    }
    const { held, lost } = this.#search(name);
    if (held !== undefined) return held.offset ?? this.#refuse(held.slot, name.text);
    return lost === undefined ? undefined : this.#refuse(lost, name.text);
  }

  /** All cursors, in the order of their names. */
  entries(): CursorEntry[] {
    const entries: CursorEntry[] = [];
    for (let slot = 0; slot < this.count; slot++) {
      const held = this.#look(slot);
      if (held !== undefined)
        entries.push({ name: held.name, offset: held.offset, slot, damage: held.damage });
    }
    if (this.missing > 0) entries.push({ name: undefined, offset: undefined, slot: this.count, damage: [] });
    return entries.sort((a, b) => compare(a.name ?? '', b.name ?? ''));
  }

  /** All that is damaged. */
  faults(): CursorFault[] {
    const faults: CursorFault[] = [];
    for (const { damage, ...entry } of this.entries()) {
      const at = this.#at(entry.slot);
      for (const { what, at: within } of damage) faults.push({ ...entry, what, position: at + within });
      if (entry.slot === this.count) faults.push({ ...entry, what: 'missing', position: this.#bytes.length });
      else if (damage.length === 0 && entry.offset === undefined)
        faults.push({ ...entry, what: 'copy', position: at + L.COPIES_OFFSET });
    }
    const free = { name: undefined, offset: undefined, what: 'free' as const };
    for (let slot = 0; slot < this.count; slot++)
      if (this.#isEmptyInUse(slot)) faults.push({ ...free, slot, position: this.#at(slot) + L.STATE_OFFSET });
    return faults;
  }

  /** Puts back what is known to have been otherwise. */
  mend(): void {
    for (let slot = 0; slot < this.count; slot++) {
      if (!this.#isInUse(slot)) continue;
      const bytes = this.#bytes.subarray(this.#at(slot), this.#at(slot + 1));
      const mended = Buffer.from(bytes);
      if (mendSlot(mended).length > 0) mended.copy(bytes);
    }
  }

  /** The least offset of all cursors, where there are any. Throws where that of one can't be told. */
  lowest(): number | undefined {
    let lowest: number | undefined;
    for (const { name, offset, slot } of this.entries()) {
      if (offset === undefined) this.#refuse(slot, name);
      lowest = Math.min(lowest ?? offset, offset);
    }
    return lowest;
  }

  /** What is missing of a file can't be changed. */
  assertWhole(): void {
    if (this.missing > 0) this.#refuse(this.count);
  }

  /**
   * Moves the cursor there, or makes it. Where it is further already it stays, unless that is forced. Returns where it
   * stands then.
   */
  put(name: CursorName, offset: number, force: boolean): number | typeof NO_ROOM {
    let slot = this.#find(name);
    let copy = slot === undefined ? undefined : this.#copyFor(name, slot);
    if (slot === undefined || copy === undefined) {
      const { held, lost } = this.#search(name);
      if (held === undefined) {
        if (lost !== undefined && !force) this.#refuse(lost, name.text);
        return this.#add(name, offset);
      }
      slot = held.slot;
      copy = held.copy;
      if (copy === undefined && !force) this.#refuse(slot, name.text);
    }
    if (copy !== undefined && (force ? offset === copy.offset : offset <= copy.offset)) return copy.offset;
    // What was damaged in the slot itself is mended by the way.
    if (!this.#hasName(name, slot)) this.#storeName(slot, name);
    this.#store(name, slot, copy, offset);
    return offset;
  }

  /**
   * Whether there was one. Its slot may not be used for another one before that is on the disk: or the cursor could be set
   * again elsewhere, and stand in both places after a power cut.
   */
  remove(name: CursorName): boolean {
    let slot = this.#find(name);
    if (slot === undefined) {
      const { held, lost } = this.#search(name);
      if (held === undefined && lost !== undefined) this.#refuse(lost, name.text);
      slot = held?.slot;
    }
    if (slot === undefined) return false;
    // One that was removed before it was set again elsewhere: a power cut left both, so that one is so on the disk.
    for (let twin = this.#findRemoved(name); twin !== undefined; twin = this.#findRemoved(name))
      this.#free(twin);
    this.#storeState(slot, L.SLOT_DELETED);
    // step 109
    return true;
  }

  /** Removes those of which nobody can tell where they stood. */
  removeLost(): void {
    for (const { slot, offset } of this.entries()) {
      if (offset === undefined) this.#storeState(slot, L.SLOT_DELETED);
    }
  }

  /** All that were removed so far are so on the disk: others may have their slots. */
  freeRemoved(): void {
    for (let slot = 0; slot < this.count; slot++) {
      if (this.#stateOf(slot) === L.SLOT_DELETED) this.#free(slot);
    }
  }

  #free(slot: number): void {
    this.#storeState(slot, L.SLOT_FREE);
    // step 103
    this.#bytes.fill(0, this.#at(slot) + L.NAME_LENGTH_OFFSET, this.#at(slot + 1));
  }

  /** Whether there is room for one more. */
  get hasRoom(): boolean {
    return this.#firstFree() !== undefined;
  }

  #at(slot: number): number {
    return L.HEADER_BYTES + slot * L.SLOT_BYTES;
  }

  #wordOf(slot: number): number {
    return this.#at(slot) >> 2;
  }

  #stateOf(slot: number): number {
    return loadAcquire(this.#words, this.#wordOf(slot) + STATE);
  }

  /** Also where its state is damaged. */
  #isInUse(slot: number): boolean {
    const state = this.#stateOf(slot);
    return state !== L.SLOT_FREE && state !== L.SLOT_DELETED;
  }

  #storeState(slot: number, state: number): void {
    storeRelease(this.#words, this.#wordOf(slot) + STATE, state);
  }

  #hasName({ words, crc }: CursorName, slot: number): boolean {
    const at = this.#wordOf(slot);
    if (this.#words[at + NAME_CRC] !== crc) return false;
    for (let i = 0; i < words.length; i++) if (this.#words[at + FIELD + i] !== words[i]) return false;
    return true;
  }

  #first(is: (slot: number) => boolean): number | undefined {
    for (let slot = 0; slot < this.count; slot++) if (is(slot)) return slot;
    return undefined;
  }

  #find(name: CursorName): number | undefined {
    const is = (slot: number) => this.#hasName(name, slot) && this.#isInUse(slot);
    if (name.slot < this.count && is(name.slot)) return name.slot;
    const slot = this.#first(is);
    if (slot !== undefined) name.slot = slot;
    return slot;
  }

  #findRemoved(name: CursorName): number | undefined {
    return this.#first((slot) => this.#stateOf(slot) === L.SLOT_DELETED && this.#hasName(name, slot));
  }

  #copyFor(name: CursorName, slot: number): Copy | undefined {
    const copy = loadCopy(this.#words, this.#at(slot));
    return copy?.owner === name.crc ? copy : undefined;
  }

  /** Looks for it in what is damaged, too: a copy tells whose it is even where the name can't be read any more. */
  #search(name: CursorName): Found {
    let lost: number | undefined;
    for (let slot = 0; slot < this.count; slot++) {
      if (!this.#mayBeOf(name, slot)) continue;
      const held = this.#look(slot);
      if (held === undefined) continue;
      if (held.name === name.text || (held.name === undefined && held.copy?.owner === name.crc))
        return { held };
      if (held.name === undefined && held.copy === undefined) lost = slot;
    }
    if (this.missing > 0) lost = this.count;
    return { lost };
  }

  #mayBeOf(name: CursorName, slot: number): boolean {
    if (!this.#isInUse(slot)) return false;
    return this.#hasName(name, slot) || !isNameSound(this.#bytes, this.#at(slot));
  }

  /** What a slot holds, if it is in use. */
  #look(slot: number): Held | undefined {
    const at = this.#at(slot);
    let before: Buffer | undefined;
    let held: Held | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      if (!this.#isInUse(slot)) return undefined;
      const seen = Buffer.from(this.#bytes.subarray(at, at + L.SLOT_BYTES));
      const mended = Buffer.from(seen);
      const damage = mendSlot(mended);
      const name = CursorName.inSlot(mended);
      const newest = loadCopy(this.#words, at);
      const copy =
        name === undefined || newest?.owner === mended.readInt32LE(L.NAME_CRC_OFFSET) ? newest : undefined;
      held = { name, offset: copy?.offset, slot, copy, damage };
      if (name !== undefined && copy !== undefined && damage.length === 0) return held;
      // Somebody may be changing it just now. What stays like that is damaged.
      if (before?.equals(seen) === true) return isEmpty(seen) ? undefined : held;
      before = seen;
    }
    return held;
  }

  #add(name: CursorName, offset: number): number | typeof NO_ROOM {
    const slot = this.#findRemoved(name) ?? this.#firstFree();
    if (slot === undefined) return NO_ROOM;
    this.#storeName(slot, name);
    this.#store(name, slot, this.#copyFor(name, slot), offset);
    name.slot = slot;
    return offset;
  }

  /** Over the older copy, and then it is in use, where it wasn't yet. */
  #store(name: CursorName, slot: number, before: Copy | undefined, offset: number): void {
    const at = this.#at(slot);
    if (before === undefined) this.#bytes.fill(0, at + L.COPIES_OFFSET, at + L.SLOT_BYTES);
    const index = before === undefined ? 0 : 1 - before.index;
    const sequence = before === undefined ? 1 : (before.sequence + 1) | 0;
    storeCopy(this.#words, at, { index, sequence, owner: name.crc, offset });
    if (this.#stateOf(slot) === L.SLOT_USED) return;
    // step 102
    this.#storeState(slot, L.SLOT_USED);
  }

  #firstFree(): number | undefined {
    const free = this.#first((slot) => this.#stateOf(slot) === L.SLOT_FREE);
    return free ?? this.#first((slot) => this.#isEmptyInUse(slot));
  }

  /** One that was free before its state was damaged. */
  #isEmptyInUse(slot: number): boolean {
    return this.#isInUse(slot) && this.#stateOf(slot) !== L.SLOT_USED && this.#look(slot) === undefined;
  }

  #storeName(slot: number, { words }: CursorName): void {
    this.#words.set(words, this.#wordOf(slot) + FIELD);
  }

  /** `cursor`: the one that the slot is, or may be, of. */
  #refuse(slot: number, cursor?: string): never {
    const path = this.#path;
    const whose = cursor === undefined ? 'A cursor' : `The cursor '${cursor}'`;
    if (slot < this.count) {
      throw new MillraceError(
        'ERR_CORRUPT',
        `${whose} in ${path} can't be told: slot ${slot} is damaged. It can be set anew by force; ` +
          'repairing the log gives up what nobody can tell',
        { path, slot, cursor },
      );
    }
    const size = this.#bytes.length;
    const expected = L.HEADER_BYTES + (this.count + this.missing) * L.SLOT_BYTES;
    throw new MillraceError(
      'ERR_TRUNCATED',
      `${path} has ${size} bytes of ${expected}. Repairing the log makes it whole, with the cursors that are left`,
      { path, size, expected, cursor },
    );
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

import { binding } from '../../native.js';
import * as L from './cursor-layout.js';
import { CursorName, isNameSound } from './cursor-name.js';

/** What of a slot is not as it was stored. */
export interface SlotDamage {
  what: 'state' | 'name' | 'copy';
  /** Of the slot's bytes, where it is, or where what it is in begins. */
  at: number;
}

/**
 * Puts back the bits that are wrong in a slot that is in use, where checksums say which, and tells all that is damaged in
 * it. `slot` is a copy of its bytes.
 */
export function mendSlot(slot: Buffer): SlotDamage[] {
  const damage = [...mendCopies(slot), ...mendName(slot)];
  if (slot.readInt32LE(L.STATE_OFFSET) !== L.SLOT_USED) {
    slot.writeInt32LE(isEmpty(slot) ? L.SLOT_FREE : L.SLOT_USED, L.STATE_OFFSET);
    damage.push({ what: 'state', at: L.STATE_OFFSET });
  }
  return damage;
}

/** One that was free before its state was damaged. */
export function isEmpty(slot: Buffer): boolean {
  return isBlank(slot.subarray(L.NAME_LENGTH_OFFSET));
}

function mendCopies(slot: Buffer): SlotDamage[] {
  const copies = [0, 1].map((index) => copyIn(slot, index));
  const damage: SlotDamage[] = [];
  for (const [index, copy] of copies.entries()) {
    // One that was never stored is no damage.
    if (isHolding(copy) || isBlank(copy)) continue;
    const before = Buffer.from(copy);
    const at = putBackBit(copy, () => isHolding(copy) || isBlank(copy));
    if (at === undefined) continue;
    if (isUnfinished(before, at, copies[1 - index])) before.copy(copy);
    else damage.push({ what: 'copy', at: copyAt(index) + at });
  }
  if (!copies.some(isHolding) && !isEmpty(slot)) damage.push({ what: 'copy', at: L.COPIES_OFFSET });
  return damage;
}

/** Whoever died when it had stored the sequence left what looks like a wrong bit. */
function isUnfinished(copy: Buffer, wrongAt: number, other: Buffer): boolean {
  if (wrongAt >= L.SEQUENCE_OFFSET + 4 || !isHolding(other)) return false;
  return copy.readInt32LE(L.SEQUENCE_OFFSET) === ((other.readInt32LE(L.SEQUENCE_OFFSET) + 1) | 0);
}

function mendName(slot: Buffer): SlotDamage[] {
  if (CursorName.inSlot(slot) !== undefined || isEmpty(slot)) return [];
  const stored = slot.subarray(L.NAME_LENGTH_OFFSET, L.NAME_CRC_OFFSET + 4);
  const before = Buffer.from(stored);
  const copy = [0, 1].map((index) => copyIn(slot, index)).find(isHolding);
  // Whose copy it is tells what the name's checksum was.
  if (copy !== undefined) slot.writeInt32LE(copy.readInt32LE(L.OWNER_OFFSET), L.NAME_CRC_OFFSET);
  const field = slot.subarray(L.NAME_LENGTH_OFFSET, L.NAME_CRC_OFFSET);
  const isSound = () => isNameSound(slot, 0);
  const at = isSound() ? field.length : putBackBit(field, isSound);
  if (CursorName.inSlot(slot) === undefined) before.copy(stored);
  return [{ what: 'name', at: L.NAME_LENGTH_OFFSET + (at ?? 0) }];
}

function copyAt(index: number): number {
  return L.COPIES_OFFSET + index * L.COPY_STRIDE;
}

function copyIn(slot: Buffer, index: number): Buffer {
  return slot.subarray(copyAt(index), copyAt(index) + L.COPY_BYTES);
}

function isHolding(copy: Buffer): boolean {
  return binding().crc32c(copy, 0, L.COPY_CRC_OFFSET, 0) === copy.readInt32LE(L.COPY_CRC_OFFSET);
}

function isBlank(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** Where the one wrong bit was; undefined where it is not one. */
function putBackBit(bytes: Buffer, isRight: () => boolean): number | undefined {
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 1; bit < 256; bit <<= 1) {
      bytes[at] ^= bit;
      if (isRight()) return at;
      bytes[at] ^= bit;
    }
  }
  return undefined;
}

import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import { show } from '../../options.js';
import * as L from './cursor-layout.js';

const NAME = /^[A-Za-z0-9._-]{1,200}$/;
const FIELD_BYTES = L.NAME_CRC_OFFSET + 4 - L.NAME_LENGTH_OFFSET;

/** A cursor's name, as it stands in its slot. */
export class CursorName {
  readonly text: string;
  /** Its length, its bytes and their checksum. */
  readonly words: Int32Array;
  readonly crc: number;
  /** Where it was found last; a hint. */
  slot = 0;

  constructor(name: string) {
    if (typeof name !== 'string' || !NAME.test(name) || name === '.' || name === '..') {
      throw new MillraceError(
        'ERR_INVALID_NAME',
        "The name of a cursor is 1 to 200 letters, digits, dots, dashes and underscores, and not '.' or '..'; " +
          `it is ${show(name)}`,
      );
    }
    this.text = name;
    this.words = new Int32Array(FIELD_BYTES >> 2);
    const field = Buffer.from(this.words.buffer);
    this.words[0] = name.length;
    field.write(name, L.NAME_OFFSET - L.NAME_LENGTH_OFFSET, 'latin1');
    this.crc = crcOf(field);
    this.words[this.words.length - 1] = this.crc;
  }

  /** The name in a slot's bytes; undefined where it is none. */
  static inSlot(slot: Buffer): string | undefined {
    if (!isNameSound(slot, 0)) return undefined;
    const length = slot.readInt32LE(L.NAME_LENGTH_OFFSET);
    if (length < 1 || length > L.NAME_BYTES) return undefined;
    const name = slot.toString('latin1', L.NAME_OFFSET, L.NAME_OFFSET + length);
    return NAME.test(name) ? name : undefined;
  }
}

/** Whether the name in the slot at `bytes[at…]` is as it was stored. */
export function isNameSound(bytes: Buffer, at: number): boolean {
  const crc = binding().crc32c(bytes, at + L.NAME_LENGTH_OFFSET, at + L.NAME_CRC_OFFSET, 0);
  return crc === bytes.readInt32LE(at + L.NAME_CRC_OFFSET);
}

function crcOf(field: Buffer): number {
  return binding().crc32c(field, 0, FIELD_BYTES - 4, 0);
}

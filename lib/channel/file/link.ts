import { readFrozen, writeFrozen } from './words.js';

/** Where a stream goes on behind its end: position and record number there, and the incarnation of what it goes on in. */
export interface Link {
  position: number;
  record: number;
  incarnation: number;
}

/** The payload of a LINK. */
export const LINK_BYTES = 24;
/** The incarnation where nothing follows. */
export const NO_SUCCESSOR = 0;

export function writeLink(words: Int32Array, payload: number, { position, record, incarnation }: Link): void {
  writeFrozen(words, payload, position);
  writeFrozen(words, payload + 2, record);
  writeFrozen(words, payload + 4, incarnation >>> 0);
}

export function readLink(words: Int32Array, payload: number): Link {
  return {
    position: readFrozen(words, payload),
    record: readFrozen(words, payload + 2),
    incarnation: words[payload + 4],
  };
}

import { needsOtherNode } from '../../channel/index.js';
import { packedHead, unpackEach } from './packing.js';
import { PACKED } from './record.js';
import { RecordParts } from './record-decoder.js';

/** What a frame has: one record, or those of a compressed batch. */
export interface FrameLook {
  /** Offsets of its first record and of its last one. */
  first: number;
  last: number;
  count: number;
}

const parts = new RecordParts();
const keepNothing = () => {};

/**
 * Reads all of a frame's payload, as far as that can be done here, and keeps nothing of it. Throws where that isn't what it
 * says it is.
 */
export function lookAtFrame(
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  tag: number,
  timeUs: number,
): FrameLook {
  if (type !== PACKED) {
    look(bytes, start, end, type, tag, timeUs);
    return { first: tag, last: tag, count: 1 };
  }
  const { first, count, algorithm } = packedHead(bytes, start, end, tag, timeUs);
  // What can't be unpacked here is taken at its word.
  if (!needsOtherNode(algorithm)) unpackEach(bytes, start, end, tag, timeUs, look);
  return { first, last: tag, count };
}

function look(bytes: Buffer, start: number, end: number, type: number, offset: number, timeUs: number): void {
  if (type === 0) return;
  parts.find(bytes, start, end, type, offset, timeUs);
  parts.findValue(bytes, end, type, offset, keepNothing);
}

import { binding } from '../../native.js';
import * as L from '../layout.js';

const BITS = 32;

/**
 * The incarnation that a frame's checksum was made with, of which the header may have lost all: CRC32C is linear, so of the
 * 2^32 there is one that gives this checksum. That alone proves nothing; another frame that has the same one does.
 */
export function incarnationOf(bytes: Buffer, at: number, length: number): number {
  const summed = Buffer.alloc(4 + length);
  bytes.copy(summed, 4, at, at + length);
  const stored = summed.readInt32LE(4 + L.FRAME_CRC_OFFSET);
  summed.writeInt32LE(0, 4 + L.FRAME_CRC_OFFSET);
  const sumWith = (incarnation: number) => {
    summed.writeInt32LE(incarnation, 0);
    return binding().crc32c(summed, 0, summed.length, 0) | 0;
  };
  const least = sumWith(0);
  /** What some bits of the incarnation change of the checksum; each with a highest bit that no other one has. */
  const changes: { change: number; bits: number; top: number }[] = [];
  for (let bit = 0; bit < BITS; bit++) {
    const reduced = reduce(sumWith(1 << bit) ^ least, 1 << bit, changes);
    changes.push({ ...reduced, top: Math.clz32(reduced.change) });
  }
  return reduce(stored ^ least, 0, changes).bits;
}

/** Takes away of a change what others make up. */
function reduce(
  change: number,
  bits: number,
  changes: readonly { change: number; bits: number; top: number }[],
): { change: number; bits: number } {
  let left = { change, bits };
  for (const other of changes.toSorted((a, b) => a.top - b.top)) {
    if (Math.clz32(left.change) !== other.top) continue;
    left = { change: left.change ^ other.change, bits: left.bits ^ other.bits };
  }
  return left;
}

import { closeSync, openSync, readSync } from 'node:fs';
import * as L from '../layout.js';
import { explain } from '../runtime/index.js';
import { isOfLaterFormat, MAGIC } from './header.js';
import { statOf } from './named.js';

const SECTOR = 512;
/** Fewer bytes of the magic may be damaged than not. */
const LEAST_OF_MAGIC = 6;

/**
 * What lies in a file whose header can't be read: a channel's header that never reached the disk, in one of its parts at
 * least; one that is damaged, or that a later version wrote; or nothing of ours.
 */
export function headerRemains(path: string): 'unwritten' | 'damaged' | 'later' | 'foreign' {
  if (!statOf(path)?.isFile()) return 'foreign';
  // Of a channel without places for readers the metadata follows at once.
  const bytes = firstBytes(path, L.HEADER_BYTES + L.METADATA_BYTES);
  if (isZero(bytes.subarray(0, SECTOR))) return 'unwritten';
  if (isOfLaterFormat(bytes)) return 'later';
  const ofMagic = MAGIC.filter((byte, i) => bytes[i] === byte).length;
  if (ofMagic < LEAST_OF_MAGIC) return 'foreign';
  const metadata = bytes.subarray(L.HEADER_BYTES, L.HEADER_BYTES + SECTOR);
  return metadata.length > 0 && isZero(metadata) ? 'unwritten' : 'damaged';
}

function firstBytes(path: string, count: number): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(count);
      return bytes.subarray(0, readSync(file, bytes, 0, count, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw explain(error, path, 'read');
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

import { closeSync, fstatSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';

interface MmapIo {
  readonly PROT_READ: number;
  readonly MAP_SHARED: number;
  map(size: number, protection: number, flags: number, fd: number): Buffer;
}

export const isNode20 = process.versions.node.split('.')[0] === '20';

/** Maps a file by another addon than the library's. The mapping goes with the buffer. */
export function mapFile(path: string): Buffer {
  const mmap = createRequire(import.meta.url)('mmap-io') as MmapIo;
  const file = openSync(path, 'r');
  try {
    return mmap.map(fstatSync(file).size, mmap.PROT_READ, mmap.MAP_SHARED, file);
  } finally {
    closeSync(file);
  }
}

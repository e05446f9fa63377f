import { closeSync, openSync, readSync } from 'node:fs';
import { MAGIC } from './header.js';

/** Whether a file begins as every channel does: nothing of it is mapped, or believed. Throws where it can't be read. */
export function beginsAsChannel(path: string): boolean {
  const file = openSync(path, 'r');
  try {
    const start = Buffer.alloc(MAGIC.length);
    return readSync(file, start) === start.length && start.equals(MAGIC);
  } finally {
    closeSync(file);
  }
}

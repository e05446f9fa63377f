import { join } from 'node:path';
import { afterEach, expect, vi } from 'vitest';
import { CursorFile } from '../../lib/log/cursors/cursor-file.js';
import * as L from '../../lib/log/cursors/cursor-layout.js';
import { NamedCursor } from '../../lib/log/cursors/named-cursor.js';
import { binding, type FileHandle } from '../../lib/native.js';
import { newDirectory } from '../helpers/run-directory.js';

const opened: CursorFile[] = [];

/** For a file of tests: what was opened is closed. */
export function closingAll(): void {
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(opened.splice(0).map((file) => file.close().catch(() => {})));
  });
}

export function openFile(directory = newDirectory(), options = {}) {
  const file = new CursorFile(directory, options);
  opened.push(file);
  return { directory, file, cursor: (name: string) => new NamedCursor(file, name, () => 1000) };
}

export const pathIn = (directory: string) => join(directory, 'cursors.mr');

/** Holds the lock for changes, as another process does in the middle of one. */
export function holdLock(directory: string): { file: FileHandle; release(): void } {
  const file = binding().openFile(pathIn(directory), true);
  expect(binding().lockByte(file, L.CHANGE_BYTE)).toBe(true);
  return { file, release: () => binding().closeFile(file) };
}

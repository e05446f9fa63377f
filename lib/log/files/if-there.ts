import { explain } from '../../channel/index.js';
import type { MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';

/** The file of this name, neither mapped nor locked; undefined where there is none. */
export function openIfThere(path: string, writable: boolean): FileHandle | undefined {
  try {
    return binding().openFile(path, writable);
  } catch (error) {
    const explained = explain(error, path, 'open') as MillraceError;
    if (explained.code === 'ERR_NOT_FOUND') return undefined;
    throw explained;
  }
}

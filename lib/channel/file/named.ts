import { type Stats, statSync } from 'node:fs';
import { binding, type FileHandle } from '../../native.js';
import { explain } from '../runtime/index.js';

/** What lies at a path; undefined where nothing does. */
export function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw explain(error, path, 'look at');
  }
}

/** Whether a file's path still leads to this very file, to another one by now, or to none. */
export function whereLeads({
  path,
  file,
}: {
  path: string;
  file: FileHandle;
}): 'here' | 'elsewhere' | 'gone' {
  const { inode, device } = binding().statFile(file);
  const named = statOf(path);
  if (named === undefined) return 'gone';
  return named.ino === inode && named.dev === device ? 'here' : 'elsewhere';
}

import { renameSync, rmSync } from 'node:fs';

/** Ways for a log to be gone from its path while it is in use. */
export const LEAVING: [string, (directory: string) => void][] = [
  ['removed', (directory) => rmSync(directory, { recursive: true })],
  ['moved away', (directory) => renameSync(directory, `${directory}-moved`)],
];

import { say } from './output.js';
import { plural } from './words.js';

/** What of a channel, or a log, was lost with its machine. */
export function sayDropped(path: string, bytes: number): void {
  if (bytes === 0) return;
  say(
    `the machine had gone down: ${plural(bytes, 'byte')} of ${path} that had not reached the disk are gone`,
  );
}

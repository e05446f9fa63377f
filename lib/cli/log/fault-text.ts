import type { LogFault } from '../../log/index.js';
import { offsets, visible } from '../words.js';

/** A fault of a log on one line, below the log's name. */
export function faultText({ code, position, next, offset, nextOffset, message }: LogFault): string {
  const at = position === undefined ? '' : ` at ${position}`;
  const on = next === undefined ? '' : `; goes on at ${next}`;
  return `  ${code}${at}${on}: ${visible(message)}${offsetsText(offset, nextOffset)}`;
}

function offsetsText(offset: number | undefined, next: number | undefined): string {
  if (offset === undefined) return '';
  if (next === undefined) return ` (from offset ${offset} on)`;
  return ` (${offsets(offset, next)})`;
}

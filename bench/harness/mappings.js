import { readFileSync } from 'node:fs';

/** `/proc/self/maps`: the inode, and the path. */
const LINE = /^(?:\S+ ){4}(\d+) +(\/.*)$/gm;
/** A segment that this process made itself goes by the number that it had before it got its name. */
const SEGMENT = /\/(?:\d{20}\.mr|#\d+(?: \(deleted\))?)$/;

/** How much this process has mapped: how many pieces of anything, and how many segments of logs. */
export function mappings() {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  const segments = [...maps.matchAll(LINE)].filter(([, , path]) => SEGMENT.test(path));
  return { all: maps.split('\n').length - 1, segments: new Set(segments.map(([, inode]) => inode)).size };
}

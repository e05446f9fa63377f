import { MillraceError } from '../../errors.js';
import { loadPosition, loadSplit, type Mapped } from '../file/index.js';
import * as L from '../layout.js';
import { listReaders, type ReaderInfo } from '../presence/index.js';
import { Places } from './seek.js';

const RECORD_COUNT = L.RECORD_COUNT_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;

/**
 * The reader table, with how many records each reader is behind the tail. That is in no table: it is counted from the
 * reader's position to the next mark.
 */
export function readersWithLag(channel: Mapped): ReaderInfo[] {
  const readers = listReaders(channel);
  const records = loadSplit(channel.words, RECORD_COUNT);
  const places = new Places(channel, undefined);
  return readers.map((reader) => {
    const record = isPlace(channel, reader.position) ? recordAt(places, reader.position) : undefined;
    return record === undefined ? reader : { ...reader, lagRecords: Math.max(0, records - record) };
  });
}

/**
 * Whether a reader can be there. One that died, or is, on the way back over a multiple of 64 GiB has a position torn into one
 * far from any. The tail is published late, but never by more than the capacity.
 */
function isPlace({ words, header }: Mapped, position: number): boolean {
  return position >= header.basePosition && position <= loadPosition(words, TAIL) + header.capacity;
}

/** Undefined where it is overwritten or damaged, or its reader was on the way to another place. */
function recordAt(places: Places, position: number): number | undefined {
  try {
    return places.recordAt(position);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

import { binding } from '../../native.js';
import { loadPosition, openMapped, refuseFailedSync, storePosition, syncChannel } from '../file/index.js';
import * as L from '../layout.js';
import { endedAs } from '../presence/index.js';
import { frameRemains, syncedBehind } from '../recovery/index.js';
import { explain, inTurns } from '../runtime/index.js';

const DURABLE = L.DURABLE_OFFSET >> 2;
const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;

/** What of a sealed segment is whole, where its machine may have gone down before all of it was on the disk. */
export interface SegmentRemains {
  /** Nothing is missing. */
  whole: boolean;
  /** Where what is whole ends; all below it was synced, or this proves that there is damage. */
  position: number;
  proven: number;
}

/** Looks through a sealed segment by checksums alone, in slices. */
export async function examineSealed(path: string): Promise<SegmentRemains> {
  const channel = openMapped(path, 'read');
  try {
    const { ending, position, end } = await inTurns(frameRemains(channel));
    const final = loadPosition(channel.words, FINAL_POSITION);
    if (ending !== undefined && position === final) return { whole: true, position, proven: position };
    const durable = loadPosition(channel.words, DURABLE);
    const synced = await inTurns(syncedBehind(channel, end));
    return { whole: false, position, proven: Math.max(durable, synced ?? 0) };
  } finally {
    binding().closeFile(channel.file);
  }
}

/** Whether a frame of the segment tells that something of it was synced, and so all that the stream has before it. */
export async function provesSync(path: string): Promise<boolean> {
  const channel = openMapped(path, 'read');
  try {
    return (await inTurns(syncedBehind(channel, channel.header.dataOffset))) !== undefined;
  } finally {
    binding().closeFile(channel.file);
  }
}

/** Brings a sealed segment to its disk and says so in it. What the stream has before it has to be there, and all names. */
export async function syncSealed(path: string): Promise<void> {
  const channel = openMapped(path, 'write');
  try {
    if (endedAs(channel) === undefined) return;
    refuseFailedSync(channel);
    binding().allowWrites(channel.file, L.HEADER_BYTES);
    await syncChannel(channel);
    storePosition(channel.words, DURABLE, loadPosition(channel.words, FINAL_POSITION));
  } catch (error) {
    throw explain(error, path, 'sync');
  } finally {
    binding().closeFile(channel.file);
  }
}

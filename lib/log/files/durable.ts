import {
  type ChannelInfo,
  headerRemains,
  inspect,
  isUnlooked,
  provesSync,
  Salvage,
} from '../../channel/index.js';
import { factsOf, isInPlace, type SegmentFile } from './directory.js';
import { factsAt } from './salvaging.js';
import { nextBefore, nextBehind } from './segment-end.js';

const LOOKED_AT_FIRST = 8;
const ID = /^[0-9a-f]{32}$/;

/** What a segment says of itself, without a look at its records; undefined where it is gone or can't be believed. */
export function segmentInfo({ path }: Pick<SegmentFile, 'path'>): ChannelInfo | undefined {
  try {
    return inspect(path);
  } catch (error) {
    // That says nothing of the segment.
    if (isUnlooked(error)) throw error;
    return undefined;
  }
}

/** The same of one that belongs where it is: what a stray one says of the disk goes for another log, or another place. */
function infoInPlace(file: SegmentFile): ChannelInfo | undefined {
  const info = segmentInfo(file);
  return info !== undefined && isInPlace(file, info.metadata) ? info : undefined;
}

/** Throws where a later version of Millrace wrote the segment: it isn't damaged, and nothing is to be done to it. */
export function refuseLaterSegment({ path }: Pick<SegmentFile, 'path'>): void {
  if (headerRemains(path) === 'later') inspect(path);
}

/** The id of the log that a segment says it is of. */
export function logOf(file: SegmentFile): string | undefined {
  const metadata = segmentInfo(file)?.metadata;
  try {
    const id = (metadata === undefined ? factsAt(file.path) : factsOf(metadata, file.path))?.id;
    return id !== undefined && ID.test(id) ? id : undefined;
  } catch (error) {
    if (isUnlooked(error)) throw error;
    return undefined;
  }
}

/**
 * The id of the log that most of these say they are of, and not only a stray one among them. Where two are said as often,
 * it is `expected`, or that which is said first.
 */
export function logOfMost(segments: readonly SegmentFile[], expected?: string): string | undefined {
  const counts = new Map<string, number>();
  for (const id of segments.map(logOf)) {
    if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  const most = Math.max(...counts.values());
  if (expected !== undefined && counts.get(expected) === most) return expected;
  return [...counts.keys()].find((id) => counts.get(id) === most);
}

/** Whether it was never sealed. */
export function isOpen({ finalPosition }: ChannelInfo): boolean {
  return finalPosition === undefined;
}

/** Of a segment all of which is said to be on the disk: so is all before it. */
export function isAllDurable({ finalPosition, durable }: ChannelInfo): boolean {
  return finalPosition !== undefined && durable >= finalPosition;
}

/**
 * The last segment that says of itself that something of it is on the disk. Most often that is one of the last. Else it is
 * found as where they have said so one after the other: after the machine went down some may have forgotten it, and an
 * earlier one is found. What was compacted to nothing says nothing.
 */
export function lastSynced(
  segments: readonly SegmentFile[],
): { index: number; info: ChannelInfo } | undefined {
  let high = segments.length;
  for (const least = high - LOOKED_AT_FIRST; high > 0 && high > least; ) {
    const info = infoInPlace(segments[--high]);
    if (info !== undefined && info.durable > info.basePosition) return { index: high, info };
  }
  let low = 0;
  let found: { index: number; info: ChannelInfo } | undefined;
  while (low < high) {
    const middle = (low + high) >> 1;
    const said = saying(segments, low, middle);
    if (said !== undefined && said.info.durable > said.info.basePosition) {
      found = said;
      low = middle + 1;
    } else {
      high = said?.index ?? low;
    }
  }
  return found;
}

/** Whether a later segment says that all of this one is on the disk, with all that came before. */
export function isSyncedLater(segments: readonly SegmentFile[], base: number): boolean {
  const synced = lastSynced(segments);
  return synced !== undefined && segments[synced.index].base > base;
}

/** The offset below which all records are said to be on the disk. */
export function durableEnd(segments: readonly SegmentFile[]): number {
  const synced = lastSynced(segments);
  if (synced === undefined) return segments[0]?.base ?? 0;
  const { path } = segments[synced.index];
  if (!isAllDurable(synced.info)) return nextBefore(path, synced.info.durable);
  return segments[synced.index + 1]?.base ?? nextBehind(path);
}

/** The last one of segments[low … middle] that has something to say. */
function saying(segments: readonly SegmentFile[], low: number, middle: number) {
  for (let index = middle; index >= low; index--) {
    const info = infoInPlace(segments[index]);
    if (info !== undefined && info.finalPosition !== info.basePosition) return { index, info };
  }
  return undefined;
}

/**
 * The first segment that may not be as its writer left it. One that tells of a sync says by that that all before it is on
 * the disk; and whoever wrote since this start of the machine had looked through all that was there before.
 */
export function firstDoubtful(segments: readonly SegmentFile[]): number {
  let first = segments.length;
  for (let known = false; first > 0 && !known; ) {
    const info = infoInPlace(segments[--first]);
    known = info !== undefined && (info.sameBoot || info.durable > info.basePosition);
  }
  for (let before = first - 1; before >= 0; before--) {
    const info = infoInPlace(segments[before]);
    if (info !== undefined && !isOpen(info)) break;
    // Between one that was never sealed and what follows it anything may have been put.
    if (info !== undefined) first = before;
  }
  return first;
}

/** Whether one of these has a frame that tells of a sync: so that all before it was on the disk. */
export async function isProvenBy(segments: readonly SegmentFile[]): Promise<boolean> {
  for (const file of segments) {
    if (infoInPlace(file) !== undefined && (await provesSync(file.path))) return true;
  }
  return false;
}

/**
 * Whether the header of a file never reached the disk, and not only was lost there. Where one of those `before` it was
 * written since this start of the machine, so was this one: nothing of it was lost on the way to the disk.
 */
export async function isUnwritten(path: string, before: readonly SegmentFile[]): Promise<boolean> {
  if (headerRemains(path) !== 'unwritten' || isOfThisBoot(before)) return false;
  const salvage = Salvage.open(path);
  try {
    return salvage === undefined || !(await salvage.each(() => {})).provesSync;
  } finally {
    salvage?.close();
  }
}

/** What the last of these says that tells when it was written. */
function isOfThisBoot(segments: readonly SegmentFile[]): boolean {
  for (let index = segments.length - 1; index >= 0; index--) {
    const file = segments[index];
    const info = segmentInfo(file);
    if (info === undefined && saysThisBoot(file)) return true;
    if (info !== undefined && isInPlace(file, info.metadata)) return info.sameBoot;
  }
  return false;
}

/** The same of a damaged one: no damage makes it say that. */
function saysThisBoot(file: SegmentFile): boolean {
  const salvage = Salvage.open(file.path);
  salvage?.close();
  if (salvage === undefined) return false;
  const { header, isOfThisBoot } = salvage;
  return isOfThisBoot && (header === undefined || isInPlace(file, header.metadata));
}

import { type Link, Salvage, type Salvaged } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import {
  type FrameLook,
  frameBytes,
  hasChecksum,
  lookAtFrame,
  MAX_COUNT,
  PACKED,
  type UnpackHandler,
} from '../records/index.js';
import { factsOf, type SegmentFacts } from './directory.js';
import { beginAnew, type FrameSource, replaceSegment } from './rewrite.js';

/** Offsets of records that are lost: from the first of them to that behind the last. */
export interface LostOffsets {
  from: number;
  to: number;
}

/** What is known of a damaged segment. How often it was compacted is undefined where only its header would tell. */
export interface KnownFacts extends Omit<SegmentFacts, 'generation'> {
  generation: number | undefined;
}

export interface Neighbours {
  /** Where the next segment begins, if there is one; if not, the log goes on at `least` or behind that. */
  following: number | undefined;
  least: number;
}

/** What a segment says of itself whose header is whole, though its file may not be; undefined where it says nothing. */
export function factsIn({ header, path }: Salvage): SegmentFacts | undefined {
  if (header === undefined) return undefined;
  try {
    return factsOf(header.metadata, path);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

/** The same of one whose file may be too short to be read. */
export function factsAt(path: string): SegmentFacts | undefined {
  const salvage = Salvage.open(path);
  try {
    return salvage && factsIn(salvage);
  } finally {
    salvage?.close();
  }
}

/** Whether a file that is no channel has frames of one. */
export function hasFrames(path: string): boolean {
  const salvage = Salvage.open(path);
  salvage?.close();
  return salvage !== undefined;
}

/** What of a damaged segment is intact: frames that are whole, can be decoded, and have their place in the log. */
export class SalvagedFrames implements FrameSource {
  readonly path: string;
  readonly facts: SegmentFacts;
  readonly capacity: number;
  readonly isSynced = false;
  bytes = 0;
  /** Offsets that damage took between those that were handed out, and before them; not what compaction had taken. */
  gaps: LostOffsets[] = [];
  /** Frames that are whole and were left out: what is in them can't be read, or has no place here. */
  left = 0;
  /** The offset behind the last record, and the largest timestamp. */
  next: number;
  maxTimeUs = 0;
  #end: Salvaged = { end: 0, mostEnd: 0, lacksRoomOnly: false, goesOnAt: undefined, provesSync: false };
  /** Behind all records that are there, whether they can be read or not. */
  #behindAll = 0;
  #hasPacked = false;
  /** Whether nothing is damaged behind the last one that was handed out, as far as was looked. */
  #isWhole = true;
  /**
   * Whether compaction may have taken some of its records. Where only a damaged header would tell, it may: what stands
   * behind a gap that it left is intact, and to be kept.
   */
  readonly #mayBeCompacted: boolean;
  readonly #salvage: Salvage;
  readonly #neighbours: Neighbours;
  readonly #signal: AbortSignal | undefined;

  private constructor(salvage: Salvage, facts: KnownFacts, neighbours: Neighbours, signal?: AbortSignal) {
    this.path = salvage.path;
    this.facts = { ...facts, generation: facts.generation ?? 0 };
    this.#mayBeCompacted = facts.generation !== 0;
    this.capacity = salvage.length;
    this.next = facts.base;
    this.#salvage = salvage;
    this.#neighbours = neighbours;
    this.#signal = signal;
  }

  /** Looks through it once: then it is known what there is. */
  static async find(
    salvage: Salvage,
    facts: KnownFacts,
    neighbours: Neighbours,
    signal?: AbortSignal,
  ): Promise<SalvagedFrames> {
    const frames = new SalvagedFrames(salvage, facts, neighbours, signal);
    await frames.each(() => {});
    return frames;
  }

  /** Whether all is there that ever was, but for room. */
  get lacksRoomOnly(): boolean {
    return this.#end.lacksRoomOnly && this.gaps.length === 0 && this.left === 0;
  }

  /**
   * Where the log goes on. Of what can't be read at its end nobody knows how many records it was: one a byte at most, or as
   * many as a compressed batch may have for each frame, where there are such batches.
   */
  get link(): Link {
    const { following, least } = this.#neighbours;
    const { end, mostEnd, goesOnAt = 0 } = this.#end;
    const missing = this.#hasPacked ? Math.ceil((mostEnd - end) / frameBytes(0)) * MAX_COUNT : mostEnd - end;
    const record = following ?? Math.max(least, this.#behindAll, goesOnAt, this.next + missing);
    return { position: 0, record, incarnation: 0 };
  }

  /** Offsets of it that no record has any more, but for what compaction had taken. */
  get lost(): LostOffsets[] {
    const isWholeToItsEnd = this.#mayBeCompacted && this.#isWhole;
    const from = (isWholeToItsEnd ? this.#end.goesOnAt : undefined) ?? this.next;
    const { record: to } = this.link;
    return from < to ? [...this.gaps, { from, to }] : this.gaps;
  }

  async each(handler: (...frame: Parameters<UnpackHandler>) => void): Promise<void> {
    const { base } = this.facts;
    const limit = this.#neighbours.following ?? Number.MAX_SAFE_INTEGER;
    this.next = this.#behindAll = base;
    this.bytes = this.left = 0;
    this.gaps = [];
    this.#isWhole = true;
    let behind = 0;
    let failure: { error: unknown } | undefined;
    this.#end = await this.#salvage.each((bytes, start, end, type, tag, timeUs, position) => {
      if (failure !== undefined) return;
      const follows = position === behind;
      if (!follows) this.#isWhole = false;
      behind = position + frameBytes(end - start);
      const look = lookOrLeave(bytes, start, end, type, tag, timeUs);
      // Where nothing is damaged in between, only what compaction took away is missing there, and what that wrote has its
      // checksum. Else the offset itself is wrong, most likely in a frame that had no checksum yet.
      const mayLeaveOut = this.#mayBeCompacted && hasChecksum(bytes, start);
      const isTorn = look !== undefined && follows && !mayLeaveOut && look.first > this.#behindAll;
      const isAtHome = look !== undefined && look.first >= this.next && look.last < limit;
      if (Number.isSafeInteger(tag) && tag < limit && !isTorn)
        this.#behindAll = Math.max(this.#behindAll, tag + 1);
      if (!isAtHome || isTorn) {
        this.left++;
        this.#isWhole = false;
        return;
      }
      const isLeftOut = this.#mayBeCompacted && this.#isWhole;
      if (look.first > this.next && !isLeftOut) this.gaps.push({ from: this.next, to: look.first });
      this.#isWhole = true;
      this.next = look.last + 1;
      this.maxTimeUs = Math.max(this.maxTimeUs, timeUs);
      this.bytes += frameBytes(end - start);
      this.#hasPacked ||= type === PACKED;
      try {
        handler(bytes, start, end, type, tag, timeUs);
      } catch (error) {
        // Not a fault of the segment.
        failure = { error };
      }
    }, this.#signal);
    if (failure !== undefined) throw failure.error;
  }
}

/** Puts what is intact of a segment in its place; where that is nothing, and nothing was there, an empty one to be gone on with. */
export async function putIntact(
  frames: SalvagedFrames,
  empty: Parameters<typeof beginAnew>[2],
): Promise<void> {
  if (frames.link.record > frames.facts.base) await replaceSegment(frames, { isBeforeDurable: true });
  else (await beginAnew(frames.path, frames.facts, empty)).close();
}

function lookOrLeave(
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  tag: number,
  timeUs: number,
): FrameLook | undefined {
  if (!Number.isSafeInteger(tag) || !Number.isSafeInteger(timeUs)) return undefined;
  try {
    return lookAtFrame(bytes, start, end, type, tag, timeUs);
  } catch (error) {
    if (error instanceof MillraceError) return undefined;
    throw error;
  }
}

import { explain, segmentBytes } from '../../channel/index.js';
import { binding, type FileHandle, isSystemError, type Pages, type PreparationHandle } from '../../native.js';
import type { Directory } from '../files/index.js';

/** A segment that was full within this time is followed by one that will be, too: no time to lose for the file behind it. */
const HURRIED_MS = 10_000;
/** What fills up more quickly than this leaves no time for pauses in making that file. */
const PRESSED_BYTES_PER_MS = 65_536;
/**
 * A disk that is busy with what was written before may take longer than a segment lasts to say where there is room for a
 * file: it reads that first, behind all the writes. As many files are made ahead as are filled within this time.
 */
const AHEAD_MS = 2000;
const MOST_AHEAD = 3;

export interface SegmentSpace {
  handle: FileHandle;
  capacity: number;
}

/** The files of the next segments: made ahead, beside the appending, or at once where there was no time for that. */
export class NextFiles {
  /** How often somebody had to wait for one. */
  stalls = 0;
  readonly #directory: Directory;
  readonly #pages: Pages;
  /** The oldest first. */
  readonly #ready: SegmentSpace[] = [];
  /** One at a time: what is left of a disk that is nearly full is one's, not a part of it each of several that fail. */
  #underWay: { preparation: PreparationHandle; capacity: number } | undefined;
  /** There is no room for one more, or no thread to make it: not tried again before the next segment. */
  #refused = false;
  /** How long the segment before took to be full, and how large it was. */
  #fullAfterMs = Number.POSITIVE_INFINITY;
  #fullBytes = 0;
  #takenAt = performance.now();

  /** `pages`: how they are made of one that is prepared. */
  constructor(directory: Directory, pages: Pages) {
    this.#directory = directory;
    this.#pages = pages;
  }

  /** The segment was full after so long for which the last file was taken. */
  wasFull(bytes: number, afterMs: number): void {
    this.#fullBytes = bytes;
    if (bytes > 0) this.#fullAfterMs = afterMs;
  }

  /** Whether one had better be prepared as soon as a segment is begun. */
  get areWantedSoon(): boolean {
    return this.#fullAfterMs <= HURRIED_MS;
  }

  /**
   * Begins the next one, if one more is wanted: one, or where `several` may be needed as many as that takes. True where
   * there are more to be begun once that is ready.
   */
  prepare(capacity: number, several: boolean): boolean {
    const missing = (several ? this.#wanted : 1) - this.#ready.length;
    if (missing <= 0) return false;
    if (missing > 1) this.#collect(false);
    else if (this.#underWay !== undefined) return false;
    if (this.#underWay === undefined && !this.#refused) this.#begin(capacity);
    return !this.#refused && missing > 1;
  }

  #begin(capacity: number): void {
    const { path, fileMode } = this.#directory;
    try {
      const preparation = binding().prepareFile(
        path,
        segmentBytes(capacity),
        fileMode,
        this.#pages,
        this.#isPressed,
      );
      this.#underWay = { preparation, capacity };
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#refused = true;
    }
  }

  /** Wanted sooner than its thread would have it, if that spared those who work beside it. */
  get #isPressed(): boolean {
    return this.#fullBytes > this.#fullAfterMs * PRESSED_BYTES_PER_MS;
  }

  get #wanted(): number {
    // A thread that makes one after the other in a hurry would take the cpu of those who append and read.
    if (this.#isPressed) return 1;
    const fullAfterMs = Math.max(this.#fullAfterMs, performance.now() - this.#takenAt);
    return Math.max(1, Math.min(MOST_AHEAD, Math.ceil(AHEAD_MS / fullAfterMs)));
  }

  /** Lets go of what was made for segments that are not filled as fast any more. */
  giveBack(): void {
    this.#collect(false);
    for (const { handle } of this.#ready.splice(this.#wanted)) binding().closeFile(handle);
  }

  /** One for a segment of at least this capacity. The `first` one of all is small, and nobody could know when it would be wanted. */
  take(path: string, least: number, first: boolean): SegmentSpace {
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
    this.#takenAt = performance.now();
    this.#dropSmaller(least);
    this.#collect(false);
    if (this.#ready.length === 0) {
      if (!first) this.stalls++;
      // What is under way is sooner there than what is begun now.
      this.#collect(true);
    }
    this.#refused = false;
    return this.#ready.shift() ?? { handle: this.#makeNow(path, segmentBytes(least)), capacity: least };
  }

  /** What is under way is ready, if it is by now, or is waited for. */
  #collect(wait: boolean): void {
    if (this.#underWay === undefined) return;
    const { preparation, capacity } = this.#underWay;
    try {
      const handle = binding().takePrepared(preparation, wait);
      if (handle === undefined) return;
      this.#ready.push({ handle, capacity });
    } catch (error) {
      if (!isSystemError(error)) throw error;
      // That is some time ago: making one when it is wanted says what is wrong then, if anything is.
      this.#refused = true;
    }
    this.#underWay = undefined;
  }

  #makeNow(path: string, bytes: number): FileHandle {
    const directory = this.#directory;
    try {
      return binding().createFileNow(directory.path, bytes, directory.fileMode);
    } catch (error) {
      throw explain(error, path, 'create', bytes);
    }
  }

  drop(): void {
    this.#dropSmaller(Number.POSITIVE_INFINITY);
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
  }

  /** What was begun later is never smaller. */
  #dropSmaller(least: number): void {
    while (this.#ready.length > 0 && this.#ready[0].capacity < least) {
      binding().closeFile((this.#ready.shift() as SegmentSpace).handle);
    }
    if (this.#underWay !== undefined && this.#underWay.capacity < least) {
      binding().dropPreparation(this.#underWay.preparation);
      this.#underWay = undefined;
    }
  }
}

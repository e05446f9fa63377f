import { explain, segmentBytes } from '../../channel/index.js';
import { binding, type FileHandle, isSystemError, type Pages, type PreparationHandle } from '../../native.js';
import type { Directory } from '../files/index.js';

/** A segment that was full within this time is followed by one that will be, too: no time to lose for the file behind it. */
const HURRIED_MS = 10_000;
/** What fills up more quickly than this leaves no time for pauses in making that file. */
const PRESSED_BYTES_PER_MS = 65_536;

export interface SegmentSpace {
  handle: FileHandle;
  capacity: number;
}

/** The file of the next segment: made ahead, beside the appending, or at once where there was no time for that. */
export class NextFile {
  /** How often somebody had to wait for one. */
  stalls = 0;
  readonly #directory: Directory;
  readonly #pages: Pages;
  #prepared: { capacity: number; preparation: PreparationHandle } | undefined;
  /** How long the segment before took to be full, and how large it was. */
  #fullAfterMs = Number.POSITIVE_INFINITY;
  #fullBytes = 0;

  /** `pages`: how they are made of one that is prepared. */
  constructor(directory: Directory, pages: Pages) {
    this.#directory = directory;
    this.#pages = pages;
  }

  get isPrepared(): boolean {
    return this.#prepared !== undefined;
  }

  /** The segment was full after so long for which the last file was taken. */
  wasFull(bytes: number, afterMs: number): void {
    this.#fullBytes = bytes;
    if (bytes > 0) this.#fullAfterMs = afterMs;
  }

  /** Whether it had better be prepared as soon as a segment is begun. */
  get isWantedSoon(): boolean {
    return this.#fullAfterMs <= HURRIED_MS;
  }

  /** Where that can't be begun, one is made when it is wanted. */
  prepare(capacity: number): void {
    const { path, fileMode } = this.#directory;
    const bytes = segmentBytes(capacity);
    // Wanted sooner than its thread would have it, if that spared those who work beside it.
    const isPressed = this.#fullBytes > this.#fullAfterMs * PRESSED_BYTES_PER_MS;
    try {
      const preparation = binding().prepareFile(path, bytes, fileMode, this.#pages, isPressed);
      this.#prepared = { capacity, preparation };
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  /**
   * One for a segment of at least this capacity: the one that was prepared, if it is large enough. The `first` one is small,
   * and nobody could know when it would be wanted.
   */
  take(path: string, least: number, first: boolean): SegmentSpace {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
    if (prepared !== undefined && prepared.capacity < least) binding().dropPreparation(prepared.preparation);
    else if (prepared !== undefined) {
      const handle = this.#takePrepared(prepared.preparation);
      if (handle !== undefined) return { handle, capacity: prepared.capacity };
    }
    if (!first) this.stalls++;
    return { handle: this.#makeNow(path, segmentBytes(least)), capacity: least };
  }

  #takePrepared(preparation: PreparationHandle): FileHandle | undefined {
    try {
      const ready = binding().takePrepared(preparation, false);
      if (ready !== undefined) return ready;
      // What is under way is sooner there than what is begun now.
      this.stalls++;
      return binding().takePrepared(preparation, true);
    } catch (error) {
      // That is some time ago: making one now says what is wrong now, if anything is.
      if (isSystemError(error)) return undefined;
      throw error;
    }
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
    if (this.#prepared !== undefined) binding().dropPreparation(this.#prepared.preparation);
    this.#prepared = undefined;
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
  }
}

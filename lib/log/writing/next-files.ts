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

interface Prepared {
  capacity: number;
  preparation: PreparationHandle;
}

/** The files of the next segments: made ahead, beside the appending, or at once where there was no time for that. */
export class NextFiles {
  /** How often somebody had to wait for one. */
  stalls = 0;
  readonly #directory: Directory;
  readonly #pages: Pages;
  /** In the order in which they were begun. */
  readonly #prepared: Prepared[] = [];
  /** How long the segment before took to be full, and how large it was. */
  #fullAfterMs = Number.POSITIVE_INFINITY;
  #fullBytes = 0;

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

  /** One, or where `several` may be needed as many as that takes. Where that can't be begun, one is made when it is wanted. */
  prepare(capacity: number, several: boolean): void {
    const wanted = several ? this.#wanted : 1;
    const { path, fileMode } = this.#directory;
    const bytes = segmentBytes(capacity);
    try {
      while (this.#prepared.length < wanted) {
        const preparation = binding().prepareFile(path, bytes, fileMode, this.#pages, this.#isPressed);
        this.#prepared.push({ capacity, preparation });
      }
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  /** Wanted sooner than its thread would have it, if that spared those who work beside it. */
  get #isPressed(): boolean {
    return this.#fullBytes > this.#fullAfterMs * PRESSED_BYTES_PER_MS;
  }

  get #wanted(): number {
    // More than one thread that makes files in a hurry would take the cpu of those who append and read.
    if (this.#isPressed) return 1;
    return Math.max(1, Math.min(MOST_AHEAD, Math.ceil(AHEAD_MS / this.#fullAfterMs)));
  }

  /**
   * One for a segment of at least this capacity: the first that was prepared and is large enough. The `first` one of all is
   * small, and nobody could know when it would be wanted.
   */
  take(path: string, least: number, first: boolean): SegmentSpace {
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
    for (;;) {
      const prepared = this.#prepared.shift();
      if (prepared === undefined) break;
      if (prepared.capacity < least) {
        binding().dropPreparation(prepared.preparation);
        continue;
      }
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
    for (const { preparation } of this.#prepared.splice(0)) binding().dropPreparation(preparation);
    this.#fullAfterMs = Number.POSITIVE_INFINITY;
  }
}

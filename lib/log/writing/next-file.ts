import { explain, freeBytes, isOutOfSpace, noSpace, segmentBytes } from '../../channel/index.js';
import { binding, type FileHandle, isSystemError, type PreparationHandle } from '../../native.js';
import type { Directory } from '../files/index.js';

export interface SegmentSpace {
  handle: FileHandle;
  capacity: number;
}

/** The file of the next segment: made ahead, beside the appending, or at once where there was no time for that. */
export class NextFile {
  /** How often somebody had to wait for one. */
  stalls = 0;
  readonly #directory: Directory;
  readonly #syncs: boolean;
  #prepared: { capacity: number; preparation: PreparationHandle } | undefined;

  /** `syncs`: it is on the disk before it is used; else its first sync would have all of it to write, zeros as they are. */
  constructor(directory: Directory, syncs: boolean) {
    this.#directory = directory;
    this.#syncs = syncs;
  }

  get isPrepared(): boolean {
    return this.#prepared !== undefined;
  }

  /** Where that can't be begun, one is made when it is wanted. `isPressed`: it is wanted sooner than its thread would have it, if that spared those who work beside it. */
  prepare(capacity: number, isPressed: boolean): void {
    const { path, fileMode } = this.#directory;
    const bytes = segmentBytes(capacity);
    try {
      const preparation = binding().prepareFile(path, bytes, fileMode, this.#syncs, isPressed);
      this.#prepared = { capacity, preparation };
    } catch (error) {
      if (!isSystemError(error)) throw error;
    }
  }

  /** One for a segment of at least this capacity: the one that was prepared, if it is large enough. */
  take(path: string, least: number): SegmentSpace {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    if (prepared !== undefined && prepared.capacity < least) binding().dropPreparation(prepared.preparation);
    else if (prepared !== undefined) {
      const handle = this.#takePrepared(path, prepared.preparation);
      if (handle !== undefined) return { handle, capacity: prepared.capacity };
    }
    this.stalls++;
    return { handle: this.#makeNow(path, segmentBytes(least)), capacity: least };
  }

  #takePrepared(path: string, preparation: PreparationHandle): FileHandle | undefined {
    try {
      const ready = binding().takePrepared(preparation, false);
      if (ready !== undefined) return ready;
      // What is under way is sooner there than what is begun now.
      this.stalls++;
      return binding().takePrepared(preparation, true);
    } catch (error) {
      // There may be room by now; else making one says that there is none.
      if (isOutOfSpace(error)) return undefined;
      throw explain(error, path, 'create');
    }
  }

  #makeNow(path: string, bytes: number): FileHandle {
    const directory = this.#directory;
    try {
      return binding().createFileNow(directory.path, bytes, directory.fileMode);
    } catch (error) {
      if (isOutOfSpace(error)) throw noSpace(path, bytes, freeBytes(directory.path), error);
      throw explain(error, path, 'create');
    }
  }

  drop(): void {
    if (this.#prepared !== undefined) binding().dropPreparation(this.#prepared.preparation);
    this.#prepared = undefined;
  }
}

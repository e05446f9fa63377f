import { binding, type FileHandle } from '../../native.js';

/**
 * Everything that brings stores to a disk goes by way of this one object, so that a simulator of power loss can stand
 * between and know what a disk must hold, and what it may.
 */
export const disk = {
  /**
   * Fills in the checksums of the frames in the file's bytes [start, end); then, where `sync` says so, everything stored
   * in the file before this call reaches its disk. Resolves with where the frames ended: nothing is synced where that
   * is not `end`. Off the event loop.
   */
  flushFrames(
    file: FileHandle,
    start: number,
    end: number,
    stamp: number,
    incarnation: number,
    sync: boolean,
  ): Promise<number> {
    return binding().flushFrames(file, start, end, stamp, incarnation, sync);
  },

  /** The names in a directory reach its disk. */
  syncDirectory(directory: string): Promise<void> {
    return binding().syncDirectory(directory);
  },
};

/** Everything stored in the file before this call reaches its disk. */
export function syncFile(file: FileHandle): Promise<unknown> {
  return disk.flushFrames(file, 0, 0, 0, 0, true);
}

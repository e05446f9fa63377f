import { fileURLToPath } from 'node:url';
import loadBinding from 'node-gyp-build';
import { MillraceError } from './errors.js';

/**
 * The only door to the C++ addon. It has no policy: it opens, allocates, maps, locks and sums, and reports
 * failures as errors with `errno`, `code` (such as 'ENOSPC') and `syscall`; words are made here in TypeScript.
 */
export interface Binding {
  /**
   * Makes a file without a name in `directory`: open file description lock on byte 0, every byte allocated,
   * mapped for reading and writing, every page as `pages` says. Runs on a thread of its own; the event loop is never held.
   */
  createFile(directory: string, bytes: number, permissions: number, pages: Pages): Promise<FileHandle>;
  /** Such a file at once, on this thread: every byte is allocated, but no page is present yet. */
  createFileNow(directory: string, bytes: number, permissions: number): FileHandle;
  /**
   * Begins to make what `createFile` does, on a thread of its own, that no sync of another file holds up. `hurried`:
   * without the pauses that spare those who work beside it.
   */
  prepareFile(
    directory: string,
    bytes: number,
    permissions: number,
    pages: Pages,
    hurried: boolean,
  ): PreparationHandle;
  /**
   * The file, without a turn of the event loop; undefined where it isn't ready yet. With `wait` it blocks this thread
   * until it is. Throws what making it failed with. The preparation is over with the first file or failure that it
   * gave: to take from it once more throws.
   */
  takePrepared(preparation: PreparationHandle, wait: boolean): FileHandle | undefined;
  /**
   * Lets go of what was made, or stops making it at its next step. Twice is harmless, as it is of one that was taken
   * from; what nobody took goes with the thread, too.
   */
  dropPreparation(preparation: PreparationHandle): void;
  /** Opens an existing file, for reading or for reading and writing; neither maps nor locks. */
  openFile(path: string, writable: boolean): FileHandle;
  /** What the kernel says of the open file now. `fileSystem` is statfs's magic. */
  statFile(file: FileHandle): {
    bytes: number;
    device: number;
    inode: number;
    regular: boolean;
    fileSystem: number;
  };
  /** Maps the whole file read-only and lends it as an ArrayBuffer; the same one at each call. */
  mapFile(file: FileHandle): ArrayBuffer;
  /** Makes the first `bytes` of the mapping writable (a multiple of 4096; all of it for a writer). */
  allowWrites(file: FileHandle, bytes: number): void;
  /**
   * Brings every page of the mapping from this byte on into this process's page table, in small steps, off the event
   * loop. None of them has to go to the disk for that: they are `PAGES.CLEAN`.
   */
  populateFile(file: FileHandle, from: number): Promise<void>;
  /** Allocates every byte of the file again (a hole could end a writer by SIGBUS), off the event loop. */
  allocateFile(file: FileHandle): Promise<void>;
  /**
   * Gives back what the whole pages from byte `from` on take up on the disk, in small steps, off the event loop: the
   * file keeps its length and reads as 0 there. For a file that nobody writes behind that byte any more: a store there
   * could end its writer by SIGBUS. EOPNOTSUPP where the file system has no holes.
   */
  punchHole(file: FileHandle, from: number): Promise<void>;
  /** Gives the file a name; fails with EEXIST where one is. */
  linkFile(file: FileHandle, path: string): void;
  /** Tries to take the lock on one byte; false if another open of the file has it. */
  lockByte(file: FileHandle, byte: number): boolean;
  unlockByte(file: FileHandle, byte: number): void;
  /** Whether some other open of this file, in any process or thread, holds the lock on the byte, or on one before `until`. */
  isByteLocked(file: FileHandle, byte: number, until?: number): boolean;
  /**
   * Drops the locks and the descriptor at once and detaches the ArrayBuffer; the pages are unmapped later, in
   * small steps on another thread, when the last job that uses them is done. Twice is harmless.
   */
  closeFile(file: FileHandle): void;
  /** CRC32C (Castagnoli) of bytes[start, end), going on from `crc` (0 to begin). An int32. */
  crc32c(bytes: Uint8Array, start: number, end: number, crc: number): number;
  /**
   * Fills in the checksums of the frames in the file's bytes [start, end), the first of them with this stamp. Returns
   * where they ended: `end`, or what is no frame. For a writer, whose mapping may be written.
   */
  sumFrames(file: FileHandle, start: number, end: number, stamp: number, incarnation: number): number;
  /**
   * How far the `flushFrames` of this file have come, also those that are still at it: the furthest of them, whose
   * stretch has its checksums up to there. 0 before there was one.
   */
  summedTo(file: FileHandle): number;
  /**
   * The same off the event loop, and then, where `sync` says so and the frames ended at `end`, everything in the file is
   * brought to its disk. Before that the pages are let go of whose frames have their checksums by then, as nothing will be
   * stored there any more: so to write them interrupts nobody. Goes on to its end when the file is closed meanwhile.
   */
  flushFrames(
    file: FileHandle,
    start: number,
    end: number,
    stamp: number,
    incarnation: number,
    sync: boolean,
  ): Promise<number>;
  /**
   * Has the kernel begin to write the pages of the file's bytes [start, end) to the disk. That takes some microseconds; it
   * waits only where the disk has more to do than it takes. A hint: a sync of `flushFrames` is then over sooner.
   */
  beginToWrite(file: FileHandle, start: number, end: number): void;
  /**
   * Where the frames in bytes[start, end) end that are whole and right: at `end`, or at the first that isn't; and
   * behind an END or LINK. One without a checksum is right from `strictEnd` on.
   */
  checkFrames(
    bytes: Uint8Array,
    start: number,
    end: number,
    stamp: number,
    incarnation: number,
    strictEnd: number,
  ): number;
  /**
   * Brings the names in a directory to its disk, off the event loop. That it could not even be opened has the syscall
   * 'open'.
   */
  syncDirectory(directory: string): Promise<void>;
  /** Stores 0 wherever something else stands from `start` on, off the event loop; the end of what it cleared. */
  clearRest(file: FileHandle, start: number): Promise<number>;
  /**
   * Joins this process to those whose threads `fenceOthers` makes execute a full fence, somewhere between its begin and
   * its end. Both are false where the system has no such thing.
   */
  joinFences(): boolean;
  fenceOthers(): boolean;
  /**
   * Blocks this thread until someone wakes those who sleep on the word at this offset of the file; not at all where it
   * isn't `expected`, and not longer than this. May end for no reason.
   */
  sleepOn(file: FileHandle, offset: number, expected: number, ms: number): void;
  /** Wakes those who block on the word at this offset and rings for those who listen to the file, as `kinds` says. */
  wake(file: FileHandle, offset: number, kinds: number): void;
  /** Whoever else waits for the cpu of this thread has it first. */
  yieldCpu(): void;
  /**
   * Listens to files for this thread's event loop, which it does not keep alive. `onRing` is called with the
   * watch that was rung for, or -1 for all of them. One a thread is enough, and is never closed.
   */
  openBell(onRing: (watch: number) => void): BellHandle;
  /** Everything that is rung for from here on is told; a number from 1 on, the same for the same file. */
  watchFile(bell: BellHandle, file: FileHandle): number;
  unwatchFile(bell: BellHandle, watch: number): void;
  /** memmove of source[start, end) to target[targetStart…]. */
  copyBytes(target: Uint8Array, targetStart: number, source: Uint8Array, start: number, end: number): void;
}

/** How the pages of a file that is made are readied for what will be stored in them. */
export const PAGES = {
  /** A store finds its page ready. The first sync brings all of them to the disk, zeros as they are. */
  DIRTY: 0,
  /** Only what is stored goes to the disk. The first store to each page costs a fault, unless the file is in RAM. */
  CLEAN: 1,
  /**
   * All are on the disk, zeros as they are: a sync has nothing else to bring there than what was stored, not even the note
   * that these are no zeros any more. None is mapped: the first store to each costs a fault, in RAM, too.
   */
  SYNCED: 2,
} as const;
export type Pages = (typeof PAGES)[keyof typeof PAGES];

/** An open file of the addon: descriptor, locks and mapping. Closed by itself when its thread or process ends. */
export interface FileHandle {
  readonly __millraceFile: never;
}

/** A file that is being made. Dropped by itself when its thread or process ends. */
export interface PreparationHandle {
  readonly __millracePreparation: never;
}

export interface BellHandle {
  readonly __millraceBell: never;
}

/** What the addon throws or rejects with. */
export interface SystemError extends Error {
  errno: number;
  code: string;
  syscall: string;
}

export function isSystemError(error: unknown): error is SystemError {
  // A MillraceError that was made of one carries its facts, and has been put into words already.
  if (error instanceof MillraceError) return false;
  return error instanceof Error && typeof (error as SystemError).syscall === 'string';
}

let loaded: Binding | undefined;

/** Loads the addon at first use, so that importing the package works on any platform. */
export function binding(): Binding {
  loaded ??= load();
  return loaded;
}

function load(): Binding {
  if (process.platform !== 'linux') {
    throw new MillraceError('ERR_PLATFORM', `Millrace works on Linux; this is ${process.platform}`, {
      platform: process.platform,
    });
  }
  if (process.versions.electron !== undefined) {
    throw new MillraceError(
      'ERR_EXTERNAL_BUFFERS',
      'Electron does not let an addon lend it mapped memory; run Millrace in a separate Node.js process',
    );
  }
  // This file is lib/native.ts or dist/native.js: the package's root is one folder up from either.
  const root = fileURLToPath(new URL('..', import.meta.url));
  try {
    return loadBinding(root) as Binding;
  } catch (cause) {
    throw new MillraceError(
      'ERR_NATIVE_BINDING',
      `There is no native addon of Millrace for ${process.platform}-${process.arch} here. Build it with: ${buildingIn(root)}`,
      { cause },
    );
  }
}

/** The package has no binding.gyp, so that no package manager builds it unasked. */
function buildingIn(root: string): string {
  return [
    'npm install --no-save node-addon-api@8',
    `echo '{ "includes": ["native/addon.gypi"] }' > ${root}binding.gyp`,
    `npx node-gyp rebuild -C ${root}`,
  ].join(' && ');
}

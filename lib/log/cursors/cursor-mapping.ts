import { renameSync, rmSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  disk,
  environment,
  explain,
  isInRam,
  type Limits,
  loadAcquire,
  refuseFileSystem,
  storeRelease,
  syncFile,
  type Task,
  waitUntil,
  whereLeads,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { binding, type FileHandle, PAGES } from '../../native.js';
import { CURSORS_REPLACEMENT, keepOwner, openIfThere } from '../files/index.js';
import * as L from './cursor-layout.js';
import { CursorSlots } from './cursor-slots.js';

const PAGE = 4096;
const MOVED = L.MOVED_OFFSET >> 2;

function fileBytes(slots: number): number {
  return L.HEADER_BYTES + slots * L.SLOT_BYTES;
}

/** The file of the cursors in this process's memory. */
export class CursorMapping {
  readonly path: string;
  readonly file: FileHandle;
  readonly slots: CursorSlots;
  /** Whether it may be written here, and has all its place on the disk. */
  writable: boolean;
  /** Whether its name is known to be on the disk. */
  #named = false;
  readonly #bytes: Buffer;
  readonly #words: Int32Array;

  private constructor(path: string, file: FileHandle, slots: number, writable: boolean) {
    const buffer = binding().mapFile(file);
    this.path = path;
    this.file = file;
    this.writable = writable;
    this.#bytes = Buffer.from(buffer);
    // Of a file that was cut off, not even whole words may be left.
    this.#words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
    const there = Math.min(slots, Math.floor((buffer.byteLength - L.HEADER_BYTES) / L.SLOT_BYTES));
    this.slots = new CursorSlots(path, this.#bytes, this.#words, there, slots - there);
  }

  /** Undefined where there is none. */
  static open(path: string, writable: boolean): CursorMapping | undefined {
    const file = openIfThere(path, writable);
    if (file === undefined) return undefined;
    try {
      return new CursorMapping(path, file, checkHeader(path, file), false);
    } catch (error) {
      binding().closeFile(file);
      throw explain(error, path, 'open');
    }
  }

  /**
   * Opens one whose header can't be believed, locked for changes, for another one to take its place: its slots still say
   * whose they are. `aside` is called while it is as it was found. Undefined where its name leads to another one by now.
   */
  static async openDamaged(
    path: string,
    aside: () => Promise<void>,
    task: Task,
    limits: Limits,
  ): Promise<CursorMapping | undefined> {
    let file: FileHandle;
    try {
      file = binding().openFile(path, true);
    } catch (error) {
      throw explain(error, path, 'open');
    }
    try {
      if (!binding().statFile(file).regular) throw notOurs(path);
      await waitUntil(() => binding().lockByte(file, L.CHANGE_BYTE) || undefined, task, limits);
      if (whereLeads({ path, file }) !== 'here') {
        binding().closeFile(file);
        return undefined;
      }
      await aside();
      // Shorter, it could not say that another one has taken its place.
      if (binding().statFile(file).bytes < L.HEADER_BYTES) truncateSync(path, L.HEADER_BYTES);
      const slots = Math.floor((binding().statFile(file).bytes - L.HEADER_BYTES) / L.SLOT_BYTES);
      const mapping = new CursorMapping(path, file, Math.min(slots, L.MOST_SLOTS), false);
      await mapping.allowWrites();
      return mapping;
    } catch (error) {
      binding().closeFile(file);
      throw explain(error, path, 'open');
    }
  }

  /** Undefined where another one was quicker. What is made is locked for changes. */
  static async create(path: string, fileMode: number): Promise<CursorMapping | undefined> {
    const mapping = await CursorMapping.#make(path, L.FIRST_SLOTS, fileMode);
    try {
      // step 100
      // Before it has a name: after a power cut there is no name without a header under it.
      await mapping.#syncFile();
      binding().linkFile(mapping.file, path);
      // step 101
      return mapping;
    } catch (error) {
      mapping.close();
      const explained = explain(error, path, 'create') as MillraceError;
      if (explained.code === 'ERR_EXISTS') return undefined;
      throw explained;
    }
  }

  static async #make(path: string, slots: number, permissions: number): Promise<CursorMapping> {
    const directory = dirname(path);
    // As for a channel: it throws where no file may be mapped.
    isInRam(directory);
    const bytes = fileBytes(slots);
    try {
      const file = await binding().createFile(directory, bytes, permissions, PAGES.DIRTY);
      const made = Buffer.from(binding().mapFile(file));
      writeHeader(made, slots);
      return new CursorMapping(path, file, slots, true);
    } catch (error) {
      throw explain(error, path, 'create', bytes);
    }
  }

  /** From here on all of it may be written; of one that was cut off, its whole pages. */
  async allowWrites(): Promise<void> {
    if (this.writable) return;
    try {
      // Of a copy of the file parts may be holes.
      await binding().allocateFile(this.file);
      binding().allowWrites(this.file, this.#wholePages);
    } catch (error) {
      throw explain(error, this.path, 'write', this.#bytes.length);
    }
    this.writable = true;
  }

  get #wholePages(): number {
    return Math.floor(this.#bytes.length / PAGE) * PAGE;
  }

  /**
   * Puts a file of so many slots in its place, with all that is in this one, and returns it, locked for changes. Whoever
   * calls holds the lock of this one until then.
   */
  async replace(slots: number): Promise<CursorMapping> {
    const { path } = this;
    const waiting = waitingPath(path);
    let larger: CursorMapping | undefined;
    try {
      const before = statSync(path);
      larger = await CursorMapping.#make(path, slots, before.mode & 0o777);
      this.#bytes.copy(larger.#bytes, L.HEADER_BYTES, L.HEADER_BYTES, fileBytes(this.slots.count));
      await larger.#syncFile();
      // Another log's may have its name by now: that is not to be lost for this one.
      if (this.place !== 'here') throw removed(path);
      storeRelease(this.#words, MOVED, L.MOVED);
      // step 106
      rmSync(waiting, { force: true });
      binding().linkFile(larger.file, waiting);
      // As it was, whoever it is that replaces it, and whatever the process's mask.
      if (!keepOwner(waiting, before)) throw keepsOut(path);
      // step 107
      renameSync(waiting, path);
      // step 108
      return larger;
    } catch (error) {
      larger?.close();
      if (this.moved) this.stay();
      throw explain(error, path, 'replace');
    }
  }

  /** Whether it says that there is another file in its place, or will be. */
  get moved(): boolean {
    return loadAcquire(this.#words, MOVED) === L.MOVED;
  }

  /** Whoever was about to replace it is dead, or failed. For the holder of the lock. */
  stay(): void {
    storeRelease(this.#words, MOVED, 0);
    const waiting = waitingPath(this.path);
    try {
      rmSync(waiting, { force: true });
    } catch (error) {
      throw explain(error, waiting, 'remove');
    }
  }

  /** Whether its path leads to this very file, to another one, or to none. */
  get place(): 'here' | 'elsewhere' | 'gone' {
    return whereLeads(this);
  }

  tryLock(): boolean {
    try {
      return binding().lockByte(this.file, L.CHANGE_BYTE);
    } catch (error) {
      throw explain(error, this.path, 'lock');
    }
  }

  unlock(): void {
    binding().unlockByte(this.file, L.CHANGE_BYTE);
  }

  /** Everything stored before this call reaches the disk, and the file's name. */
  async sync(): Promise<void> {
    await this.#syncFile();
    if (!this.#named) await disk.syncDirectory(dirname(this.path));
    this.#named = true;
  }

  async #syncFile(): Promise<void> {
    await syncFile(this.file);
  }

  /** Whether a sync of it failed since this machine was started. */
  get syncFailed(): boolean {
    const boot = environment.bootId();
    // Asked at each change, and hardly ever so.
    if (this.#words[L.SYNC_FAILED_BOOT_OFFSET >> 2] !== boot.readInt32LE(0)) return false;
    return this.#bytes.subarray(L.SYNC_FAILED_BOOT_OFFSET, L.SYNC_FAILED_BOOT_OFFSET + 16).equals(boot);
  }

  noteFailedSync(): void {
    binding().allowWrites(this.file, this.#wholePages);
    environment.bootId().copy(this.#bytes, L.SYNC_FAILED_BOOT_OFFSET);
  }

  close(): void {
    binding().closeFile(this.file);
  }
}

/** The name that a larger file has until it takes the place of the smaller one. */
function waitingPath(path: string): string {
  return join(dirname(path), CURSORS_REPLACEMENT);
}

function writeHeader(bytes: Buffer, slots: number): void {
  bytes.write(L.MAGIC, L.MAGIC_OFFSET, 'latin1');
  bytes.writeUInt32LE(L.FORMAT, L.FORMAT_OFFSET);
  bytes.writeUInt32LE(slots, L.SLOTS_OFFSET);
  bytes.writeUInt32LE(L.SLOT_BYTES, L.SLOT_SIZE_OFFSET);
  bytes.writeInt32LE(headerCrc(bytes), L.HEADER_CRC_OFFSET);
  for (let slot = 0; slot < slots; slot++) {
    bytes.writeInt32LE(L.SLOT_FREE, L.HEADER_BYTES + slot * L.SLOT_BYTES + L.STATE_OFFSET);
  }
}

function headerCrc(bytes: Buffer): number {
  return binding().crc32c(bytes, 0, L.HEADER_CRC_OFFSET, 0);
}

/** Believes nothing in the file before its header held. Returns how many slots it has, or had before it was cut off. */
function checkHeader(path: string, file: FileHandle): number {
  const stat = binding().statFile(file);
  refuseFileSystem(stat.fileSystem, path);
  if (!stat.regular) throw notOurs(path);
  if (stat.bytes < L.HEADER_BYTES) {
    throw new MillraceError('ERR_TRUNCATED', `${path} ends within its header, after ${stat.bytes} bytes`, {
      path,
      size: stat.bytes,
      expected: L.HEADER_BYTES,
    });
  }
  const bytes = Buffer.from(binding().mapFile(file));
  if (bytes.toString('latin1', L.MAGIC_OFFSET, L.MAGIC.length) !== L.MAGIC) throw notOurs(path);
  if (headerCrc(bytes) !== bytes.readInt32LE(L.HEADER_CRC_OFFSET)) throw notOurs(path);
  const format = bytes.readUInt32LE(L.FORMAT_OFFSET);
  const features = bytes.readUInt32LE(L.FEATURES_OFFSET);
  if (format !== L.FORMAT || features !== 0) {
    throw new MillraceError(
      'ERR_FORMAT',
      `${path} has format ${format} with features 0x${features.toString(16)}; this version of Millrace doesn't know that`,
      { path, format, features },
    );
  }
  const slots = bytes.readUInt32LE(L.SLOTS_OFFSET);
  const possible =
    slots >= 1 && slots <= L.MOST_SLOTS && bytes.readUInt32LE(L.SLOT_SIZE_OFFSET) === L.SLOT_BYTES;
  if (!possible || stat.bytes > fileBytes(slots)) throw notOurs(path);
  return slots;
}

export function removed(path: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', `${path} was removed while it was in use: its cursors are gone`, {
    path,
  });
}

function keepsOut(path: string): MillraceError {
  return new MillraceError(
    'ERR_PERMISSION',
    `Can't replace ${path}: not all who may use it could use what this process would put in its place`,
    { path },
  );
}

function notOurs(path: string): MillraceError {
  return new MillraceError('ERR_FORMAT', `${path} is damaged, or no file of cursors`, { path });
}

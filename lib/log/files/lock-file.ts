import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type ChannelInfo,
  environment,
  explain,
  refuseDanglingLink,
  syncFile,
  takeName,
  whereLeads,
} from '../../channel/index.js';
import { closedHandle, MillraceError } from '../../errors.js';
import { binding, type FileHandle } from '../../native.js';
import { Directory, factsIn, LOCK_FILE } from './directory.js';
import { logOfMost, segmentInfo } from './durable.js';
import { openIfThere } from './if-there.js';
import { keepOwner } from './ownership.js';

const MAGIC = Buffer.from('MRLOGDIR', 'latin1');
/** So much of it makes a file a damaged one of these. */
const LEAST_OF_MAGIC = 6;
const FORMAT = 1;
const FILE_BYTES = 4096;

const FORMAT_OFFSET = 8;
const FEATURES_OFFSET = 12;
const ID_OFFSET = 16;
const ID_BYTES = 16;
const CRC_OFFSET = 64;

const FEATURE_SHARED = 1;

/** Whether a file that may be damaged says that it is of a log that several processes append to. */
export function saysShared(file: FileHandle): boolean {
  const { regular, bytes } = binding().statFile(file);
  if (!regular || bytes < ID_OFFSET) return false;
  const content = Buffer.from(new Uint8Array(binding().mapFile(file)));
  // Of what is garbage throughout no word is believed.
  if (MAGIC.filter((byte, i) => content[i] === byte).length < LEAST_OF_MAGIC) return false;
  const shared = (content.readUInt32LE(FEATURES_OFFSET) & FEATURE_SHARED) !== 0;
  content[FEATURES_OFFSET] ^= FEATURE_SHARED;
  // Of a file in which nothing but this bit is damaged the checksum says what it was.
  return hasItsSum(content) ? !shared : shared;
}

function hasItsSum(bytes: Buffer): boolean {
  if (bytes.length < CRC_OFFSET + 4) return false;
  return bytes.readInt32LE(CRC_OFFSET) === binding().crc32c(bytes, 0, CRC_OFFSET, 0);
}

/** Whether a file is refused that is not damaged: a later version of Millrace wrote it, and can read it. */
export function isOfLaterVersion({ code, format }: MillraceError): boolean {
  return code === 'ERR_FORMAT' && format !== undefined;
}

/** Locks on bytes of the file: the one writer's, or that of whoever repairs the log; and that of whose turn it is to append. */
export const WRITER_BYTE = 0;
export const TURN_BYTE = 1;
/** Whoever removes or replaces segments, and whoever compacts. */
export const SEGMENTS_BYTE = 1000;
export const COMPACTION_BYTE = 1001;

export interface LockFacts {
  /** In hexadecimal digits. */
  id: string;
  shared: boolean;
}

/** The file that says whose log it is, and on which its writers hold their locks. */
export class LockFile {
  readonly path: string;
  /** The log's. */
  readonly directory: string;
  readonly id: string;
  readonly shared: boolean;
  readonly file: FileHandle;
  #closed = false;

  private constructor(path: string, file: FileHandle, { id, shared }: LockFacts) {
    this.path = path;
    this.directory = dirname(path);
    this.file = file;
    this.id = id;
    this.shared = shared;
  }

  /** Opens it, or makes it where there is none; of several who do at once, one makes it. */
  static async openOrMake(directory: Directory, shared: boolean): Promise<LockFile> {
    for (;;) {
      const lock = LockFile.open(directory.path, true) ?? (await LockFile.#make(directory, shared));
      if (lock !== undefined) return lock;
      refuseDanglingLink(join(directory.path, LOCK_FILE));
    }
  }

  static open(directory: string, writable: boolean): LockFile | undefined {
    const path = join(directory, LOCK_FILE);
    const file = openIfThere(path, writable);
    if (file === undefined) return undefined;
    try {
      return LockFile.ofFile(path, file);
    } catch (error) {
      binding().closeFile(file);
      throw error;
    }
  }

  /** Of a file that is open already. */
  static ofFile(path: string, file: FileHandle): LockFile {
    try {
      return new LockFile(path, file, read(path, file));
    } catch (error) {
      throw explain(error, path, 'open');
    }
  }

  /** Undefined where another one was quicker. */
  static async #make(directory: Directory, shared: boolean): Promise<LockFile | undefined> {
    const lock = await LockFile.#makeUnnamed(directory, shared);
    try {
      // Before others find it: who joins a shared log would take that for a repair.
      lock.unlock(WRITER_BYTE);
      binding().linkFile(lock.file, lock.path);
      // step 116
      return lock;
    } catch (error) {
      lock.close();
      const explained = explain(error, lock.path, 'create') as MillraceError;
      if (explained.code === 'ERR_EXISTS') return undefined;
      throw explained;
    }
  }

  /** Makes one in the place of one that is damaged, and takes the log for its maker, the turn to append with it. */
  static async replace(directory: Directory, shared: boolean): Promise<LockFile> {
    const lock = await LockFile.#makeUnnamed(directory, shared);
    try {
      lock.tryLock(TURN_BYTE);
      const before = statSync(lock.path);
      takeName(lock.file, lock.path, (waiting) => void keepOwner(waiting, before));
      return lock;
    } catch (error) {
      lock.close();
      throw explain(error, lock.path, 'replace');
    }
  }

  static async #makeUnnamed(directory: Directory, shared: boolean): Promise<LockFile> {
    const path = join(directory.path, LOCK_FILE);
    let file: FileHandle | undefined;
    try {
      // Segments that are there already belong to the log whose file this was.
      const id = logOfMost(directory.segments()) ?? environment.random(ID_BYTES).toString('hex');
      file = binding().createFileNow(directory.path, FILE_BYTES, directory.fileMode);
      const bytes = Buffer.from(binding().mapFile(file));
      MAGIC.copy(bytes);
      bytes.writeUInt32LE(FORMAT, FORMAT_OFFSET);
      bytes.writeUInt32LE(shared ? FEATURE_SHARED : 0, FEATURES_OFFSET);
      bytes.write(id, ID_OFFSET, 'hex');
      bytes.writeInt32LE(binding().crc32c(bytes, 0, CRC_OFFSET, 0), CRC_OFFSET);
      // Before it has a name: after a power cut there is no name without all this under it.
      await syncFile(file);
      // step 130
      return new LockFile(path, file, { id, shared });
    } catch (error) {
      if (file !== undefined) binding().closeFile(file);
      throw explain(error, path, 'create');
    }
  }

  /** Whether a writer lives that has the log for itself. */
  get hasWriter(): boolean {
    return isLocked(this, WRITER_BYTE, WRITER_BYTE + 1);
  }

  /** Takes the log for one writer, for life. */
  lockForWriter(): void {
    // One that a repair has replaced since it was opened keeps nobody away any more.
    if (!this.tryLock(WRITER_BYTE) || whereLeads(this) !== 'here') throw writerActive(this.directory);
  }

  /**
   * Throws where the log's name leads to something else by now, or to nothing: whoever removed it, or put another one in its
   * place, must not find there what is still appended by this lock.
   */
  assertNamed(): void {
    if (this.#closed) throw closedHandle('log', this.directory);
    if (whereLeads(this) === 'here') return;
    throw logIsGone(this.directory, `${LOCK_FILE} is not the same file any more. Nothing more is appended`);
  }

  /** The words behind what never changes; for who opened it writable. */
  words(): Int32Array {
    try {
      binding().allowWrites(this.file, FILE_BYTES);
      return new Int32Array(binding().mapFile(this.file));
    } catch (error) {
      throw explain(error, this.path, 'write');
    }
  }

  /** Takes the lock on a byte, unless somebody else has it. */
  tryLock(byte: number): boolean {
    return tryLock(this, byte);
  }

  unlock(byte: number): void {
    binding().unlockByte(this.file, byte);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    binding().closeFile(this.file);
  }
}

/** The same on one that is only open, whatever is in it. */
export function tryLock({ path, file }: Pick<LockFile, 'path' | 'file'>, byte: number): boolean {
  try {
    return binding().lockByte(file, byte);
  } catch (error) {
    throw explain(error, path, 'lock');
  }
}

/** Whether some other open of it holds the lock on one of the bytes [from, to). */
export function isLocked({ path, file }: Pick<LockFile, 'path' | 'file'>, from: number, to: number): boolean {
  try {
    return binding().isByteLocked(file, from, to);
  } catch (error) {
    throw explain(error, path, 'lock');
  }
}

export function writerActive(path: string): MillraceError {
  const pid = writerPid(path);
  const where = pid === undefined ? 'in this process or another one' : `in process ${pid}`;
  return new MillraceError(
    'ERR_WRITER_ACTIVE',
    `The log ${path} is open to append already, ${where}; readOnly: true reads it`,
    { path, ...(pid !== undefined && { pid }) },
  );
}

/** Of who appends alone, in its own pid namespace, where its segment tells that by now: there may be none yet. */
function writerPid(directory: string): number | undefined {
  let info: ChannelInfo | undefined;
  try {
    const last = new Directory(directory, true).segments().at(-1);
    info = last && segmentInfo(last);
  } catch {
    // What hinders this look is not why it is refused.
    return undefined;
  }
  // Who goes on with it has it locked before it signs: as long as nobody has, or one before this start of the machine.
  const isSigned = info?.status === 'alive' && info.sameBoot && info.writerPid !== 0;
  return isSigned ? info?.writerPid : undefined;
}

function read(path: string, file: FileHandle): LockFacts {
  const stat = binding().statFile(file);
  if (!stat.regular || stat.bytes < CRC_OFFSET + 4) throw notOurs(path);
  const bytes = Buffer.from(binding().mapFile(file));
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC) || !hasItsSum(bytes)) throw notOurs(path);
  const format = bytes.readUInt32LE(FORMAT_OFFSET);
  const features = bytes.readUInt32LE(FEATURES_OFFSET);
  if (format !== FORMAT || (features & ~FEATURE_SHARED) !== 0) {
    throw new MillraceError(
      'ERR_FORMAT',
      `${path} has format ${format} with features 0x${features.toString(16)}; this version of Millrace doesn't know that`,
      { path, format, features },
    );
  }
  if (stat.bytes !== FILE_BYTES) throw notOurs(path);
  const id = bytes.toString('hex', ID_OFFSET, ID_OFFSET + ID_BYTES);
  return { id, shared: (features & FEATURE_SHARED) !== 0 };
}

function notOurs(path: string): MillraceError {
  return new MillraceError('ERR_FORMAT', `${path} is damaged, or not of a log`, { path });
}

/**
 * Throws where there is another log by now, or none, under the path of one that is read. One that was opened without its lock
 * file has another one by now, perhaps, of what its segments say.
 */
export function refuseOtherLog({ path, id }: Pick<Directory, 'path' | 'id'>, ofSegment = id): void {
  const now = logAt(path);
  if (now !== id && now !== ofSegment) throw readNoFurther(path);
}

/** The same for who meets a segment of another log, by its metadata: that may be the one that is there by now. */
export function refuseTakenPlace({ path, id }: Directory, metadata: Record<string, unknown>): void {
  const ofSegment = factsIn(metadata)?.id;
  if (id !== undefined && ofSegment !== undefined && ofSegment !== id && ofSegment === logAt(path)) {
    throw readNoFurther(path);
  }
}

function logAt(path: string): string | undefined {
  const lock = LockFile.open(path, false);
  lock?.close();
  return lock?.id;
}

function readNoFurther(path: string): MillraceError {
  return logIsGone(path, 'it is read no further');
}

function logIsGone(path: string, so: string): MillraceError {
  const what = `The log ${path} was removed, moved or replaced since it was opened here`;
  return new MillraceError('ERR_NOT_FOUND', `${what}: ${so}`, { path });
}

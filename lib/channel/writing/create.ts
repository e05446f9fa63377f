import { createHash } from 'node:crypto';
import { existsSync, renameSync, rmSync, statfsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { MillraceError } from '../../errors.js';
import { binding, type FileHandle, isSystemError, PAGES } from '../../native.js';
import { checkFileMode } from '../../options.js';
import {
  behindLink,
  type Mapped,
  openMapped,
  pagesFor,
  refuseDanglingLink,
  syncFailed,
  viewMapping,
  whereLeads,
} from '../file/index.js';
import * as L from '../layout.js';
import { endedAs } from '../presence/index.js';
import { abandoning, lockWriter, refuseSegment } from '../recovery/index.js';
import {
  absolutePath,
  alreadyThere,
  disk,
  explain,
  inTurns,
  isRam,
  isUnopened,
  refuseFileSystem,
  syncFile,
} from '../runtime/index.js';
import {
  type Base,
  type ChannelOptions,
  chooseChecksums,
  designHeader,
  START_OF_STREAM,
  writeHeader,
} from './design.js';

/** What the kernel is asked for where all of a file is brought to its disk as it is made. */
const SYNCS = new Set(['sync_file_range', 'fdatasync']);

/** Makes the file, complete and with its writer's lock held, and only then gives it its name. */
export async function createChannel(
  givenPath: string,
  options: ChannelOptions,
  base: Base = START_OF_STREAM,
): Promise<Mapped> {
  const path = absolutePath(givenPath);
  const header = designHeader(options, base);
  // Who opens it by its own name is to find the new one, too.
  const name = options.replace === true ? behindLink(path) : path;
  const directory = dirname(name);
  const inRam = isInRam(directory);
  header.checksums = chooseChecksums(options.checksum, header, inRam);
  if (options.replace !== true && existsSync(path)) throw alreadyThere(path);
  const permissions = checkFileMode(options.fileMode ?? 0o600);
  const bytes = header.dataOffset + header.capacity;
  let file: FileHandle;
  try {
    // There is no disk to spare in RAM, and no store costs a fault where all pages stay mapped.
    const pages = inRam ? PAGES.DIRTY : pagesFor(header.sync);
    file = await binding().createFile(directory, bytes, permissions, pages);
  } catch (error) {
    if (isSystemError(error) && SYNCS.has(error.syscall)) throw syncFailed(path, error);
    throw explain(error, path, 'create', bytes);
  }
  try {
    const channel = viewMapping(path, file, binding().mapFile(file), header, true, inRam);
    // step 50
    writeHeader(channel);
    const { kind } = header.sync;
    // Before it has a name: after a power cut there is no name without a header under it.
    if (kind !== L.SYNC_NONE) await syncHeader(file, path);
    // step 51
    if (options.replace === true) await replaceName(file, name);
    else binding().linkFile(file, name);
    // step 52
    if (kind !== L.SYNC_NONE) await syncName(file, name, path);
    return channel;
  } catch (error) {
    binding().closeFile(file);
    throw explain(error, path, 'create');
  }
}

async function syncHeader(file: FileHandle, path: string): Promise<void> {
  try {
    await syncFile(file);
  } catch (error) {
    throw syncFailed(path, error);
  }
}

/** What could not be brought to the disk is not there: so it has no name either. */
async function syncName(file: FileHandle, name: string, path: string): Promise<void> {
  try {
    await disk.syncDirectory(dirname(name));
  } catch (error) {
    // Nobody takes the name from it meanwhile: it holds the writer's lock.
    if (whereLeads({ path: name, file }) === 'here') rmSync(name, { force: true });
    // The directory could not even be opened: that may go well another time.
    throw isUnopened(error) ? error : syncFailed(path, error);
  }
}

/** Throws where no channel may lie. */
export function isInRam(directory: string): boolean {
  try {
    const { type } = statfsSync(directory);
    refuseFileSystem(type, directory);
    return isRam(type);
  } catch (error) {
    throw explain(error, directory, 'create a channel in');
  }
}

/** Takes the name over from a dead or ended channel, in one step; the old one is told first. */
async function replaceName(file: FileHandle, path: string): Promise<void> {
  let old: Mapped;
  try {
    old = openMapped(path, 'write');
  } catch (error) {
    if ((error as MillraceError).code !== 'ERR_NOT_FOUND') throw error;
    if (!linkIfFree(file, path)) await replaceName(file, path);
    return;
  }
  try {
    refuseSegment(old);
    // step 57
    lockWriter(old);
    // step 53
    if (whereLeads(old) === 'here' && endedAs(old) === undefined) {
      binding().allowWrites(old.file, old.bytes.length);
      await inTurns(abandoning(old));
    }
    // Someone else took the name since it was opened, or while that took its time: what has it now may be alive.
    if (whereLeads(old) !== 'here') {
      await replaceName(file, path);
      return;
    }
    // step 54
    takeName(file, path);
  } finally {
    binding().closeFile(old.file);
  }
}

/** False where somebody took the name since it was looked at. */
function linkIfFree(file: FileHandle, path: string): boolean {
  try {
    binding().linkFile(file, path);
    return true;
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'EEXIST') throw error;
    // That would be taken, and not be found, for ever.
    refuseDanglingLink(path);
    return false;
  }
}

/** In bytes. The longest that a file system allows is hardly ever shorter than 143. */
const LONG_NAME = 100;

/** A name beside this one, of its own. One that is long is not made longer still: no file system might allow that. */
function waitingName(path: string): string {
  const name = basename(path);
  const own = Buffer.byteLength(name) <= LONG_NAME ? name : createHash('sha256').update(name).digest('hex');
  return join(dirname(path), `.${own}.replacing`);
}

/** Gives a file the name that another one has, in one step. `prepare` is called with the name that it has before that. */
export function takeName(file: FileHandle, path: string, prepare?: (waiting: string) => void): void {
  // A name that whoever died between these two steps left behind. Nobody else uses it.
  const waiting = waitingName(path);
  rmSync(waiting, { force: true });
  binding().linkFile(file, waiting);
  // step 55
  try {
    prepare?.(waiting);
    renameSync(waiting, path);
  } catch (error) {
    rmSync(waiting, { force: true });
    throw error;
  }
  // step 56
}

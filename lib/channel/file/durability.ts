import { invalidArgument, MillraceError } from '../../errors.js';
import { PAGES, type Pages } from '../../native.js';
import { knownOptions, parseSize, type Size, show, wholeNumber } from '../../options.js';
import * as L from '../layout.js';
import { environment, factsOf, syncFile } from '../runtime/index.js';
import type { Mapped } from './mapped.js';

/**
 * When what is written reaches the disk. `none`: when the kernel likes, or at `flush()`. An interval: so long after it
 * was written at most, or when so much was. `commit`: before `send` resolves.
 */
export type Sync = 'none' | 'commit' | { everyMs?: number | undefined; everyBytes?: Size | undefined };

/** The same as a channel keeps it, 0 for what isn't said: whoever resumes it goes on like that. */
export interface SyncLevel {
  kind: number;
  everyMs: number;
  everyBytes: number;
}

const LONGEST_INTERVAL_MS = 3_600_000;
/** The writer looks whether enough was written each time it publishes its tail, and not at each record. */
const LEAST_INTERVAL_BYTES = 4096;

export function parseSync(sync: Sync | undefined, mode: 'ring' | 'linear'): SyncLevel {
  const level = levelOf(sync ?? 'none');
  if (mode === 'ring' && level.kind !== L.SYNC_NONE) throw ringsDoNotLast('sync');
  return level;
}

function levelOf(sync: Sync): SyncLevel {
  if (sync === 'none') return { kind: L.SYNC_NONE, everyMs: 0, everyBytes: 0 };
  if (sync === 'commit') return { kind: L.SYNC_COMMIT, everyMs: 0, everyBytes: 0 };
  if (typeof sync !== 'object' || sync === null) {
    throw invalidArgument(`sync must be 'none', 'commit' or { everyMs, everyBytes }, not ${show(sync)}`);
  }
  knownOptions('sync', sync, ['everyMs', 'everyBytes']);
  const { everyMs, everyBytes } = sync;
  if (everyMs === undefined && everyBytes === undefined) {
    throw invalidArgument('sync as an interval needs everyMs, everyBytes or both');
  }
  return {
    kind: L.SYNC_INTERVAL,
    everyMs: everyMs === undefined ? 0 : wholeNumber('sync.everyMs', everyMs, 1, LONGEST_INTERVAL_MS),
    everyBytes:
      everyBytes === undefined
        ? 0
        : wholeNumber(
            'sync.everyBytes',
            parseSize('sync.everyBytes', everyBytes),
            LEAST_INTERVAL_BYTES,
            L.MAX_CAPACITY,
          ),
  };
}

/** How the pages of a file are made for who syncs like that. */
export function pagesFor({ kind }: SyncLevel): Pages {
  // No store costs a fault; nearly all will have been written over by the time the kernel brings it to the disk.
  if (kind === L.SYNC_NONE) return PAGES.DIRTY;
  // Somebody waits for each sync: that is to be quick. Else it is what the disk has to take that counts.
  return kind === L.SYNC_COMMIT ? PAGES.SYNCED : PAGES.CLEAN;
}

/** As the user says it. */
export function showSync({ kind, everyMs, everyBytes }: SyncLevel): Sync {
  if (kind === L.SYNC_NONE) return 'none';
  if (kind === L.SYNC_COMMIT) return 'commit';
  return { ...(everyMs > 0 && { everyMs }), ...(everyBytes > 0 && { everyBytes }) };
}

export function ringsDoNotLast(what: string, path?: string): MillraceError {
  return invalidArgument(
    `${what} is not for rings: a ring overwrites itself and is lost with the machine. What must last goes into a log, ` +
      "or into a channel of mode: 'linear'",
    path === undefined ? {} : { path },
  );
}

/**
 * After a failed sync the kernel takes the pages for written. So a later sync on the same start of the machine says
 * nothing, whoever asks for it: this is noted for them all, in the memory that they share.
 */
export function noteFailedSync({ bytes }: Mapped): void {
  environment.bootId().copy(bytes, L.SYNC_FAILED_BOOT_OFFSET);
}

export function refuseFailedSync({ path, bytes }: Mapped): void {
  const noted = bytes.subarray(L.SYNC_FAILED_BOOT_OFFSET, L.SYNC_FAILED_BOOT_OFFSET + 16);
  if (!noted.equals(environment.bootId())) return;
  throw new MillraceError(
    'ERR_SYNC_FAILED',
    `Syncing ${path} failed since this machine was started: what of it is on its disk can't be told before the next start. ` +
      'It can be read, and gone on with after that',
    { path },
  );
}

/** Everything stored in the channel before this call reaches its disk; or that failed, for everybody. */
export async function syncChannel(channel: Mapped): Promise<void> {
  try {
    await syncFile(channel.file);
  } catch (error) {
    noteFailedSync(channel);
    throw syncFailed(channel.path, error);
  }
}

export function syncFailed(path: string, cause: unknown): MillraceError {
  return new MillraceError(
    'ERR_SYNC_FAILED',
    `What was written to ${path} may not be on its disk: syncing it failed, and what the kernel then holds can't be ` +
      'trusted. Nothing more is written; its records up to durablePosition are safe',
    factsOf(cause, path),
  );
}

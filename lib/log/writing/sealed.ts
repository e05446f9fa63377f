import {
  disk,
  explain,
  isUnopened,
  type SegmentWriter,
  syncFailed,
  syncSealed,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type Directory, type LockFile, lastSynced } from '../files/index.js';

/** Tells whether the names of a log's files are still its own. */
type Naming = Pick<LockFile, 'assertNamed'>;

/** A segment that this writer sealed, and that may not be on the disk. */
class SealedSegment {
  readonly sequence: number;
  readonly base: number;
  /** Of it, that may not be on the disk. */
  bytes: number;
  /** Whether it was let go, and is not known to be on the disk by that. */
  isLeft = false;
  /** Resolves once it is let go, however that went: whoever waits for it to be on the disk hears of a failure. */
  readonly settled: Promise<void>;
  readonly #path: string;
  readonly #naming: Naming;
  #failure: unknown;
  #synced: Promise<void> | undefined;

  constructor(
    sequence: number,
    segment: SegmentWriter,
    naming: Naming,
    settling: Promise<void>,
    syncs: boolean,
  ) {
    this.sequence = sequence;
    this.base = segment.baseRecord;
    this.bytes = segment.position - segment.durablePosition;
    this.#path = segment.path;
    this.#naming = naming;
    this.settled = this.#settle(settling, syncs);
  }

  async #settle(settling: Promise<void>, syncs: boolean): Promise<void> {
    try {
      await settling;
      // step 115
      if (syncs) this.bytes = 0;
      else this.isLeft = true;
    } catch (error) {
      this.#failure = error;
      this.isLeft = isUnopened(error);
    }
  }

  /** Once for all, unless there was no file to be had for it. */
  synced(): Promise<void> {
    this.#synced ??= this.#sync().catch((error) => {
      if (isUnopened(error)) this.#synced = undefined;
      throw error;
    });
    return this.#synced;
  }

  async #sync(): Promise<void> {
    await this.settled;
    // After a failed sync the kernel takes the pages for written, and a second one would say nothing.
    if (this.#failure !== undefined && !this.isLeft) throw this.#failure;
    // step 124
    if (this.isLeft) await syncByName(this.#path, this.#naming);
  }
}

/** More are not kept open until they are settled: whoever appends without a turn of the event loop leaves no time for that. */
const MOST_OPEN = 64;
const NONE = -1;

/**
 * The segments that were sealed, until they are known to be on the disk: one after the other, the oldest first. Where nobody
 * asks for that they are not kept in mind one by one: the directory tells which there are, however long the log grows.
 */
export class Sealed {
  readonly #directory: Directory;
  readonly #naming: Naming;
  /** Whether they are synced as they are sealed; else only where somebody asks for it. */
  readonly #syncs: boolean;
  /** The first offset of the last one that is left to the directory to tell, with all before it. */
  #listedUpTo: number;
  #listedBytes = 0;
  /** Those are being brought to the disk, or are there. */
  #listed: Promise<void> | undefined;
  /** All that came after. */
  #segments: SealedSegment[] = [];
  #sequence = 0;
  #open = 0;
  /** Of those who wait for some of them to be on the disk. */
  readonly #reaching = new Set<Promise<void>>();
  /** Gives back the space of those that were let go unsettled, one after the other. */
  #givingBack = Promise.resolve();

  /** `earlierUpTo`: the first offset of the last one that earlier writers sealed, who may not have brought them to the disk. */
  constructor(directory: Directory, naming: Naming, syncs: boolean, earlierUpTo = NONE) {
    this.#directory = directory;
    this.#naming = naming;
    this.#syncs = syncs;
    this.#listedUpTo = earlierUpTo;
  }

  /** Bytes of those that this writer sealed that may not be on the disk. */
  get unsyncedBytes(): number {
    let bytes = this.#listedBytes;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  /** Takes over a segment that was just sealed. */
  add(segment: SegmentWriter): void {
    // The name of an empty one is that of the next by now: it would not be found again by that.
    const isKept = this.#open < MOST_OPEN || segment.isNeeded || segment.position === 0;
    const settling = isKept ? this.#settle(segment) : this.#letGo(segment);
    const syncs = isKept && this.#syncs;
    const sealed = new SealedSegment(++this.#sequence, segment, this.#naming, settling, syncs);
    this.#segments.push(sealed);
    if (!this.#syncs) void sealed.settled.then(() => this.#leave());
  }

  async #settle(segment: SegmentWriter): Promise<void> {
    this.#open++;
    try {
      await segment.settle(this.#syncs);
    } finally {
      this.#open--;
    }
  }

  #letGo(segment: SegmentWriter): Promise<void> {
    const giveBack = segment.letGo();
    const given = this.#givingBack.then(giveBack);
    this.#givingBack = given.catch(() => {});
    return given;
  }

  /** Leaves those to the directory that were let go, unless somebody waits for them. */
  #leave(): void {
    if (this.#reaching.size > 0) return;
    const kept = this.#segments.findIndex(({ isLeft }) => !isLeft);
    const left = this.#segments.splice(0, kept < 0 ? this.#segments.length : kept);
    if (left.length === 0) return;
    for (const { bytes } of left) this.#listedBytes += bytes;
    this.#listedUpTo = left[left.length - 1].base;
    this.#listed = undefined;
  }

  /** What brings all that is sealed by now to the disk, or waits for that. */
  upToNow(): () => Promise<void> {
    const sequence = this.#sequence;
    return async () => {
      const reaching = this.#reach(sequence);
      this.#reaching.add(reaching);
      try {
        await reaching;
      } finally {
        this.#reaching.delete(reaching);
        if (!this.#syncs) this.#leave();
      }
    };
  }

  async #reach(sequence: number): Promise<void> {
    await this.#listedSynced();
    for (;;) {
      const [first] = this.#segments;
      if (first === undefined || first.sequence > sequence) return;
      await first.synced();
      if (this.#segments[0] === first) this.#segments.shift();
    }
  }

  #listedSynced(): Promise<void> {
    this.#listed ??= this.#syncListed().catch((error) => {
      if (isUnopened(error)) this.#listed = undefined;
      throw error;
    });
    return this.#listed;
  }

  async #syncListed(): Promise<void> {
    if (this.#listedUpTo === NONE) return;
    const segments = this.#directory.segments().filter(({ base }) => base <= this.#listedUpTo);
    // It says that all before it is on the disk, and how much of itself; not that this goes for its end.
    const from = lastSynced(segments)?.index ?? 0;
    await this.#syncNames();
    for (const { path } of segments.slice(from)) {
      // step 125
      await syncByName(path, this.#naming);
    }
    // Also where none of those names was there.
    this.#naming.assertNamed();
    this.#listedBytes = 0;
  }

  /** Somebody waits for the disk: that it failed is said as of any other sync, unless it may go well another time. */
  async #syncNames(): Promise<void> {
    const { path } = this.#directory;
    try {
      await disk.syncDirectory(path);
    } catch (error) {
      throw isUnopened(error) ? explain(error, path, 'sync') : syncFailed(path, error);
    }
  }

  /** Resolves once all are let go, and nobody waits for one of them any more. */
  async settled(): Promise<void> {
    await Promise.all(this.#segments.map(({ settled }) => settled));
    await Promise.allSettled(this.#reaching);
  }
}

/** Has a segment on the disk, and saying so. */
export async function syncUnlessGone(path: string): Promise<void> {
  try {
    await syncSealed(path);
  } catch (error) {
    const code = error instanceof MillraceError ? error.code : undefined;
    // Removed meanwhile: nobody misses it. Damaged: who reads it is told.
    if (code !== 'ERR_NOT_FOUND' && code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED') throw error;
  }
}

/**
 * The same with what was let go: its name leads there as long as the log's own does. Else another log's segment would be said
 * to be on the disk, or one that was moved away and isn't.
 */
async function syncByName(path: string, naming: Naming): Promise<void> {
  naming.assertNamed();
  await syncUnlessGone(path);
  naming.assertNamed();
}

import { disk, type SegmentWriter, syncSealed } from '../channel/index.js';
import { MillraceError } from '../errors.js';
import type { Directory, SegmentFile } from './directory.js';
import { lastSynced } from './durable.js';

/** A sealed segment that may not be on the disk. */
class SealedSegment {
  readonly sequence: number;
  /** Of it, that may not be on the disk. */
  bytes: number;
  readonly #path: string;
  /** Resolves once it is let go. */
  readonly #settled: Promise<void>;
  readonly #isSyncedBySettling: boolean;
  #synced: Promise<void> | undefined;

  constructor(sequence: number, segment: SegmentWriter, settled: Promise<void>, syncs: boolean) {
    this.sequence = sequence;
    this.bytes = segment.position - segment.durablePosition;
    this.#path = segment.path;
    this.#settled = settled;
    this.#isSyncedBySettling = syncs;
    // Whoever waits for it hears of its failure.
    this.#forgetBytes().catch(() => {});
  }

  async #forgetBytes(): Promise<void> {
    await this.#settled;
    // step 115
    if (this.#isSyncedBySettling) this.bytes = 0;
  }

  /** Once for all: after a failed sync the kernel takes the pages for written, and a second one would say nothing. */
  synced(): Promise<void> {
    this.#synced ??= this.#sync();
    return this.#synced;
  }

  async #sync(): Promise<void> {
    await this.#settled;
    // step 124
    if (!this.#isSyncedBySettling) await syncUnlessGone(this.#path);
  }

  /** Resolves once it is let go, however that went. */
  async settled(): Promise<void> {
    await this.#settled.catch(() => {});
  }
}

/** More are not kept open until they are settled: whoever appends without a turn of the event loop leaves no time for that. */
const MOST_OPEN = 64;

/** The segments that were sealed, until they are known to be on the disk: one after the other, the oldest first. */
export class Sealed {
  readonly #directory: Directory;
  /** Whether they are synced as they are sealed; else only where somebody asks for it. */
  readonly #syncs: boolean;
  /** What earlier writers sealed. */
  readonly #earlier: readonly SegmentFile[];
  #earlierSynced: Promise<void> | undefined;
  #segments: SealedSegment[] = [];
  #sequence = 0;
  #open = 0;
  /** Gives back the space of those that were let go unsettled, one after the other. */
  #givingBack = Promise.resolve();

  /** `earlier`: segments that were sealed by earlier writers, who may not have brought them to the disk. */
  constructor(directory: Directory, syncs: boolean, earlier: readonly SegmentFile[]) {
    this.#directory = directory;
    this.#syncs = syncs;
    this.#earlier = earlier;
  }

  /** Bytes of those that this writer sealed that may not be on the disk. */
  get unsyncedBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  /** Takes over a segment that was just sealed. */
  add(segment: SegmentWriter): void {
    const isKept = this.#open < MOST_OPEN || segment.isNeeded;
    const settled = isKept ? this.#settle(segment) : this.#letGo(segment);
    this.#segments.push(new SealedSegment(++this.#sequence, segment, settled, isKept && this.#syncs));
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
    this.#givingBack = this.#givingBack.then(giveBack);
    return this.#givingBack;
  }

  /** What brings all that is sealed by now to the disk, or waits for that. */
  upToNow(): () => Promise<void> {
    const sequence = this.#sequence;
    return () => this.#reach(sequence);
  }

  async #reach(sequence: number): Promise<void> {
    this.#earlierSynced ??= this.#syncEarlier();
    await this.#earlierSynced;
    for (;;) {
      const [first] = this.#segments;
      if (first === undefined || first.sequence > sequence) return;
      await first.synced();
      if (this.#segments[0] === first) this.#segments.shift();
    }
  }

  async #syncEarlier(): Promise<void> {
    const segments = this.#earlier;
    if (segments.length === 0) return;
    // It says that all before it is on the disk, and how much of itself; not that this goes for its end.
    const from = lastSynced(segments)?.index ?? 0;
    await disk.syncDirectory(this.#directory.path);
    for (const { path } of segments.slice(from)) {
      // step 125
      await syncUnlessGone(path);
    }
  }

  /** Resolves once all are let go. */
  async settled(): Promise<void> {
    await Promise.all(this.#segments.map((segment) => segment.settled()));
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

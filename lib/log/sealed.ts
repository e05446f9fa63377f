import { disk, type SegmentWriter } from '../channel/index.js';

/** A sealed segment that may not be on the disk. */
class SealedSegment {
  readonly sequence: number;
  /** Of it, that may not be on the disk. */
  bytes: number;
  readonly #path: string;
  /** Resolves once it is let go; undefined where an earlier writer did that. */
  readonly #settled: Promise<void> | undefined;
  readonly #isSyncedBySettling: boolean;
  #synced: Promise<void> | undefined;

  constructor(
    sequence: number,
    path: string,
    bytes: number,
    settled?: Promise<void>,
    isSyncedBySettling = false,
  ) {
    this.sequence = sequence;
    this.bytes = bytes;
    this.#path = path;
    this.#settled = settled;
    this.#isSyncedBySettling = isSyncedBySettling;
    if (isSyncedBySettling) this.#forgetBytes();
  }

  async #forgetBytes(): Promise<void> {
    try {
      await this.#settled;
      this.bytes = 0;
    } catch {
      // They stay as they are; who waits for it hears of it.
    }
  }

  /** Once for all: after a failed sync the kernel takes the pages for written, and a second one would say nothing. */
  synced(): Promise<void> {
    this.#synced ??= this.#sync();
    return this.#synced;
  }

  async #sync(): Promise<void> {
    await this.#settled;
    if (this.#isSyncedBySettling) return;
    try {
      await disk.syncFile(this.#path);
    } catch (error) {
      // Removed meanwhile: nobody misses it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Resolves once it is let go, however that went. */
  async settled(): Promise<void> {
    await this.#settled?.catch(() => {});
  }
}

/** The segments that were sealed, until they are known to be on the disk. */
export class Sealed {
  /** Whether they are synced as they are sealed; else only where somebody asks for it. */
  readonly #syncs: boolean;
  #segments: SealedSegment[] = [];
  #sequence = 0;

  constructor(syncs: boolean) {
    this.#syncs = syncs;
  }

  /** Bytes of them that may not be on the disk. */
  get unsyncedBytes(): number {
    let bytes = 0;
    for (const segment of this.#segments) bytes += segment.bytes;
    return bytes;
  }

  /** Takes over a segment that was just sealed; returns what brings all sealed so far to the disk, or waits for that. */
  add(segment: SegmentWriter): () => Promise<void> {
    const settled = segment.settle(this.#syncs);
    // Whoever waits for it hears of its failure.
    settled.catch(() => {});
    const bytes = segment.position - segment.durablePosition;
    return this.#add(new SealedSegment(++this.#sequence, segment.path, bytes, settled, this.#syncs));
  }

  /** One that was sealed by an earlier writer, who may not have brought it to the disk. */
  addUnsynced(path: string): () => Promise<void> {
    return this.#add(new SealedSegment(++this.#sequence, path, 0));
  }

  #add(segment: SealedSegment): () => Promise<void> {
    this.#segments.push(segment);
    return () => this.#syncedUpTo(segment.sequence);
  }

  async #syncedUpTo(sequence: number): Promise<void> {
    await Promise.all(
      this.#segments.filter((segment) => segment.sequence <= sequence).map((segment) => segment.synced()),
    );
    this.#segments = this.#segments.filter((segment) => segment.sequence > sequence);
  }

  /** Resolves once all are let go. */
  async settled(): Promise<void> {
    await Promise.all(this.#segments.map((segment) => segment.settled()));
  }
}

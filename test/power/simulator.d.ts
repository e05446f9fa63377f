/** 'random' most of the time; the others are its extremes. */
export type ImageMode =
  | 'random'
  | 'nothing but what is promised'
  | 'everything up to now'
  | 'as of one moment'
  | 'all but one page'
  | 'one page alone';

export interface BegunSync {
  /** It has ended well: from here on what it covers is on the disk. One that fails is never said to be done. */
  done(): void;
}

/**
 * What the disk under one directory, its folders too, must hold after a power cut, and what it may. It learns of stores by looking, and of
 * syncs by being told.
 */
export class Disk {
  /** What is there now, is on the disk. */
  constructor(directory: string);
  /** Records what every file and every name is now: a power cut may leave any page as it was at any look. */
  look(): number;
  /**
   * A sync of the file begins, with or without a name. Undefined for a file of elsewhere. `stores`: the bytes that it
   * stores itself before it syncs, where nobody else stores anything.
   */
  beginFileSync(inode: number, stores?: { start: number; end: number }): BegunSync | undefined;
  /** A sync of the names begins, in the directory or one of its folders. Undefined for another directory. */
  beginNameSync(directory: string): BegunSync | undefined;
  /**
   * Writes one of the things that a power cut now may leave into another directory; `random(n)` gives 0 to n - 1.
   * Returns how it was drawn.
   */
  image(random: (below: number) => number, target: string, mode?: ImageMode): ImageMode;
  /** Lets go of the files. */
  close(): void;
}

/**
 * Lets the simulator know of every sync that goes by way of `disk`, the object of lib/channel/runtime/disk.ts. `pass` is asked
 * before a sync has ended for whoever waits: it may take its time, in which nothing is promised yet; if it throws, the
 * sync has failed. Returns what undoes it.
 */
export function watchSyncs(disk: object, simulator: Disk, pass?: (method: string) => unknown): () => void;

import { binding } from '../../native.js';
import { type Mapped, openMapped, whereLeads } from '../file/index.js';
import { explain } from '../runtime/index.js';
import { asOfSegment } from './segment-words.js';

interface Kept {
  readonly channel: Mapped;
  users: number;
  /** Nobody gets it any more: it is closed by the last who uses it. */
  forgotten: boolean;
}

/**
 * Keeps segments mapped that were read of late, for who comes back to them: to map a file makes V8 collect garbage, and
 * takes longer than to read a record of it. Those that nobody reads go, the longest unused first, when there are too
 * many.
 */
export class SegmentMappings {
  readonly #readOnly: boolean;
  readonly #most: number;
  /** By path; the last one used is the last one here. */
  readonly #kept = new Map<string, Kept>();
  readonly #used = new Map<Mapped, Kept>();

  /** `readOnly`: nothing at all may be changed in the files, so nobody can ring for who sleeps there. */
  constructor(readOnly: boolean, most: number) {
    this.#readOnly = readOnly;
    this.#most = most;
  }

  take(path: string): Mapped {
    let kept = this.#kept.get(path);
    if (kept !== undefined && whereLeads(kept.channel) !== 'here') {
      this.#forget(kept);
      kept = undefined;
    }
    kept ??= { channel: mapSegment(path, this.#readOnly), users: 0, forgotten: false };
    kept.users++;
    this.#kept.delete(path);
    this.#kept.set(path, kept);
    this.#used.set(kept.channel, kept);
    this.#shrink();
    return kept.channel;
  }

  give(channel: Mapped): void {
    const kept = this.#used.get(channel) as Kept;
    kept.users--;
    if (kept.users > 0) return;
    this.#used.delete(channel);
    if (kept.forgotten) binding().closeFile(channel.file);
  }

  /** The same for one that was read to its end: whoever reads on will not come back to it. */
  pass(channel: Mapped): void {
    const kept = this.#used.get(channel) as Kept;
    if (kept.users === 1 && !kept.forgotten) this.#forget(kept);
    this.give(channel);
  }

  /** Lets go of those that have been removed or replaced: as long as they are mapped, they take their space. */
  sweep(): void {
    for (const kept of this.#kept.values()) if (isGone(kept.channel)) this.#forget(kept);
  }

  #shrink(): void {
    for (const kept of this.#kept.values()) {
      if (this.#kept.size <= this.#most) return;
      if (kept.users === 0) this.#forget(kept);
    }
  }

  #forget(kept: Kept): void {
    kept.forgotten = true;
    this.#kept.delete(kept.channel.path);
    if (kept.users === 0) binding().closeFile(kept.channel.file);
  }

  /** Those in use are closed by the last who uses them. */
  close(): void {
    for (const kept of this.#kept.values()) this.#forget(kept);
  }
}

/** Opens a segment to read it; where it may be written, so may its header be, for whoever sleeps, but no record. */
export function mapSegment(path: string, readOnly: boolean): Mapped {
  const channel = openSegment(path, readOnly);
  try {
    if (channel.writable) binding().allowWrites(channel.file, channel.header.dataOffset);
    return channel;
  } catch (error) {
    binding().closeFile(channel.file);
    throw explain(error, path, 'open');
  }
}

function openSegment(path: string, readOnly: boolean): Mapped {
  try {
    return openMapped(path, readOnly ? 'read' : 'write if allowed');
  } catch (error) {
    throw asOfSegment(error, path);
  }
}

/** Whether another file has its name by now, or none. Not where that can't be looked at: what hinders it says nothing of the file. */
export function isGone(channel: Mapped): boolean {
  try {
    return whereLeads(channel) !== 'here';
  } catch {
    return false;
  }
}

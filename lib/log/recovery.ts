import { basename } from 'node:path';
import { type Link, SegmentReader, SegmentWriter } from '../channel/index.js';
import { MillraceError } from '../errors.js';
import { Directory, factsOf, type SegmentFile } from './directory.js';
import type { LogEnd } from './log-writer.js';
import { Sealed } from './sealed.js';
import { type SetAside, setAside } from './set-aside.js';

/** What opening a log found of the writer before, and did about it. */
export interface LogRecovery {
  /** What had died without closing the log: its writer's process, which loses nothing, or the whole machine. */
  after: 'close' | 'process' | 'machine';
  /** Bytes that had not reached the disk whole before the machine went down, and are gone. */
  dropped: number;
  /** What did not belong to the log. */
  setAside: SetAside[];
}

export interface RecoveredLog {
  end: LogEnd;
  sealed: Sealed;
  recovery: LogRecovery;
}

/** Makes a log that can be appended to of what the last writer left. Whoever calls it holds the log's lock. */
export async function recoverLog(directory: Directory, syncs: boolean): Promise<RecoveredLog> {
  const recovering = new Recovering(directory, syncs);
  return recovering.run();
}

class Recovering {
  readonly #directory: Directory;
  readonly #sealed: Sealed;
  readonly #recovery: LogRecovery = { after: 'close', dropped: 0, setAside: [] };

  constructor(directory: Directory, syncs: boolean) {
    this.#directory = directory;
    this.#sealed = new Sealed(syncs);
  }

  async run(): Promise<RecoveredLog> {
    for (const name of this.#directory.foreign()) {
      const reason = Directory.isReplacement(name) ? 'it was never finished' : 'it is not a file of a log';
      this.#setAside(name, reason);
    }
    const end = await this.#recoverEnd();
    return { end, sealed: this.#sealed, recovery: this.#recovery };
  }

  #setAside(name: string, reason: string): void {
    this.#recovery.setAside.push(setAside(this.#directory, name, reason));
  }

  async #recoverEnd(): Promise<LogEnd> {
    for (;;) {
      const segments = this.#directory.segments();
      const last = segments.at(-1);
      if (last === undefined) return { next: 0, maxTimeUs: 0, segment: undefined };
      if (!this.#isReadable(last)) continue;
      const before = segments.at(-2);
      const end = before === undefined ? undefined : await this.#finishRoll(before, last);
      if (end !== undefined) return end;
      return this.#resume(last, before);
    }
  }

  /** A segment whose header never reached the disk is set aside: nothing in it was ever said to be durable. */
  #isReadable(last: SegmentFile): boolean {
    try {
      const reader = SegmentReader.openNow(last.path, { readOnly: true });
      try {
        factsOf(reader.metadata, last.path);
      } finally {
        reader.close();
      }
      return true;
    } catch (error) {
      const { code, message } = error as MillraceError;
      if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED') throw error;
      this.#setAside(basename(last.path), `its header can't be read: ${message}`);
      return false;
    }
  }

  /**
   * Between the moment a new segment has its name and that in which the one before it says so, a writer may die. Returns
   * the log's end where it is in that one.
   */
  async #finishRoll(before: SegmentFile, last: SegmentFile): Promise<LogEnd | undefined> {
    const resumed = await resumeUnlessSealed(before.path, () => Promise.resolve());
    if (resumed === undefined) return undefined;
    const { segment, recovery, maxTimeUs } = resumed;
    const next = nextOf(segment, before.base);
    if (next === last.base) {
      const successor = SegmentReader.openNow(last.path, { readOnly: true });
      const { incarnation } = successor;
      successor.close();
      segment.seal({ position: 0, record: next, incarnation });
      this.#sealed.add(segment);
      return undefined;
    }
    // What had not reached the disk there is gone: so what follows it here has nothing to follow.
    this.#note(recovery);
    this.#setAside(basename(last.path), `it begins with record ${last.base}, and the log ends at ${next}`);
    return { next, maxTimeUs, segment };
  }

  async #resume(last: SegmentFile, before: SegmentFile | undefined): Promise<LogEnd> {
    const earlier = before === undefined ? [] : [before];
    const syncEarlier = earlier.map(({ path }) => this.#sealed.addUnsynced(path));
    const resumed = await resumeUnlessSealed(last.path, async () => {
      await Promise.all(syncEarlier.map((sync) => sync()));
    });
    if (resumed === undefined) return this.#endOfSealed(last);
    const { segment, recovery, maxTimeUs } = resumed;
    this.#note(recovery);
    const facts = factsOf(segment.metadata, last.path);
    return { next: nextOf(segment, last.base), maxTimeUs: Math.max(maxTimeUs, facts.maxTimeUs), segment };
  }

  #note({ after, dropped }: { after: 'process' | 'machine'; dropped: number }): void {
    this.#recovery.after = after;
    this.#recovery.dropped += dropped;
  }

  /** The segment that followed it is not there any more. */
  #endOfSealed(last: SegmentFile): LogEnd {
    const reader = SegmentReader.openNow(last.path, { readOnly: true });
    try {
      const link = linkOf(reader);
      const facts = factsOf(reader.metadata, last.path);
      let maxTimeUs = facts.maxTimeUs;
      for (const { timestamp } of reader.backwards()) {
        maxTimeUs = Math.max(maxTimeUs, timestamp as number);
        break;
      }
      const next = link?.record ?? (reader.tagBefore(reader.position) ?? last.base - 1) + 1;
      return { next, maxTimeUs, segment: undefined };
    } finally {
      reader.close();
    }
  }
}

function linkOf(reader: SegmentReader): Link | undefined {
  reader.seekLatest();
  return reader.hasEnded() ? reader.link() : undefined;
}

/** Undefined where its writer sealed it. */
async function resumeUnlessSealed(path: string, before: () => Promise<void>) {
  try {
    return await SegmentWriter.resume(path, before);
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'ERR_ENDED') return undefined;
    throw error;
  }
}

function nextOf(segment: SegmentWriter, base: number): number {
  return (segment.tagBefore(segment.position) ?? base - 1) + 1;
}

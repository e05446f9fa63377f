import { unlink } from 'node:fs/promises';
import { danglingLinkAt, environment, explain, SegmentReader, turn } from '../../channel/index.js';
import type { MillraceError } from '../../errors.js';
import type { CursorEntry, CursorFile } from '../cursors/index.js';
import {
  diskBytes,
  isBroken,
  isPassedOver,
  isStray,
  type SegmentFile,
  syncNames,
  walkFrames,
} from '../files/index.js';
import type { RetentionSettings } from '../options.js';
import { type TidiedLog, Tidying } from './tidying.js';

const FILES_A_TURN = 256;

interface Held extends SegmentFile {
  /** What its file takes of the disk. */
  bytes: number;
}

/** What whoever retains records has to know of the log. */
export interface RetainedLog extends TidiedLog {
  cursors: CursorFile;
  /** Resolves once the segments that were sealed have given back what they don't use. */
  settled(): Promise<void>;
}

/**
 * Removes what a log need not keep any more: whole segments, the oldest first and one by one, never the last. Whoever
 * dies on the way leaves a log that begins later. Who has a removed segment open reads it to its end.
 */
export class Retention {
  readonly #settings: RetentionSettings;
  readonly #log: RetainedLog;
  readonly #tidying: Tidying;
  /** The largest timestamps of segments that had to be looked through. */
  readonly #newest = new Map<number, number>();
  /** Whether what was removed is known to be gone on the disk, too: whoever removed something before may have died. */
  #isSynced = false;

  constructor(settings: RetentionSettings, log: RetainedLog) {
    this.#settings = settings;
    this.#log = log;
    this.#tidying = new Tidying(log);
  }

  get keepsAll(): boolean {
    const { bytes, ageMs, segments } = this.#settings;
    return Math.min(bytes, ageMs, segments) === Number.POSITIVE_INFINITY;
  }

  /**
   * Resolves once all is gone that is to go; aborted: with the next segment that is, or a log whose appenders never have it
   * open for long would grow for ever. Never two at once.
   */
  async apply(signal: AbortSignal): Promise<void> {
    if (this.keepsAll) return;
    await this.#log.settled();
    const segments = await this.#measure();
    let bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    let removed = 0;
    const withoutRoom: Held[] = [];
    const setAside = (index: number) => {
      const [stray] = segments.splice(index, 1);
      bytes -= stray.bytes;
      try {
        this.#tidying.setAside(stray);
      } catch (error) {
        // What is removed makes the room that its note lacks.
        if ((error as MillraceError).code !== 'ERR_NO_SPACE') throw error;
        withoutRoom.push(stray);
      }
    };
    try {
      while (removed < segments.length - 1 && !(signal.aborted && removed > 0)) {
        // As long as it counts, this one would end where that begins.
        const next = segments[removed + 1];
        if (isStray(next) && isPassedOver(next, [segments[removed]])) {
          setAside(removed + 1);
          continue;
        }
        const isTooMuch = bytes > this.#settings.bytes || segments.length - removed > this.#settings.segments;
        if (!isTooMuch && !(await this.#isOld(segments, removed))) break;
        // Before the cursors are looked at: one may be made, or moved back, meanwhile.
        if (!this.#isSynced) await this.#sync();
        if (this.#isKeptUnread(next.base, bytes)) break;
        if (isStray(segments[removed])) {
          setAside(removed);
          continue;
        }
        await this.#remove(segments[removed]);
        bytes -= segments[removed].bytes;
        removed++;
        await this.#sync();
        // step 142
      }
      // Once there is room: where no segment is left that goes on past it, it stands in the place of the first one.
      for (const stray of withoutRoom) this.#tidying.setAside(stray);
    } finally {
      if (removed > 0) {
        this.#log.directory.mappings.sweep();
        this.#tellOverrun(segments[0].base, segments[removed].base);
      }
    }
  }

  /** Before the next one goes: a power cut may undo the removal of one, and then must undo that of all behind it. */
  async #sync(): Promise<void> {
    await syncNames(this.#log.directory.path);
    this.#isSynced = true;
  }

  async #measure(): Promise<Held[]> {
    const held: Held[] = [];
    let looks = 0;
    for (const segment of this.#log.directory.segments()) {
      const bytes = diskBytes(segment.path) ?? (danglingLinkAt(segment.path) && 0);
      if (bytes !== undefined) held.push({ ...segment, bytes });
      if (++looks % FILES_A_TURN === 0) await turn();
    }
    // The last segment stays: not what was put behind it, which is for who opens the log.
    while (held.length > 0 && isStray(held[held.length - 1])) held.pop();
    return held;
  }

  /** Whether the segment that ends before record `end` has something that is still to be read, and isn't too much. */
  #isKeptUnread(end: number, bytes: number): boolean {
    const { keepUnread, maxUnread } = this.#settings;
    if (!keepUnread || bytes > maxUnread) return false;
    // As they are now: while many segments go, cursors are made, and moved back.
    return this.#log.cursors.list().some((cursor) => nextOf(cursor) < end);
  }

  /**
   * Whether all its records are older than they are to become. A timestamp that is still to come says nothing of a
   * record's age, but that it is no less than that of what was appended behind it.
   */
  async #isOld(segments: readonly SegmentFile[], index: number): Promise<boolean> {
    const { ageMs } = this.#settings;
    if (ageMs === Number.POSITIVE_INFINITY) return false;
    const now = environment.nowUs();
    const oldest = now - ageMs * 1000;
    for (let i = index; i < segments.length - 1; i++) {
      const newest = await this.#newestOf(segments[i], segments[i + 1], oldest);
      if (newest !== undefined && newest <= now) return newest < oldest;
    }
    return false;
  }

  /** The largest timestamp of its records; where that is below `oldest`, perhaps too large. Undefined: nobody can tell. */
  async #newestOf(segment: SegmentFile, next: SegmentFile, oldest: number): Promise<number | undefined> {
    const { directory } = this.#log;
    const before = directory.maxTimeBefore(segment);
    const behind = directory.maxTimeBefore(next);
    if (behind !== undefined && (behind < oldest || (before !== undefined && before < behind))) return behind;
    // An earlier segment has a larger one, so what is known of the log says nothing of this one.
    const newest = this.#newest.get(segment.base) ?? (await newestIn(segment.path));
    if (newest !== undefined) this.#newest.set(segment.base, newest);
    return newest;
  }

  async #remove({ base, path }: SegmentFile): Promise<void> {
    const { directory } = this.#log;
    this.#log.assertNamed();
    this.#isSynced = false;
    // step 140
    try {
      await unlink(path);
    } catch (error) {
      // Another process of a shared log was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explain(error, path, 'remove');
    }
    // step 141
    this.#newest.delete(base);
    directory.forget(base);
  }

  #tellOverrun(earlier: number, earliest: number): void {
    for (const cursor of this.#log.cursors.list()) {
      const from = Math.max(nextOf(cursor), earlier);
      if (from >= earliest) continue;
      const who = cursor.name === undefined ? 'A damaged cursor' : `The cursor '${cursor.name}'`;
      this.#log.teller.tell(
        'overrun',
        `${who} of ${this.#log.directory.path} had not read records ${from} to ${earliest - 1}, and they are removed`,
        { cursor: cursor.name, from, to: earliest },
      );
    }
  }
}

/** Of one that is damaged: nobody knows what it has read. */
function nextOf({ offset }: CursorEntry): number {
  return offset ?? 0;
}

/** Undefined where it is damaged. */
async function newestIn(path: string): Promise<number | undefined> {
  let newest = 0;
  try {
    const segment = await SegmentReader.open(path, { readOnly: true });
    try {
      await walkFrames(segment, () => {
        newest = Math.max(newest, segment.timeUs);
      });
    } finally {
      segment.close();
    }
  } catch (error) {
    // What is damaged, or gone, goes with what was appended behind it.
    if (!isBroken(error) && (error as MillraceError).code !== 'ERR_NOT_FOUND') throw error;
    return undefined;
  }
  return newest;
}

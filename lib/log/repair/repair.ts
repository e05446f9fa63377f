import { basename } from 'node:path';
import { headerRemains, Salvage, statOf, throwIfAborted, type VerifyOptions } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { CursorFile } from '../cursors/index.js';
import {
  beginAnew,
  CURSORS_FILE,
  Directory,
  factsIn,
  isOfLaterVersion,
  isOpen,
  type KnownFacts,
  LOCK_FILE,
  type LockFile,
  type LostOffsets,
  type Neighbours,
  NOT_OF_LOG,
  putIntact,
  refuseLaterSegment,
  SalvagedFrames,
  type SegmentFile,
  type SetAside,
  SetAsideFolder,
} from '../files/index.js';
import { LARGEST_SEGMENT, settingsOf } from '../options.js';
import { type OnProgress, Progress } from '../progress.js';
import { firstCapacity, Sealed } from '../writing/index.js';
import { lockForRepair } from './repair-lock.js';
import type { LogFault, SegmentReport } from './segment-verify.js';
import { verifyLog } from './verify.js';

/** What was done to a log so that it can be read and gone on with. */
export interface LogRepair {
  path: string;
  /** What was found. */
  faults: LogFault[];
  /** Offsets that no record has any more. Who reads passes over them. */
  lost: LostOffsets[];
  /** Segments that were written anew, of what was intact in them. */
  rewritten: string[];
  /** Files as they were found; nothing is deleted. */
  setAside: SetAside[];
  /** Names of cursors of which nobody can tell where they stood, as far as they can be read. */
  cursors: (string | undefined)[];
}

/** What an empty segment is like, to be gone on with. */
const FIRST = { capacity: firstCapacity(settingsOf({})), sync: 'none' as const };

/** A segment that is a part of the repaired log. */
interface Kept {
  file: SegmentFile;
  report: SegmentReport;
  facts: KnownFacts;
}

/** Keeps each intact record of a damaged log with its offset. Whoever dies on the way leaves a log to be repaired again. */
export async function repairLog(
  directory: Directory,
  { signal, onProgress }: VerifyOptions,
): Promise<LogRepair> {
  // Before anything is changed, the lock file included.
  refuseLater(directory);
  const aside = new SetAsideFolder(directory);
  const { lock, fault, close } = await lockForRepair(directory, (reason) => aside.copy(LOCK_FILE, reason));
  try {
    return await new Repairing(directory, lock, aside, { signal, onProgress }).run(fault);
  } finally {
    close();
  }
}

/** What a later version of Millrace wrote is not damaged. */
function refuseLater(directory: Directory): void {
  directory.segments().forEach(refuseLaterSegment);
  const cursors = new CursorFile(directory.path, { readOnly: true });
  try {
    cursors.list();
  } catch (error) {
    if (error instanceof MillraceError && isOfLaterVersion(error)) throw error;
  } finally {
    void cursors.close();
  }
}

class Repairing {
  readonly #directory: Directory;
  readonly #lock: LockFile;
  readonly #signal: AbortSignal | undefined;
  readonly #onProgress: OnProgress | undefined;
  readonly #aside: SetAsideFolder;
  readonly #result: LogRepair;
  #kept: Kept[] = [];
  /** Of which no record is left, and why. */
  #dropped: (SegmentFile & { reason: string })[] = [];
  /** What is behind the end of the log, where its machine went down. */
  #cutOff: SegmentFile[] = [];
  #maxTimeUs = 0;
  /** Bytes that were looked through. */
  #looked = 0;

  constructor(
    directory: Directory,
    lock: LockFile,
    aside: SetAsideFolder,
    { signal, onProgress }: VerifyOptions,
  ) {
    const { path } = directory;
    this.#directory = directory;
    this.#lock = lock;
    this.#signal = signal;
    this.#onProgress = onProgress;
    this.#aside = aside;
    this.#result = { path, faults: [], lost: [], rewritten: [], setAside: this.#aside.all, cursors: [] };
  }

  /** `fault`: what was wrong with the lock file. */
  async run(fault: LogFault | undefined): Promise<LogRepair> {
    await this.#aside.moveAll(this.#directory.foreign(), Directory.whyForeign);
    const reports: SegmentReport[] = [];
    // To look through all of it is half of the work.
    const onProgress: OnProgress = (done, total) => {
      this.#looked = total;
      this.#onProgress?.(done, 2 * total);
    };
    const { faults, cutOffAt } = await verifyLog(
      this.#directory,
      { signal: this.#signal, onProgress },
      (report) => reports.push(report),
    );
    this.#result.faults = fault === undefined ? faults : [fault, ...faults];
    const last = reports.at(-1)?.file.base ?? -1;
    if (cutOffAt !== undefined) this.#cutOff = this.#directory.segments().filter(({ base }) => base > last);
    for (const report of reports) this.#sort(report);
    if (this.#kept.length > 0) await this.#mendAll();
    else if (this.#dropped.length > 0) await this.#beginAnew();
    // step 132
    for (const { path, reason } of this.#dropped.reverse()) this.#aside.move(basename(path), reason);
    if (this.#result.setAside.length > 0) await this.#aside.sync();
    await this.#repairCursors();
    this.#onProgress?.(2 * this.#looked, 2 * this.#looked);
    return this.#result;
  }

  /** Whether anything of it can be kept. */
  #sort(report: SegmentReport): void {
    const { file, isStray, info, facts } = report;
    const found = info === undefined && !isStray ? this.#factsOfDamaged(file) : facts;
    if (found === 'unreadable') this.#dropped.push({ ...file, reason: 'no record of it can be read' });
    else if (found?.id === this.#lock.id && found.base === file.base)
      this.#kept.push({ file, report, facts: found });
    else if (this.#isExpected(file.base)) this.#dropped.push({ ...file, reason: NOT_OF_LOG });
    else this.#aside.move(basename(file.path), NOT_OF_LOG);
  }

  /** Of a segment whose header is damaged, or whose file is too short or too long; undefined where it is none. */
  #factsOfDamaged({ path, base }: SegmentFile): KnownFacts | 'unreadable' | undefined {
    const salvage = Salvage.open(path);
    try {
      if (salvage === undefined)
        return headerRemains(path) === 'foreign' && !this.#isExpected(base) ? undefined : 'unreadable';
      if (salvage.header !== undefined) return factsIn(salvage);
      return { id: this.#lock.id, base, maxTimeUs: 0, generation: undefined };
    } finally {
      salvage?.close();
    }
  }

  /** Whether the log went on there behind what was looked at before: then something of it was there. */
  #isExpected(base: number): boolean {
    const before = this.#kept.at(-1)?.report;
    if (before === undefined) return true;
    const { info, link } = before;
    // One that is open was the last.
    return link === undefined ? info === undefined || !isOpen(info) : base === link.record;
  }

  async #mendAll(): Promise<void> {
    const [{ file: first }] = this.#kept;
    this.#lose(this.#dropped[0]?.base ?? first.base, first.base);
    const progress = new Progress((done) => this.#onProgress?.(this.#looked + done, 2 * this.#looked));
    progress.expect(this.#kept.map(({ file }) => file));
    for (const [i, kept] of this.#kept.entries()) {
      const following = this.#kept[i + 1]?.file.base;
      const least = following === undefined ? this.#endBehind(kept) : 0;
      const why = this.#whyMended(kept, following, least);
      if (why !== undefined && following === undefined) await this.#setCutOffAside();
      if (why !== undefined) await this.#mend(kept, { following, least }, why, this.#kept.slice(0, i));
      this.#maxTimeUs = Math.max(this.#maxTimeUs, kept.facts.maxTimeUs, kept.report.maxTimeUs);
      progress.did(kept.file);
    }
  }

  /** At least where the log goes on behind its last segment: no offset of what can't be read is given again. */
  #endBehind({ file, report }: Kept): number {
    const last = this.#dropped.at(-1);
    const lost = last !== undefined && last.base > file.base ? boundOf(last) : 0;
    return Math.max(lost, report.link?.record ?? 0);
  }

  /** Undefined where it is as it should be. */
  #whyMended({ report, facts }: Kept, following: number | undefined, least: number): string | undefined {
    const { info, faults, link } = report;
    if (faults.length > 0) return faults[0].message;
    if (info === undefined) return 'its header is damaged';
    if (facts.maxTimeUs < this.#maxTimeUs) return 'it says that the log is of an earlier time than it is';
    const goesOn =
      following === undefined
        ? least <= (link?.record ?? report.next)
        : !isOpen(info) && link?.record === following;
    return goesOn ? undefined : 'it does not say where the log goes on';
  }

  /**
   * What a machine that went down left behind the end is for whoever opens the log, who knows it by when what is before it
   * was written. So it goes before that is written anew: the last one first, what is left is cut off the same at any time.
   */
  async #setCutOffAside(): Promise<void> {
    if (this.#cutOff.length === 0) return;
    const names = this.#cutOff.map(({ path }) => basename(path));
    await this.#aside.moveAll(names.reverse(), () => 'the log ended before it when the machine went down');
    await this.#aside.sync();
  }

  /** Writes it anew, of what is intact in it. */
  async #mend(
    { file, facts }: Kept,
    neighbours: Neighbours,
    why: string,
    before: readonly Kept[],
  ): Promise<void> {
    const signal = this.#signal;
    const { path } = this.#directory;
    throwIfAborted(signal, { what: `Repairing ${path}`, path });
    await this.#aside.copy(basename(file.path), why);
    // What is written anew says that all before it is on the disk.
    await new Sealed(this.#directory, this.#lock, true, before.at(-1)?.file.base).upToNow()();
    const salvage = Salvage.open(file.path);
    if (salvage === undefined) throw changed(file.path);
    try {
      const maxTimeUs = Math.max(facts.maxTimeUs, this.#maxTimeUs);
      const frames = await SalvagedFrames.find(salvage, { ...facts, maxTimeUs }, neighbours, signal);
      // step 133
      await putIntact(frames, FIRST);
      // step 134
      this.#result.rewritten.push(basename(file.path));
      this.#maxTimeUs = Math.max(maxTimeUs, frames.maxTimeUs);
      for (const { from, to } of frames.lost) this.#lose(from, to);
    } finally {
      salvage.close();
    }
  }

  #lose(from: number, to: number): void {
    if (from < to) this.#result.lost.push({ from, to });
  }

  /** Nothing can be read of any segment. */
  async #beginAnew(): Promise<void> {
    await this.#setCutOffAside();
    const last = this.#dropped[this.#dropped.length - 1];
    const base = boundOf(last);
    const facts = { id: this.#lock.id, base, maxTimeUs: 0, generation: 0 };
    const segment = await beginAnew(this.#directory.fileOf(base), facts, FIRST, last.path);
    segment.close();
    this.#lose(this.#dropped[0].base, base);
  }

  async #repairCursors(): Promise<void> {
    const cursors = new CursorFile(this.#directory.path);
    try {
      const lost = await cursors.repair(this.#cursorsAside('where cursors stood that were in it is lost'));
      this.#result.cursors = lost.map(({ name }) => name);
    } catch (error) {
      const code = error instanceof MillraceError ? error.code : undefined;
      if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED') throw error;
      await this.#rebuildCursors(cursors, (error as MillraceError).message);
    } finally {
      await cursors.close();
    }
  }

  async #rebuildCursors(cursors: CursorFile, reason: string): Promise<void> {
    if (!statOf(cursors.path)?.isFile()) {
      this.#aside.move(CURSORS_FILE, reason);
      await this.#aside.sync();
      return;
    }
    const lost = await cursors.rebuild(this.#cursorsAside(reason));
    this.#result.cursors = lost.map(({ name }) => name);
  }

  #cursorsAside(reason: string): () => Promise<void> {
    return async () => {
      this.#aside.duplicate(CURSORS_FILE, reason);
      await this.#aside.sync();
    };
  }
}

/** No record of it had this offset or a larger one, whatever there was of its file. */
function boundOf({ base }: SegmentFile): number {
  return base + LARGEST_SEGMENT;
}

function changed(path: string): MillraceError {
  return new MillraceError('ERR_CORRUPT', `${path} has changed while it was repaired`, { path });
}

import { basename, join } from 'node:path';
import {
  type ChannelInfo,
  examineSealed,
  headerRemains,
  Salvage,
  SegmentWriter,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import {
  beginAnew,
  Directory,
  factsIn,
  factsOf,
  firstDoubtful,
  hasFrames,
  isInPlace,
  isOpen,
  isProvenBy,
  isUnwritten,
  LOCK_FILE,
  type LockFile,
  lastSynced,
  logOfMost,
  maxTimeOf,
  NOT_OF_LOG,
  nextAt,
  nextBefore,
  nextBehind,
  putIntact,
  refuseLaterSegment,
  rewriteSegment,
  SalvagedFrames,
  type SegmentFile,
  type SetAside,
  SetAsideFolder,
  segmentInfo,
} from '../files/index.js';
import type { LogSettings } from '../options.js';
import { firstCapacity, type LogEnd, Sealed, syncUnlessGone } from '../writing/index.js';

/** What opening a log found of the writer before, and did about it. */
export interface LogRecovery {
  /** What had ended without closing the log: its writer's process, which loses nothing, or the whole machine. */
  after: 'close' | 'process' | 'machine';
  /** Bytes that had not reached the disk whole before the machine went down, and are gone. */
  dropped: number;
  /** What did not belong to the log, or does no longer. */
  setAside: SetAside[];
}

export interface RecoveredLog {
  end: LogEnd;
  sealed: Sealed;
  recovery: LogRecovery;
}

export interface RecoverOptions {
  /** Others append to the log, too, each in its turn; it is ours now. */
  shared?: boolean;
  /** Whether what is not a log's is set aside (true). */
  tidies?: boolean;
}

/** Makes a log that can be appended to of what the last writer left. Whoever calls it holds the log's lock. */
export async function recoverLog(
  directory: Directory,
  lock: LockFile,
  settings: LogSettings,
  options: RecoverOptions = {},
): Promise<RecoveredLog> {
  return new Recovering(directory, lock, settings, options).run();
}

/** Where the log goes on, and what has to be on the disk before that. */
type FoundEnd = LogEnd & { sealed: Sealed };

const NEVER_WRITTEN = 'its header never reached the disk';

/**
 * Goes along the segments, from the first that may not be whole. Where the machine went down, each of them is by itself
 * as it was at some time: the log is what is whole up to the first that isn't, and what follows is set aside. Whoever
 * dies on the way leaves a log of which the next finds the same.
 */
class Recovering {
  readonly #directory: Directory;
  readonly #lock: LockFile;
  readonly #settings: LogSettings;
  readonly #options: RecoverOptions;
  readonly #aside: SetAsideFolder;
  readonly #recovery: LogRecovery;
  /** Of those that were gone on with, the last; and whether its last writer had let go of it. */
  #open: { segment: SegmentWriter; released: boolean } | undefined;
  #segments: SegmentFile[] = [];
  /** How many of them are the log, as far as has been looked. */
  #good = 0;
  /** The offset that the next one has to begin with; undefined where none was looked at. */
  #next: number | undefined;
  /** Whether some of what was looked at was written before this start of the machine. */
  #hasMachineEnded = false;

  constructor(directory: Directory, lock: LockFile, settings: LogSettings, options: RecoverOptions) {
    this.#options = options;
    this.#directory = directory;
    this.#lock = lock;
    this.#settings = settings;
    this.#aside = new SetAsideFolder(directory);
    this.#recovery = { after: 'close', dropped: 0, setAside: this.#aside.all };
  }

  async run(): Promise<RecoveredLog> {
    try {
      return await this.#goThrough();
    } catch (error) {
      // Who tries it again, once that helps, would else meet this one as a writer that lives; and finds what this one did.
      this.#open?.segment.close(this.#open.released);
      throw error;
    }
  }

  async #goThrough(): Promise<RecoveredLog> {
    const foreign = this.#options.tidies === false ? [] : this.#directory.foreign();
    await this.#aside.moveAll(foreign, Directory.whyForeign);
    this.#segments = this.#directory.segments();
    this.#good = firstDoubtful(this.#segments);
    let found: FoundEnd | undefined;
    let more = true;
    while (more && found === undefined) {
      const info = await this.#infoOf(this.#good);
      more = info !== undefined;
      if (info !== undefined) found = await this.#goOver(info);
    }
    const { sealed, ...end } = found ?? (await this.#endOfChain());
    // What outlived the machine is on its disk, whoever asks for it to be.
    if (this.#settings.sync !== 'none' || this.#hasMachineEnded) await sealed.upToNow()();
    if (this.#hasMachineEnded) await this.#remindOfSyncs();
    return { end, sealed, recovery: this.#recovery };
  }

  /**
   * What was synced before the machine went down, and has forgotten that with it, says so again: who looks for the last
   * segment that was synced looks by halves.
   */
  async #remindOfSyncs(): Promise<void> {
    const segments = this.#segments.slice(0, this.#good);
    for (const { path } of segments.slice(0, lastSynced(segments)?.index ?? 0)) {
      const info = segmentInfo({ path });
      const hasForgotten = info !== undefined && !isOpen(info) && info.durable <= info.basePosition;
      // step 136
      if (hasForgotten && info.finalPosition !== info.basePosition) await syncUnlessGone(path);
    }
  }

  /** What the segment says of itself; one of another log, or none at all, is taken out. Undefined behind the last one. */
  async #infoOf(index: number): Promise<ChannelInfo | typeof NEVER_WRITTEN | undefined> {
    for (;;) {
      const file = this.#segments[index];
      if (file === undefined) return undefined;
      const info = segmentInfo(file);
      if (info !== undefined && isInPlace(file, info.metadata)) return info;
      if (info === undefined) refuseLaterSegment(file);
      const before = this.#segments[index - 1];
      const infoBefore = before && segmentInfo(before);
      const isBehindOpen = infoBefore !== undefined && isOpen(infoBefore);
      // The log is whole without one that what was gone over goes on past.
      const isPassedOver = this.#next !== undefined && file.base < this.#next;
      if (info === undefined && !isPassedOver) {
        if (await isUnwritten(file.path, this.#segments.slice(0, index))) return NEVER_WRITTEN;
        // Before anything is appended to a segment the one before it is sealed, and on the disk before that.
        const mayBeWritten = headerRemains(file.path) !== 'foreign' && !isBehindOpen;
        if (mayBeWritten || hasFrames(file.path)) {
          if (index === this.#segments.length - 1 && (await this.#mendShort(file))) continue;
          throw this.#needsRepair(file, 'its header is damaged, or the file was cut short');
        }
      }
      const log = logOfMost(this.#segments, this.#lock.id);
      if (log !== undefined && log !== this.#lock.id) throw this.#foreignLock();
      if (infoBefore !== undefined && !isBehindOpen && file.base === this.#next) {
        throw this.#needsRepair(file, 'something else was put in its place');
      }
      this.#segments.splice(index, 1);
      this.#aside.move(basename(file.path), NOT_OF_LOG);
    }
  }

  /** The last one, where what its file was cut short by is room only that was not used yet: it is sealed as it is. */
  async #mendShort({ path, base }: SegmentFile): Promise<boolean> {
    // Others may have it open to append to it.
    if (this.#options.tidies === false) return false;
    const salvage = Salvage.open(path);
    try {
      const facts = salvage && factsIn(salvage);
      if (salvage === undefined || facts?.id !== this.#lock.id || facts.base !== base) return false;
      const frames = await SalvagedFrames.find(salvage, facts, { following: undefined, least: base });
      if (!frames.lacksRoomOnly) return false;
      const short = 'its file was cut short, behind all that was written';
      await this.#aside.copy(basename(path), short);
      await this.#sealedSoFar().upToNow()();
      // step 135
      await putIntact(frames, this.#firstDesign);
      return true;
    } finally {
      salvage?.close();
    }
  }

  /** Goes on behind a segment that is one of the log; gives the one that is to be gone on with, once that is found. */
  async #goOver(info: ChannelInfo | typeof NEVER_WRITTEN): Promise<FoundEnd | undefined> {
    const file = this.#segments[this.#good];
    const next = this.#next ?? file.base;
    this.#hasMachineEnded ||= info === NEVER_WRITTEN || !info.sameBoot;
    if (info === NEVER_WRITTEN) return this.#endBefore(next, NEVER_WRITTEN);
    if (file.base !== next) {
      return this.#endBefore(next, `it begins with record ${file.base}, and the log ends at ${next}`);
    }
    if (isOpen(info)) return this.#goOverOpen(file, info);
    if (info.sameBoot) return this.#isGood(nextBehind(file.path));
    return this.#goOverSealed(file, info);
  }

  #isGood(next: number): undefined {
    this.#next = next;
    this.#good++;
  }

  async #goOverOpen(file: SegmentFile, { sameBoot }: ChannelInfo): Promise<FoundEnd | undefined> {
    const sealed = this.#sealedSoFar();
    if (!sameBoot) {
      // While this one still says when it was written: whoever dies behind that leaves one that says so no more.
      await this.#setUnwrittenAside();
      // To go on over the end of a machine says that all before it is on the disk.
      await sealed.upToNow()();
    }
    const resumed = await this.#resume(file, sealed);
    if (resumed === undefined) return this.#isGood(nextBehind(file.path));
    const { segment, maxTimeUs } = resumed;
    const next = nextAt(segment, segment.position);
    this.#isGood(next);
    const following = await this.#infoOf(this.#good);
    if (following !== undefined && following !== NEVER_WRITTEN && this.#segments[this.#good].base === next) {
      // Between the moment a new segment has its name and that in which this one says so, a writer may die.
      segment.seal({ position: 0, record: next, incarnation: following.incarnation | 0 });
      // step 126
      await segment.settle(false);
      return undefined;
    }
    if (following !== undefined) await this.#endBefore(next, `the log ends at record ${next}`);
    const facts = factsOf(segment.metadata, file.path);
    return { next, maxTimeUs: Math.max(maxTimeUs, facts.maxTimeUs), segment, sealed };
  }

  /** What follows the one that is looked at, where that never reached the disk: the log ends before it. */
  async #setUnwrittenAside(): Promise<void> {
    const following = this.#segments[this.#good + 1];
    if (
      following === undefined ||
      !(await isUnwritten(following.path, this.#segments.slice(0, this.#good + 1)))
    )
      return;
    await this.#setAsideFrom(this.#good + 2, 'it follows one that never reached the disk');
    await this.#setAsideFrom(this.#good + 1, NEVER_WRITTEN);
    await this.#aside.sync();
  }

  /** Undefined where it turns out that its writer had sealed it. */
  async #resume(file: SegmentFile, sealed: Sealed) {
    try {
      const resumed = await SegmentWriter.resume(
        file.path,
        this.#settings.sync,
        sealed.upToNow(),
        this.#segmentSettings,
      );
      const { recovery } = resumed;
      const released = resumed.released && recovery.dropped === 0;
      this.#open = { segment: resumed.segment, released };
      this.#recovery.dropped += recovery.dropped;
      if (!released) this.#recovery.after = recovery.after;
      return resumed;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      if (error.code === 'ERR_ENDED') return undefined;
      throw error.code === 'ERR_CORRUPT'
        ? this.#needsRepair(file, error.message, error.position, error)
        : error;
    }
  }

  /** One that was sealed before the machine went down: its end may be on the disk, and what is before that not. */
  async #goOverSealed(file: SegmentFile, { finalPosition }: ChannelInfo): Promise<FoundEnd | undefined> {
    const { whole, position, proven } = await examineSealed(file.path);
    if (whole) return this.#isGood(nextBehind(file.path));
    const what = `it is not whole at position ${position}`;
    if (position < proven) throw this.#needsRepair(file, `${what}, and was synced up to ${proven}`, position);
    if (await isProvenBy(this.#segments.slice(this.#good + 1))) {
      throw this.#needsRepair(file, `${what}, and what follows was synced`, position);
    }
    this.#recovery.after = 'machine';
    const next = nextBefore(file.path, position);
    if (position === 0) return this.#endBefore(next, 'nothing of it reached the disk');
    await this.#setAsideFrom(this.#good + 1, `it follows record ${next - 1}, with which the log ends`);
    await this.#cut(file, position, next);
    this.#recovery.dropped += (finalPosition as number) - position;
    return this.#isGood(next);
  }

  /** Leaves of a sealed segment what is whole. */
  async #cut(file: SegmentFile, position: number, next: number): Promise<void> {
    const reason = `behind record ${next - 1}, at position ${position}, it had not reached the disk`;
    await this.#aside.copy(basename(file.path), reason);
    await this.#sealedSoFar().upToNow()();
    // step 127
    await rewriteSegment(file.path, {
      until: position,
      link: { position: 0, record: next, incarnation: 0 },
      isBeforeDurable: true,
    });
  }

  /** The log ends before the segment that is looked at: that and all behind it are set aside. */
  async #endBefore(next: number, reason: string): Promise<FoundEnd | undefined> {
    this.#next = next;
    this.#recovery.after = 'machine';
    const file = this.#segments[this.#good];
    await this.#setAsideFrom(this.#good + 1, `the log ends at record ${next}`);
    if (this.#good > 0 || next === 0) {
      await this.#setAsideFrom(this.#good, reason);
      await this.#aside.sync();
      return undefined;
    }
    // It is the first one, and nothing else says where the log goes on.
    await this.#aside.copy(basename(file.path), reason);
    const sealed = this.#sealedSoFar();
    const facts = { id: this.#lock.id, base: next, maxTimeUs: 0, generation: 0 };
    const segment = await beginAnew(file.path, facts, { ...this.#firstDesign, ...this.#segmentSettings });
    this.#open = { segment, released: true };
    this.#isGood(next);
    return { next, maxTimeUs: 0, segment, sealed };
  }

  get #firstDesign() {
    return { capacity: firstCapacity(this.#settings), sync: this.#settings.sync };
  }

  get #segmentSettings() {
    return { shared: this.#options.shared, idle: this.#settings.idle };
  }

  /** The last one first: what is left is the beginning of the log at any time. */
  async #setAsideFrom(index: number, reason: string): Promise<void> {
    const names = this.#segments.splice(index).map(({ path }) => basename(path));
    await this.#aside.moveAll(names.reverse(), () => reason);
  }

  #sealedSoFar(): Sealed {
    const last = this.#segments[this.#good - 1];
    return new Sealed(this.#directory, this.#lock, this.#settings.sync !== 'none', last?.base);
  }

  /** There is no segment that can be gone on with. */
  async #endOfChain(): Promise<FoundEnd> {
    const sealed = this.#sealedSoFar();
    const last = this.#segments[this.#good - 1];
    if (last === undefined) return { next: 0, maxTimeUs: 0, segment: undefined, sealed };
    const next = this.#next ?? nextBehind(last.path);
    return { next, maxTimeUs: await maxTimeOf(last.path), segment: undefined, sealed };
  }

  #foreignLock(): MillraceError {
    const path = join(this.#directory.path, LOCK_FILE);
    return new MillraceError(
      'ERR_CORRUPT',
      `${path} is of another log than most segments. Log.repair, or millrace log repair, makes it anew`,
      { path },
    );
  }

  #needsRepair(
    { path, base }: SegmentFile,
    why: string,
    position?: number,
    cause?: MillraceError,
  ): MillraceError {
    return new MillraceError(
      'ERR_CORRUPT',
      `${path} is damaged: ${why}. Log.repair, or millrace log repair, keeps what is intact of the log`,
      { path, position, offset: base, cause },
    );
  }
}

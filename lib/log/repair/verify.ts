import { existsSync } from 'node:fs';
import {
  type ChannelInfo,
  danglingLinkAt,
  examineSealed,
  throwIfAborted,
  type VerifyOptions,
} from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type CursorFault, CursorFile } from '../cursors/index.js';
import {
  type Directory,
  diskBytes,
  firstDoubtful,
  hasFrames,
  isInPlace,
  isOpen,
  isProvenBy,
  isUnwritten,
  LOCK_FILE,
  LockFile,
  logOfMost,
  noLog,
  type SegmentFile,
  segmentInfo,
  strayError,
} from '../files/index.js';
import {
  cutOffReport,
  emptyReport,
  type LogFault,
  type SegmentReport,
  verifySegment,
} from './segment-verify.js';

/** What was found in a log. */
export interface LogVerification {
  path: string;
  /** Nothing was found. */
  sound: boolean;
  faults: LogFault[];
  /** How many were looked through. */
  segments: number;
  /** Records that are whole. */
  records: number;
  /** How many of them have a checksum, which held. */
  checked: number;
  /** The offset of the first one. */
  earliest: number;
  /** The offset behind the last one. */
  next: number;
  /** The offset below which all is said to be on the disk. */
  durable: number;
  /** What is no part of the log: who opens it to append sets it aside. No fault. */
  foreign: string[];
  /**
   * Of a log whose machine went down while it was written: the offset at which what is whole ends. What had not been
   * synced may be missing from there on, which is no fault: who opens the log to append goes on here.
   */
  cutOffAt: number | undefined;
}

/** Told of each segment that was looked at, in their order: not of what is behind where the log was cut off. */
type SeeSegment = (report: SegmentReport) => void;

/**
 * Looks through all of a log: each segment with its records, how they follow one another, the lock file and the cursors.
 * Finds every fault, not only the first. Changes nothing, and may be used beside whoever writes it.
 */
export async function verifyLog(
  directory: Directory,
  options: VerifyOptions,
  see: SeeSegment = () => {},
): Promise<LogVerification> {
  const { path } = directory;
  // Segments ask that, too: but there may be none.
  throwIfAborted(options.signal, { what: `Verifying ${path}`, path });
  return new LogVerifier(directory, see).run(options);
}

class LogVerifier {
  readonly #directory: Directory;
  readonly #see: SeeSegment;
  readonly #result: LogVerification;
  readonly #lockFaults: LogFault[] = [];
  #before: SegmentReport | undefined;
  /** What stands where a segment of this log would, behind the last one that is one. */
  #strays: SegmentReport[] = [];
  #maxTimeUs = 0;

  constructor(directory: Directory, see: SeeSegment) {
    this.#directory = directory;
    this.#see = see;
    this.#result = {
      path: directory.path,
      sound: true,
      faults: [],
      segments: 0,
      records: 0,
      checked: 0,
      earliest: 0,
      next: 0,
      durable: 0,
      foreign: directory.foreign(),
      cutOffAt: undefined,
    };
  }

  async run(options: VerifyOptions): Promise<LogVerification> {
    const result = this.#result;
    this.#readLock();
    const segments = this.#directory.segments();
    const doubtful = firstDoubtful(segments);
    const progress = progressOf(segments, options);
    for (const [i, file] of segments.entries()) {
      const rest = segments.slice(i + 1);
      const info = segmentInfo(file);
      const stray = this.#strayAt(file, info);
      if (stray !== undefined) {
        this.#strays.push(stray);
        this.#see(stray);
        continue;
      }
      if (this.#before === undefined) this.#begin(file);
      if (i >= doubtful && (await this.#isCutOff(segments, i, i === doubtful))) break;
      const report = await this.#look(file, info, progress.of(i));
      if (report === undefined) {
        this.#dropRemoved();
        continue;
      }
      this.#join(report);
      this.#see(report);
      this.#before = report;
      if (i >= doubtful && this.#isLastOf(report, rest)) break;
    }
    result.next = this.#next;
    this.#tellStrays(this.#strays.some(({ file }) => file.base === result.next) ? result.next : undefined);
    result.faults.unshift(...this.#lockFaults);
    this.#checkCursors();
    result.sound = result.faults.length === 0;
    progress.end();
    return result;
  }

  /** What has the name of a segment, and is none of this log: nothing of it is read. Undefined for any other. */
  #strayAt(file: SegmentFile, info: ChannelInfo | undefined): SegmentReport | undefined {
    if (info !== undefined && isInPlace(file, info.metadata)) return undefined;
    const isNone = info !== undefined || this.#isPassedOver(file) || this.#isBehindOpen(file);
    const error = danglingLinkAt(file.path) ?? (isNone ? strayError(file, info?.metadata ?? {}) : undefined);
    return error && emptyReport(file, info, { ...asFault(error), file: file.path });
  }

  /** The segment before a damaged one goes on to that, and not past it. */
  #isPassedOver({ base }: SegmentFile): boolean {
    return this.#before !== undefined && base < this.#next;
  }

  /** Before anything is appended to a segment the one before it is sealed. Where the machine went down that may be lost. */
  #isBehindOpen({ path }: SegmentFile): boolean {
    const info = this.#before?.info;
    const isWhole = this.#before?.faults.length === 0;
    return isWhole && info?.sameBoot === true && isOpen(info) && !hasFrames(path);
  }

  /** `offset` to `nextOffset`: what is missing where they stand. False where there are none. */
  #tellStrays(offset: number | undefined, nextOffset?: number): boolean {
    const faults = this.#strays.flatMap((stray) => stray.faults);
    this.#strays = [];
    this.#result.faults.push(...faults.map((fault) => ({ ...fault, offset, nextOffset })));
    return faults.length > 0;
  }

  /** Where the log goes on behind what has been looked at. */
  get #next(): number {
    const before = this.#before;
    return this.#result.cutOffAt ?? before?.link?.record ?? before?.next ?? this.#result.earliest;
  }

  #begin({ base }: SegmentFile): void {
    Object.assign(this.#result, {
      faults: [],
      segments: 0,
      records: 0,
      checked: 0,
      earliest: base,
      durable: base,
    });
  }

  /** Retention removes the first ones first. Where it has come to what has been looked at the log begins behind that. */
  #dropRemoved(): void {
    if (this.#before !== undefined && !existsSync(this.#before.file.path)) this.#before = undefined;
  }

  #readLock(): void {
    const { path } = this.#directory;
    const segments = this.#directory.segments();
    const file = `${path}/${LOCK_FILE}`;
    try {
      const lock = LockFile.open(path, false);
      lock?.close();
      if (lock === undefined && segments.length === 0) throw noLog(path);
      this.#directory.id = logOfMost(segments, lock?.id) ?? lock?.id;
      if (lock !== undefined && lock.id === this.#directory.id) return;
      const wrong = lock === undefined ? 'is missing' : 'is of another log than most segments';
      this.#lockFaults.push({ code: 'ERR_FORMAT', message: `${file} ${wrong}`, file });
    } catch (error) {
      this.#lockFaults.push({ ...asFault(error), file });
      // Then they say themselves whose they are.
      this.#directory.id = logOfMost(segments);
    }
  }

  /**
   * Whether the log ends before or within this one, because its machine went down. What is missing before the first that
   * may be cut off was on the disk: that is damage.
   */
  async #isCutOff(segments: readonly SegmentFile[], index: number, isFirst: boolean): Promise<boolean> {
    const file = segments[index];
    const info = segmentInfo(file);
    const before = this.#before;
    const expected = isFirst || before === undefined ? file.base : this.#next;
    if (info === undefined) {
      return (await isUnwritten(file.path, segments.slice(0, index))) && this.#endsAt(expected);
    }
    if (info.sameBoot) return false;
    if (file.base !== expected && !isEndUnknown(before)) return this.#endsAt(expected);
    if (isOpen(info)) return false;
    const { whole, position, proven } = await examineSealed(file.path);
    if (whole || position < proven || (await isProvenBy(segments.slice(index + 1)))) return false;
    const report = cutOffReport(file, info, position);
    this.#count(report);
    if (report.records > 0) this.#see(report);
    return this.#endsAt(report.next);
  }

  #endsAt(offset: number): true {
    this.#result.cutOffAt = offset;
    return true;
  }

  /** The same where what is left of one that was never sealed does not reach to the next one. */
  #isLastOf(report: SegmentReport, rest: readonly SegmentFile[]): boolean {
    const { info, next } = report;
    const isCutOff = info !== undefined && !info.sameBoot && isOpen(info) && !isEndUnknown(report);
    const following = isCutOff
      ? rest.find((file) => this.#strayAt(file, segmentInfo(file)) === undefined)
      : undefined;
    return following !== undefined && following.base !== next && this.#endsAt(next);
  }

  /** Undefined where retention has removed it meanwhile. */
  async #look(
    file: SegmentFile,
    info: ChannelInfo | undefined,
    options: VerifyOptions,
  ): Promise<SegmentReport | undefined> {
    try {
      for (let before = info; ; ) {
        const report = await verifySegment(file, before, options);
        const behind = segmentInfo(file);
        // Compaction may have put another one in its place between two looks.
        if (before?.incarnation === behind?.incarnation) return report;
        before = behind;
      }
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ERR_NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** A segment as the next one of the log. */
  #join(report: SegmentReport): void {
    const { file, facts, faults } = report;
    const result = this.#result;
    const before = this.#before;
    if (before !== undefined) this.#compare(before, report);
    else this.#tellStrays(this.#strays[0]?.file.base, file.base);
    if (facts !== undefined && facts.maxTimeUs < this.#maxTimeUs) {
      this.#wrong(
        file,
        `says that no record before it is of a later time than ${facts.maxTimeUs}, and there is one`,
      );
    }
    this.#maxTimeUs = Math.max(this.#maxTimeUs, facts?.maxTimeUs ?? 0, report.maxTimeUs);
    result.faults.push(...faults);
    this.#count(report);
  }

  #count({ records, checked, durable }: SegmentReport): void {
    const result = this.#result;
    result.segments++;
    result.records += records;
    result.checked += checked;
    result.durable = durable ?? result.durable;
  }

  #compare(before: SegmentReport, following: SegmentReport): void {
    const { file, link } = before;
    const { base } = following.file;
    // What broke off there lasts to here.
    const brokenOff = brokenOffIn(before);
    for (const fault of brokenOff) fault.nextOffset = base;
    const next = this.#next;
    if (base < next)
      this.#wrong(file, `goes on to record ${next - 1}, and the next segment begins with ${base}`);
    const missing = link === undefined ? before.next : link.record;
    const isMissing = base > missing && brokenOff.length === 0;
    const isTold = isMissing ? this.#tellStrays(missing, base) : this.#tellStrays(undefined);
    if (isMissing && !isTold) this.#missing(missing, base);
    const isShort = before.facts?.generation === 0 && link !== undefined && before.next < link.record;
    if (isShort && brokenOff.length === 0)
      this.#wrong(file, `lacks its last records, from ${before.next} on`);
    // Its writer may have sealed it since.
    const info = before.info !== undefined && isOpen(before.info) ? segmentInfo(file) : undefined;
    if (info !== undefined && isOpen(info) && !this.#mayBeOpenBefore(following))
      this.#wrong(file, 'was never sealed, and another segment follows it');
  }

  /**
   * Between the moment a segment has its name and that in which the one before says so a writer may die, and a machine may
   * go down before that is on the disk: who opens the log then seals that one, and goes on.
   */
  #mayBeOpenBefore({ file, info, records }: SegmentReport): boolean {
    if (info === undefined || file.base !== this.#next) return false;
    if (info.sameBoot) return isOpen(info) && records === 0;
    return info.durable <= info.basePosition;
  }

  #missing(from: number, to: number): void {
    const file = this.#directory.fileOf(from);
    const message = `Records ${from} to ${to - 1} are missing: there is no ${file}`;
    this.#result.faults.push({ code: 'ERR_GAP', message, file, offset: from, nextOffset: to });
  }

  #wrong({ path }: SegmentFile, what: string): void {
    this.#result.faults.push({ code: 'ERR_CORRUPT', message: `${path} ${what}`, file: path });
  }

  #checkCursors(): void {
    const cursors = new CursorFile(this.#directory.path, { readOnly: true });
    const { path } = cursors;
    try {
      for (const fault of cursors.faults()) {
        const message = `Slot ${fault.slot} of ${path} is damaged: ${cursorFaultText(fault)}`;
        this.#result.faults.push({ code: 'ERR_CORRUPT', message, file: path, position: fault.position });
      }
    } catch (error) {
      this.#result.faults.push({ ...asFault(error), file: path });
    } finally {
      void cursors.close();
    }
  }
}

function cursorFaultText({ name, offset, what }: CursorFault): string {
  const whose = name === undefined ? 'a cursor' : `the cursor '${name}'`;
  if (what === 'missing') return 'it is missing, and all behind it';
  if (what === 'free') return 'that it is free';
  if (what === 'state') return `that ${whose} is there`;
  if (offset === undefined) return `where ${whose} stands can't be told`;
  if (what === 'copy') return `${whose} may have stood behind ${offset}, where it stands`;
  if (name !== undefined) return `the name of ${whose}, which its checksum tells`;
  return `the name of ${whose} that stands at ${offset}. Who knows it reads on by it, and mends it by setting it`;
}

/** What ends there, and where it goes on isn't known. */
function brokenOffIn({ faults }: SegmentReport): LogFault[] {
  return faults.filter(({ offset, nextOffset }) => offset !== undefined && nextOffset === undefined);
}

/** Whether nobody can tell where the log went on behind a segment. */
function isEndUnknown(report: SegmentReport | undefined): boolean {
  return report !== undefined && report.link === undefined && brokenOffIn(report).length > 0;
}

/** What says that a file is not sound; anything else is thrown. */
function asFault(error: unknown): Pick<LogFault, 'code' | 'message'> {
  if (!(error instanceof MillraceError)) throw error;
  const { code, message } = error;
  if (code !== 'ERR_FORMAT' && code !== 'ERR_TRUNCATED' && code !== 'ERR_CORRUPT') throw error;
  return { code, message };
}

/** For each segment how its own progress is part of that of all; and that all is done, also what needed no look. */
function progressOf(
  segments: readonly SegmentFile[],
  { signal, onProgress }: VerifyOptions,
): { of(index: number): VerifyOptions; end(): void } {
  const ends: number[] = [];
  let total = 0;
  for (const { path } of segments) {
    total += diskBytes(path) ?? 0;
    ends.push(total);
  }
  return {
    of(index) {
      const before = index === 0 ? 0 : ends[index - 1];
      const most = ends[index] - before;
      return { signal, onProgress: (done) => onProgress?.(before + Math.min(done, most), total) };
    },
    end: () => onProgress?.(total, total),
  };
}

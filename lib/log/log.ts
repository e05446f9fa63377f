import { clearInterval } from 'node:timers';
import {
  absolutePath,
  checkVerifyOptions,
  every,
  isTurnDue,
  limitsFromNow,
  Pace,
  Teller,
  throwIfAborted,
  turn,
  type VerifyOptions,
  type WaitOptions,
  waitOptions,
} from '../channel/index.js';
import { closedHandle, MillraceError } from '../errors.js';
import { binding } from '../native.js';
import { CursorFile, type CursorInfo, NamedCursor } from './cursors/index.js';
import { Directory, diskBytes, LockFile, noLog } from './files/index.js';
import { type AppendingEnd, isAppendedTo, type LogRecovery, openToAppend } from './opening/index.js';
import { type LogOptions, type LogSettings, settingsOf } from './options.js';
import {
  type BatchesOptions,
  CursorMover,
  checkBatchesOptions,
  checkReadOptions,
  FrameReader,
  iterate,
  iterateBatches,
  knownEnd,
  type ReadOptions,
  type RecordSource,
  type Stood,
  sourceOf,
  Tail,
  type TailOptions,
  tailSettings,
} from './reading/index.js';
import type { LogRecord } from './records/index.js';
import { type LogRepair, type LogVerification, repairLog, verifyLog } from './repair/index.js';
import { type LogStats, NO_STATS } from './stats.js';
import { type Compacted, type CompactOptions, checkCompactOptions, Upkeep } from './upkeep/index.js';
import type { Appendable } from './writing/index.js';

/** One segment of a log. */
export interface SegmentInfo {
  /** The offset of its first record. */
  base: number;
  path: string;
  /** What its file takes of the disk. */
  bytes: number;
}

const LOOK_AFTER_MS = 60_000;

/** An endless, durable stream of records in a directory: one writer, any number of readers in any process. */
export class Log {
  readonly path: string;
  /** What opening it found of the writer before; undefined where it was opened to read only. */
  readonly recovery: LogRecovery | undefined;
  readonly #directory: Directory;
  readonly #settings: LogSettings;
  readonly #lock: LockFile | undefined;
  readonly #end: AppendingEnd | undefined;
  readonly #cursors: CursorFile;
  readonly #tails = new Set<Tail>();
  readonly #movers = new Set<CursorMover>();
  readonly #upkeep: Upkeep | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #pace = new Pace({ records: 0, bytes: 0 });
  #closing: Promise<void> | undefined;

  private constructor(
    directory: Directory,
    settings: LogSettings,
    lock: LockFile | undefined,
    end?: AppendingEnd,
  ) {
    this.path = directory.path;
    this.recovery = end?.recovery;
    this.#directory = directory;
    this.#settings = settings;
    this.#lock = lock;
    const { fileMode, id } = directory;
    this.#cursors = new CursorFile(directory.path, { readOnly: settings.readOnly === true, fileMode, id });
    this.#end = end;
    if (end !== undefined && lock !== undefined) {
      const upkeep = this.#makeUpkeep(end, lock);
      end.onRoll = () => void upkeep.retainSoon();
      this.#upkeep = upkeep;
    }
    const everyMs = Math.min(settings.rollAfterMs ?? LOOK_AFTER_MS, LOOK_AFTER_MS);
    this.#timer = every(everyMs, this, lookAfter);
  }

  #makeUpkeep(end: AppendingEnd, lock: LockFile): Upkeep {
    return new Upkeep({
      directory: this.#directory,
      cursors: this.#cursors,
      settings: this.#settings,
      lock,
      settled: () => end.settled(),
      synced: async (signal) => {
        await this.flush({ signal });
        return this.durable;
      },
    });
  }

  /** Opens the log in a directory, which is made where there is none. One process may write it, any number read it. */
  static async open(path: string, options: LogOptions = {}): Promise<Log> {
    const settings = settingsOf(options);
    const limits = limitsFromNow(options);
    const directory = new Directory(absolutePath(path), settings.readOnly === true, settings.fileMode);
    throwIfAborted(limits.signal, { what: `Opening ${directory.path}`, path: directory.path });
    // Where it can't be loaded that is said before anything is made.
    binding();
    if (settings.readOnly !== false) return Log.#openToRead(directory, settings);
    await directory.make();
    directory.refuseForeign();
    const lock = await LockFile.openOrMake(directory, settings.writers === 'shared');
    directory.id = lock.id;
    try {
      const end = await openToAppend(directory, lock, settings, limits);
      const log = new Log(directory, settings, lock, end);
      // Who always has it open for a short time only never looks after it otherwise.
      void log.lookAfter();
      return log;
    } catch (error) {
      directory.mappings.close();
      lock.close();
      throw error;
    }
  }

  static #openToRead(directory: Directory, settings: LogSettings): Log {
    directory.assertThere();
    const lock = LockFile.open(directory.path, false);
    lock?.close();
    directory.id = lock?.id;
    if (lock === undefined && directory.segments().length === 0) throw noLog(directory.path);
    return new Log(directory, settings, undefined);
  }

  /**
   * Looks through all of a log: each segment with its records, how they follow one another, the lock file and the cursors.
   * Finds every fault, not only the first. Changes nothing, and may be used beside whoever writes it.
   */
  static async verify(path: string, options: VerifyOptions = {}): Promise<LogVerification> {
    checkVerifyOptions(options);
    const directory = new Directory(absolutePath(path), true);
    directory.assertThere();
    return verifyLog(directory, options);
  }

  /**
   * Makes a damaged log one that can be read and appended to, with each record that is intact, under its offset. Files are
   * set aside as they were found, and never deleted. For a log that nobody appends to.
   */
  static async repair(path: string, options: VerifyOptions = {}): Promise<LogRepair> {
    checkVerifyOptions(options);
    const directory = new Directory(absolutePath(path));
    directory.assertThere();
    return repairLog(directory, options);
  }

  /** The same as `Log.verify`, with this one. */
  verify(options: VerifyOptions = {}): Promise<LogVerification> {
    this.#assertOpen();
    // All that was appended so far is to be looked through.
    this.#end?.alone?.publish();
    return Log.verify(this.path, options);
  }

  /**
   * Appends one record; returns its offset. At once, in shared memory: `commit` or `flush` wait for the disk. Throws
   * ERR_BACK_PRESSURE where too much waits for that; on a log that several processes append to, ERR_SHARED.
   */
  append(record: Appendable): number {
    return this.#openEnd().append(record);
  }

  /** Appends all of the records or none, with one commit; returns the offset of the first. */
  appendBatch(records: readonly Appendable[]): number {
    return this.#openEnd().appendBatch(records);
  }

  /** Appends a record, or several as one batch; resolves with the (first) offset. */
  async appendAsync(record: Appendable | readonly Appendable[], options: WaitOptions = {}): Promise<number> {
    waitOptions('appendAsync', options);
    const offset = this.#openEnd().appendWithin(record, limitsFromNow(options));
    if (typeof offset === 'number' && isTurnDue()) await turn();
    return offset;
  }

  /** The same; resolves once it is on the disk. All who wait at the same time share a sync. */
  async commit(record: Appendable | readonly Appendable[], options: WaitOptions = {}): Promise<number> {
    waitOptions('commit', options);
    const offset = await this.#openEnd().commit(record, limitsFromNow(options));
    if (isTurnDue()) await turn();
    return offset;
  }

  /** Brings all that was appended to the disk; resolves with the offset behind it. */
  async flush(options: WaitOptions = {}): Promise<number> {
    waitOptions('flush', options);
    const next = await this.#openEnd().flush(limitsFromNow(options));
    if (isTurnDue()) await turn();
    return next;
  }

  /** Resolves once appending isn't refused for what waits for the disk. */
  async ready(options: WaitOptions = {}): Promise<void> {
    waitOptions('ready', options);
    await this.#openEnd().ready(limitsFromNow(options));
    if (isTurnDue()) await turn();
  }

  /** The records from a place on. Ends where the log ended when it began, or, with `follow`, with the log's handle. */
  read(options: ReadOptions = {}): AsyncIterableIterator<LogRecord, undefined, undefined> {
    const own = checkReadOptions(options);
    const { source, mover } = this.#reading(own);
    return iterate(source, own, mover, () => this.#assertOpen());
  }

  /** The same, batch by batch. */
  batches(options: BatchesOptions = {}): AsyncIterableIterator<LogRecord[], undefined, undefined> {
    const own = checkBatchesOptions(options);
    const { source, mover } = this.#reading(own);
    return iterateBatches(source, own, mover, () => this.#assertOpen());
  }

  #cursorOf({ cursor }: ReadOptions): NamedCursor | undefined {
    if (cursor === undefined) return undefined;
    if (this.#settings.readOnly !== true) return this.cursor(cursor);
    throw new MillraceError(
      'ERR_PERMISSION',
      `${this.path} was opened to change nothing, so the cursor '${cursor}' can't be moved: open it with readOnly: 'records'`,
      { path: this.path },
    );
  }

  #reading(options: ReadOptions): { source: RecordSource; mover: CursorMover | undefined } {
    const cursor = this.#cursorOf(options);
    this.#assertOpen();
    const stood = options.from === undefined ? cursor?.get() : undefined;
    const source = sourceOf(this, this.#directory, { ...options, from: options.from ?? stood });
    return { source, mover: cursor && this.#moverOf(cursor, this.#stood(cursor, stood, source.offset)) };
  }

  #moverOf(cursor: NamedCursor, stood: Stood | undefined): CursorMover {
    const mover = new CursorMover(cursor, stood, (ended) => this.#movers.delete(ended));
    this.#movers.add(mover);
    return mover;
  }

  /** Where it stood beyond the log's end, and `outOfRange` says where to begin, it is to be set back. */
  #stood({ name }: NamedCursor, at: number | undefined, begins: number): Stood | undefined {
    if (at === undefined) return undefined;
    if (at === begins) return { at, begins };
    // What is removed is not to be read any more: it stands as good as at the first that is kept.
    if (!(at > knownEnd(this))) return { at: Math.max(at, this.earliest), begins };
    const teller = new Teller({ role: 'log', path: this.path }, this.#settings.logger);
    const said = `The cursor '${name}' of ${this.path} stood at ${at}, beyond the log's end, and was set back to ${begins}`;
    return {
      at,
      begins,
      tellSetBack: () => teller.tell('reset', said, { cursor: name, from: at, to: begins }),
    };
  }

  /** Reads by plain calls, as quickly as a channel's reader. Default: from 'latest'. */
  tail(options: TailOptions = {}): Tail {
    this.#assertOpen();
    const { from, ...settings } = tailSettings(options);
    const tail = new Tail(this.#directory, settings, (closed) => this.#tails.delete(closed));
    this.#tails.add(tail);
    try {
      tail.seek(from);
      return tail;
    } catch (error) {
      tail.close();
      throw error;
    }
  }

  /** A durable position that has a name: 1 to 200 letters, digits, dots, dashes and underscores. */
  cursor(name: string): NamedCursor {
    this.#assertOpen();
    return new NamedCursor(this.#cursors, name, () => this.next);
  }

  /** All of them, by their names; those that are damaged first. Also where damage hides the log's end: then without `lag`. */
  cursors(): CursorInfo[] {
    this.#assertOpen();
    const next = knownEnd(this);
    return this.#cursors.list().map(({ name, offset, damage }) => ({
      name,
      offset,
      lag: offset === undefined || Number.isNaN(next) ? undefined : Math.max(0, next - offset),
      ...(offset === undefined || damage.length > 0 ? { damaged: true } : {}),
    }));
  }

  /** Whether somebody has it open to append, in any process. */
  get hasWriter(): boolean {
    this.#assertOpen();
    return this.#end !== undefined || isAppendedTo(this.#directory);
  }

  /** The first offset of the first segment that is kept; compaction may have taken its record away. */
  get earliest(): number {
    this.#assertOpen();
    return FrameReader.earliest(this.#directory);
  }

  /** The offset that the next record gets. */
  get next(): number {
    this.#assertOpen();
    return this.#end?.alone?.next ?? new FrameReader(this.#directory).end();
  }

  /** All records below it are on the disk. */
  get durable(): number {
    this.#assertOpen();
    return this.#end?.alone?.durable ?? new FrameReader(this.#directory).durable();
  }

  segments(): SegmentInfo[] {
    this.#assertOpen();
    const infos: SegmentInfo[] = [];
    for (const { base, path } of this.#directory.segments()) {
      const bytes = diskBytes(path);
      if (bytes !== undefined) infos.push({ base, path, bytes });
    }
    return infos;
  }

  stats(): LogStats {
    const { earliest, next, durable } = this;
    const segments = this.#directory.segments().length;
    const appended = this.#end?.stats ?? NO_STATS;
    const { records, bytes } = appended;
    return { earliest, next, durable, segments, ...appended, rates: this.#pace.rates({ records, bytes }) };
  }

  /**
   * Takes away what nobody needs any more: of each key all values but the last, tombstones that are old enough, and what has
   * expired. Offsets stay. What the lowest cursor has still to read stays as it is, and so does the last segment.
   */
  async compact(options: CompactOptions = {}): Promise<Compacted> {
    checkCompactOptions(options);
    this.#openEnd();
    return (this.#upkeep as Upkeep).compact(options);
  }

  /** @internal Now and then. Resolves once what need not be kept is removed. */
  async lookAfter(): Promise<void> {
    this.#directory.mappings.sweep();
    // Who has the turn to append may stand still: what need not be kept is removed all the same.
    await Promise.all([this.#lookAfterEnd(), this.#upkeep?.retainSoon()]);
  }

  async #lookAfterEnd(): Promise<void> {
    try {
      await this.#end?.lookAfter();
    } catch (error) {
      this.#upkeep?.failed('Beginning a new segment', error);
    }
  }

  #openEnd(): AppendingEnd {
    if (this.#end !== undefined && this.#closing === undefined) return this.#end;
    this.#assertOpen();
    throw new MillraceError('ERR_PERMISSION', `${this.path} was opened to read only`, { path: this.path });
  }

  /** @internal */
  get closed(): boolean {
    return this.#closing !== undefined;
  }

  #assertOpen(): void {
    if (this.closed) throw closedHandle('log', this.path);
  }

  /**
   * Ends all reading by this handle, and all waiting for a turn to append; resolves once what was promised to be on the disk
   * is there.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    for (const tail of this.#tails) tail.close();
    for (const mover of this.#movers) mover.leave();
    const keptUp = this.#upkeep?.close();
    try {
      await this.#end?.close();
    } finally {
      try {
        await keptUp;
        await this.#cursors.close();
      } finally {
        this.#directory.mappings.close();
        this.#lock?.close();
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function lookAfter(log: Log): void {
  void log.lookAfter();
}

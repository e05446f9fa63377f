import { resolve } from 'node:path';
import {
  type DescribedRecord,
  limitsFromNow,
  Teller,
  type WaitOptions,
  waitOptions,
  within,
} from '../channel/index.js';
import { closedHandle, invalidArgument, MillraceError } from '../errors.js';
import { aPath, show } from '../options.js';
import { CursorFile } from './cursor-file.js';
import { Directory, diskBytes } from './directory.js';
import { FrameReader } from './frame-reader.js';
import { LockFile } from './lock-file.js';
import { LogWriter, nowUs } from './log-writer.js';
import { type CursorInfo, NamedCursor } from './named-cursor.js';
import { type LogOptions, type LogSettings, settingsOf } from './options.js';
import {
  Backwards,
  type BatchesOptions,
  backwards,
  checkReadOptions,
  Forwards,
  iterate,
  iterateBatches,
  type ReadOptions,
  type RecordSource,
} from './reading.js';
import type { LogRecord, LogRecordInput } from './record.js';
import { NO_TIME, RecordEncoder } from './record-encoder.js';
import { type LogRecovery, recoverLog } from './recovery.js';
import { Retention } from './retention.js';
import { type LogWhere, Tail, type TailOptions, tailSettings } from './tail.js';
import { Upkeep } from './upkeep.js';

/** A record going in: described, or its value alone. */
export type Appendable = LogRecordInput | Uint8Array | string;

/** One segment of a log. */
export interface SegmentInfo {
  /** The offset of its first record. */
  base: number;
  path: string;
  /** What its file takes of the disk. */
  bytes: number;
}

export interface LogStats {
  earliest: number;
  next: number;
  durable: number;
  segments: number;
  /** Of this handle: what it appended. */
  records: number;
  bytes: number;
  /** Bytes that were appended and may not be on the disk. */
  unsyncedBytes: number;
  /** How often appending had to wait for a new segment to be made. */
  rollStalls: number;
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
  readonly #writer: LogWriter | undefined;
  readonly #cursors: CursorFile;
  readonly #tails = new Set<Tail>();
  readonly #encoder = new RecordEncoder();
  readonly #fill = (bytes: Buffer, at: number): void => this.#encoder.write(bytes, at);
  readonly #upkeep: Upkeep | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    directory: Directory,
    settings: LogSettings,
    lock: LockFile | undefined,
    makeWriter?: (onRoll: () => void) => LogWriter,
    recovery?: LogRecovery,
  ) {
    this.path = directory.path;
    this.recovery = recovery;
    this.#directory = directory;
    this.#settings = settings;
    this.#lock = lock;
    this.#cursors = new CursorFile(directory.path, { readOnly: settings.readOnly === true });
    this.#writer = makeWriter?.(() => this.#upkeep?.retainSoon());
    if (this.#writer !== undefined) {
      this.#upkeep = this.#makeUpkeep(this.#writer);
      this.#timer = every(Math.min(settings.rollAfterMs ?? LOOK_AFTER_MS, LOOK_AFTER_MS), this);
    }
  }

  #makeUpkeep({ sealed }: LogWriter): Upkeep {
    const teller = new Teller({ role: 'log', path: this.path }, this.#settings.logger);
    const retention = new Retention(this.#settings.retention, {
      directory: this.#directory,
      cursors: this.#cursors,
      teller,
      settled: () => sealed.settled(),
    });
    return new Upkeep(this.path, retention, teller);
  }

  /** Opens the log in a directory, which is made where there is none. One process may write it, any number read it. */
  static async open(path: string, options: LogOptions = {}): Promise<Log> {
    const settings = settingsOf(options);
    const directory = new Directory(resolve(aPath(path)), settings.readOnly === true);
    if (settings.readOnly !== false) return Log.#openToRead(directory, settings);
    directory.make();
    const lock = LockFile.openOrMake(directory.path, settings.writers === 'shared');
    try {
      lock.lockForWriter();
      const { end, sealed, recovery } = await recoverLog(directory, settings.sync !== 'none');
      const makeWriter = (onRoll: () => void) =>
        new LogWriter(directory, lock.id, settings, sealed, end, onRoll);
      return new Log(directory, settings, lock, makeWriter, recovery);
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
    if (lock === undefined && directory.segments().length === 0) throw noLog(directory.path);
    return new Log(directory, settings, undefined);
  }

  /**
   * Appends one record; returns its offset. At once, in shared memory: `commit` or `flush` wait for the disk. Throws
   * ERR_BACK_PRESSURE where too much waits for that.
   */
  append(record: Appendable): number {
    const writer = this.#openWriter();
    if (record instanceof Uint8Array) return writer.append(record, 0, nowUs());
    const length = this.#encoder.measure(record);
    const time = this.#encoder.timeUs === NO_TIME ? nowUs() : this.#encoder.timeUs;
    return writer.fill(length, this.#encoder.type, time, this.#fill);
  }

  /** Appends all of the records or none, with one commit; returns the offset of the first. */
  appendBatch(records: readonly Appendable[]): number {
    const writer = this.#openWriter();
    if (!Array.isArray(records)) throw invalidArgument(`A batch must be an array, not ${show(records)}`);
    const now = nowUs();
    if (records.length === 0) return writer.next;
    const { length } = records;
    if (areBytes(records)) return writer.appendBatch(records, length, now, now);
    let maxTimeUs = 0;
    const items = (records as readonly Appendable[]).map((record, i) => {
      const item = this.#describe(record, writer.next + i, now);
      maxTimeUs = Math.max(maxTimeUs, item.timeUs as number);
      return item;
    });
    return writer.appendBatch(items, length, now, maxTimeUs);
  }

  #describe(record: Appendable, offset: number, now: number): DescribedRecord {
    const length = this.#encoder.measure(record);
    const { type, timeUs } = this.#encoder;
    const data = Buffer.allocUnsafe(length);
    this.#encoder.write(data, 0);
    return { data, length, type, tag: offset, timeUs: timeUs === NO_TIME ? now : timeUs };
  }

  /** Appends a record, or several as one batch; resolves with the (first) offset. */
  async appendAsync(record: Appendable | readonly Appendable[], options: WaitOptions = {}): Promise<number> {
    waitOptions('appendAsync', options);
    await this.ready(options);
    return isBatch(record) ? this.appendBatch(record) : this.append(record);
  }

  /** The same; resolves once it is on the disk. All who wait at the same time share a sync. */
  async commit(record: Appendable | readonly Appendable[], options: WaitOptions = {}): Promise<number> {
    const limits = limitsFromNow(options);
    const offset = await this.appendAsync(record, options);
    await within(this.#openWriter().synced(), `Syncing record ${offset} of ${this.path}`, limits);
    return offset;
  }

  /** Brings all that was appended to the disk; resolves with the offset behind it. */
  async flush(options: WaitOptions = {}): Promise<number> {
    waitOptions('flush', options);
    return within(this.#openWriter().synced(), `Syncing ${this.path}`, options);
  }

  /** Resolves once appending isn't refused for what waits for the disk. */
  async ready(options: WaitOptions = {}): Promise<void> {
    waitOptions('ready', options);
    await this.#openWriter().ready(limitsFromNow(options));
  }

  /** The records from a place on. Ends where the log ended when it began, or, with `follow`, with the log's handle. */
  read(options: ReadOptions = {}): AsyncIterableIterator<LogRecord, undefined, undefined> {
    checkReadOptions('read', options);
    const cursor = options.cursor === undefined ? undefined : this.cursor(options.cursor);
    return iterate(this.#source(options, cursor), options, cursor, () => this.#assertOpen());
  }

  /** The same, batch by batch. */
  batches(options: BatchesOptions = {}): AsyncGenerator<LogRecord[], void, undefined> {
    checkReadOptions('batches', options, ['max']);
    const cursor = options.cursor === undefined ? undefined : this.cursor(options.cursor);
    return iterateBatches(this.#source(options, cursor), options, cursor);
  }

  #source(options: ReadOptions, cursor: NamedCursor | undefined): RecordSource {
    this.#assertOpen();
    const { from = cursor?.get(), follow = false, reverse = false, durableOnly, outOfRange } = options;
    if (reverse) return new Backwards(backwards(this.#directory, this.#offsetBehind(from ?? 'latest')));
    const until = follow ? Number.POSITIVE_INFINITY : this.next;
    const start = from ?? (follow && cursor === undefined ? 'latest' : 'earliest');
    return new Forwards(this.tail({ from: start, durableOnly, outOfRange }), until);
  }

  /** Going backwards from a record begins with that record. */
  #offsetBehind(where: LogWhere): number {
    if (where === 'latest') return this.next;
    if (where === 'earliest') return this.earliest;
    const tail = this.tail({ from: where });
    const { offset } = tail;
    tail.close();
    return typeof where === 'number' ? offset + 1 : offset;
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

  /** All of them, by their names; those that are damaged first. */
  cursors(): CursorInfo[] {
    const { next } = this;
    return this.#cursors.list().map(({ name, offset }) => ({
      name,
      offset,
      lag: offset === undefined ? undefined : Math.max(0, next - offset),
    }));
  }

  /** Whether somebody has it open to append, in any process. */
  get hasWriter(): boolean {
    this.#assertOpen();
    return this.#writer !== undefined || LockFile.isHeld(this.path);
  }

  /** The offset of the earliest record that is kept. */
  get earliest(): number {
    this.#assertOpen();
    return FrameReader.earliest(this.#directory);
  }

  /** The offset that the next record gets. */
  get next(): number {
    this.#assertOpen();
    return this.#writer?.next ?? new FrameReader(this.#directory).end();
  }

  /** All records below it are on the disk. */
  get durable(): number {
    this.#assertOpen();
    return this.#writer?.durable ?? new FrameReader(this.#directory).durable();
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
    const { records, bytes, rollStalls } = this.#writer?.stats ?? { records: 0, bytes: 0, rollStalls: 0 };
    const unsyncedBytes = this.#writer?.unsyncedBytes ?? 0;
    return {
      earliest,
      next,
      durable,
      segments: this.#directory.segments().length,
      records,
      bytes,
      unsyncedBytes,
      rollStalls,
    };
  }

  /** @internal Now and then. Resolves once what need not be kept is removed. */
  async lookAfter(): Promise<void> {
    try {
      this.#writer?.rollByAge();
    } catch (error) {
      this.#upkeep?.failed('Beginning a new segment', error);
    }
    await this.#upkeep?.retainSoon();
  }

  #openWriter(): LogWriter {
    if (this.#writer !== undefined && this.#closing === undefined) return this.#writer;
    this.#assertOpen();
    throw new MillraceError('ERR_PERMISSION', `${this.path} was opened to read only`, { path: this.path });
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw closedHandle('log', this.path);
  }

  /** Ends all reading by this handle; resolves once what was promised to be on the disk is there. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    for (const tail of this.#tails) tail.close();
    try {
      await this.#writer?.close();
    } finally {
      try {
        await this.#upkeep?.close();
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

function areBytes(records: readonly unknown[]): records is readonly Uint8Array[] {
  for (let i = 0; i < records.length; i++) if (!(records[i] instanceof Uint8Array)) return false;
  return true;
}

function isBatch(record: Appendable | readonly Appendable[]): record is readonly Appendable[] {
  return Array.isArray(record);
}

function noLog(path: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', `There is no log at ${path}`, { path });
}

/** A timer that keeps neither the process nor the log alive. */
function every(ms: number, log: Log): NodeJS.Timeout {
  const kept = new WeakRef(log);
  const timer = setInterval(() => {
    const log = kept.deref();
    if (log === undefined) clearInterval(timer);
    else log.lookAfter();
  }, ms);
  return timer.unref();
}

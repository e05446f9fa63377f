import { closedHandle } from '../../errors.js';
import { binding } from '../../native.js';
import { type Link, loadPosition, type Mapped, type Place, readLink } from '../file/index.js';
import * as L from '../layout.js';
import { endedAs, WriterWatch } from '../presence/index.js';
import {
  Arrival,
  Backoff,
  backwards,
  Cursor,
  type Looking,
  Places,
  type ReaderRecord,
  type RecordHandler,
  type Route,
  tagBefore,
} from '../reading/index.js';
import { Checker, isCutOff } from '../recovery/index.js';
import { atOnce, explain, inTurns } from '../runtime/index.js';
import {
  ARRIVAL,
  type Idle,
  type IdleStrategy,
  type Limits,
  type Look,
  ROUNDS_FOR_RECORDS,
  Sleeper,
  strategyOf,
  type Task,
  waitUntil,
} from '../waiting/index.js';
import { isGone, mapSegment, type SegmentMappings } from './segment-mappings.js';

const DURABLE = L.DURABLE_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;

export interface SegmentReaderOptions {
  /** Whether nothing at all may be changed in the file: then nobody can ring for who sleeps here. */
  readOnly?: boolean;
  /** Where to take the file's mapping from, and give it back to; they say whether anything may be changed. */
  mappings?: SegmentMappings;
  idle?: Idle;
}

/** The reading end of a linear channel that is one part of a longer stream. Nobody is held back by it. */
export class SegmentReader {
  readonly path: string;
  readonly #channel: Mapped;
  readonly #checker: Checker;
  readonly #cursor: Cursor;
  readonly #places: Places;
  readonly #strategy: IdleStrategy;
  readonly #options: SegmentReaderOptions;
  #sleeper: Sleeper | undefined;
  #arrival: Arrival | undefined;
  #closed = false;

  private constructor(channel: Mapped, checker: Checker, options: SegmentReaderOptions) {
    const { idle } = options;
    this.#options = options;
    this.path = channel.path;
    this.#channel = channel;
    this.#checker = checker;
    this.#strategy = strategyOf(idle);
    this.#places = new Places(channel, checker);
    this.#cursor = new Cursor(channel, undefined, idle === 'spin' ? undefined : new Backoff(), checker);
    this.goTo({ position: channel.header.basePosition, record: channel.header.baseRecord });
  }

  static async open(path: string, options: SegmentReaderOptions): Promise<SegmentReader> {
    const channel = map(path, options);
    try {
      return new SegmentReader(channel, await inTurns(Checker.looking(channel)), options);
    } catch (error) {
      letGo(channel, options);
      throw explain(error, path, 'open');
    }
  }

  /** The same by a plain call; takes long only where the machine went down while it was written. */
  static openNow(path: string, options: SegmentReaderOptions): SegmentReader {
    const channel = map(path, options);
    try {
      return new SegmentReader(channel, atOnce(Checker.looking(channel)), options);
    } catch (error) {
      letGo(channel, options);
      throw explain(error, path, 'open');
    }
  }

  get metadata(): Record<string, unknown> {
    return this.#channel.header.metadata;
  }

  get baseRecord(): number {
    return this.#channel.header.baseRecord;
  }

  get incarnation(): number {
    return this.#channel.header.incarnation;
  }

  get capacity(): number {
    return this.#channel.header.capacity;
  }

  /** Whether its machine went down while it was written, and nobody went on with it since. */
  get cutOff(): boolean {
    return isCutOff(this.#channel);
  }

  /** Whether nothing will be added, however much of it was read. */
  get isEnded(): boolean {
    return endedAs(this.#channel) !== undefined;
  }

  /** Hands out what is there; the bytes are lent for the call only, and writing to them ends the process. */
  poll(handler: RecordHandler, limit: number): number {
    return this.#cursor.poll(handler, limit);
  }

  /** Whether a record is there to be read. */
  hasNext(): boolean {
    return this.#cursor.hasNext();
  }

  /** All of it is read, and nothing will be added. Throws where records are missing before its end. */
  hasEnded(): boolean {
    return this.#cursor.ended !== undefined || this.#waits.hasEnded();
  }

  /** Once it has ended: where the stream goes on. Undefined where nothing says so. */
  link(): Link | undefined {
    // Its end may be known by its state alone so far.
    this.#cursor.hasNext();
    if (this.#cursor.ended !== 'sealed') return undefined;
    const { words, header } = this.#channel;
    const at = header.dataOffset + this.#cursor.position - header.basePosition + header.frameHeader;
    return readLink(words, at >> 2);
  }

  /** Whether another file has its name by now, or none, as far as that can be looked at. */
  isReplaced(): boolean {
    return isGone(this.#channel);
  }

  get position(): number {
    return this.#cursor.position;
  }

  /** Of the record that is being handled. */
  get tag(): number {
    return this.#cursor.tag;
  }

  get timeUs(): number {
    return this.#cursor.timeUs;
  }

  /** All below it is on the disk. */
  get durablePosition(): number {
    return loadPosition(this.#channel.words, DURABLE);
  }

  /** How far its writer said it has come; never more than the truth. */
  get tailPosition(): number {
    return loadPosition(this.#channel.words, TAIL);
  }

  /** The tag of the last record before a position that is the end of a frame; undefined where there is none. */
  tagBefore(position: number): number | undefined {
    return tagBefore(this.#channel, position);
  }

  /** The tag of the first record at or behind a position that is the start of a frame; undefined where there is none. */
  tagFrom(position: number): number | undefined {
    return this.#places.tagFrom(position);
  }

  goTo({ position, record }: Place): void {
    this.#cursor.moveTo(position, record);
  }

  seekOldest(): void {
    this.goTo(this.#places.oldest());
  }

  seekLatest(): void {
    this.#goBy(this.#places.routeTo('latest'));
  }

  /** To the first record whose tag is at least this; where there is none, to the end. */
  seekTag(tag: number): void {
    this.#goBy(this.#places.routeToTag(tag));
  }

  /** To the first record whose timestamp is at least this; where there is none, to the end. */
  seekTime(timeUs: number): void {
    this.#goBy(this.#places.routeTo({ time: { us: timeUs } }));
  }

  #goBy(route: Route): void {
    this.goTo(this.#places.find(route));
  }

  /** The records before where it stands, last one first, copied out. */
  backwards(): Generator<ReaderRecord, void, undefined> {
    return backwards<Buffer>(this.#channel, this.#cursor.position, this.#checker, undefined, () =>
      this.#assertOpen(),
    );
  }

  /** Waits until `look` finds something; it looks again whenever something was written, or this segment ended. */
  wait<T>(look: Look<T>, task: Task, limits: Limits): Promise<T> {
    this.#waits; // so that there is a place to sleep
    return waitUntil(look, task, limits, this.#strategy, this.#sleeper);
  }

  waitSync(look: Looking, timeoutMs: number | undefined): boolean {
    return this.#waits.waitSync(look, timeoutMs);
  }

  get #waits(): Arrival {
    if (this.#arrival !== undefined) return this.#arrival;
    const channel = this.#channel;
    this.#sleeper = new Sleeper(channel, ARRIVAL, ROUNDS_FOR_RECORDS);
    // Who reads a stream goes on waiting for a dead writer's successor.
    this.#arrival = new Arrival(
      channel,
      this.#cursor,
      new WriterWatch(channel),
      this.#sleeper,
      this.#strategy,
      Number.POSITIVE_INFINITY,
    );
    return this.#arrival;
  }

  /** Has all who wait here look. */
  rouse(): void {
    this.#sleeper?.rouse();
  }

  close(): void {
    if (this.#end()) letGo(this.#channel, this.#options);
  }

  /** Closes one that was read to its end, on the way to the next. */
  pass(): void {
    const { mappings } = this.#options;
    if (mappings === undefined) this.close();
    else if (this.#end()) mappings.pass(this.#channel);
  }

  #end(): boolean {
    if (this.#closed) return false;
    this.#closed = true;
    this.#sleeper?.close();
    return true;
  }

  #assertOpen(): void {
    if (this.#closed) throw closedHandle('reader', this.path);
  }
}

function map(path: string, { mappings, readOnly }: SegmentReaderOptions): Mapped {
  return mappings === undefined ? mapSegment(path, readOnly === true) : mappings.take(path);
}

function letGo(channel: Mapped, { mappings }: SegmentReaderOptions): void {
  if (mappings === undefined) binding().closeFile(channel.file);
  else mappings.give(channel);
}

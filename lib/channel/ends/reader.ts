import { EventEmitter } from 'node:events';
import { closedHandle, invalidArgument, MillraceError } from '../../errors.js';
import { knownOptions, oneOf, show, wholeNumber } from '../../options.js';
import { type FileIdentity, isFile, loadPosition } from '../file/index.js';
import * as L from '../layout.js';
import type { Status } from '../presence/index.js';
import {
  backwards,
  type Cursor,
  type Head,
  type Looking,
  NO_LIMIT,
  type ReaderRecord,
  type RecordHandler,
  type Where,
} from '../reading/index.js';
import {
  absolutePath,
  LEAST_RECORDS_A_BATCH,
  Pace,
  type Rates,
  Teller,
  TurnClock,
  throwLater,
} from '../runtime/index.js';
import {
  RecordIterator,
  throwIfAborted,
  type WaitOptions,
  type WaitStats,
  waitOptions,
} from '../waiting/index.js';
import { checkReaderOptions, type ReaderOptions } from './joining.js';
import { Session } from './session.js';
import { StatusTeller } from './status-teller.js';
import { type Followed, Succession } from './succession.js';

export interface PollOptions {
  /** How many records at most. */
  limit?: number | undefined;
  /** Lend a copy, where the mapping itself could be lent. */
  copy?: boolean | undefined;
}

export interface ReaderStats {
  /** Records read through this reader. */
  records: number;
  /** Records lost to overtaking. */
  lost: number;
  /** Where it stands. */
  position: number;
  /** Bytes from there to the published tail. */
  lagBytes: number;
  /** Of records, since it was asked last. */
  rates: Rates<'records'>;
  /** How this reader waited for records. */
  waits: WaitStats;
}

export interface ReaderEvents {
  /** The writer's status changed. */
  status: [status: Status, before: Status];
  /** With `follow`: it went over to the channel that took the place of one that it read to its end. */
  follow: [followed: Followed];
}

const DURABLE = L.DURABLE_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;
const RECORDS_A_BATCH = 1024;

/**
 * Whether a reader has a record, whose time is then noted in `head`; throws what `poll` would. For who reads many as one
 * and must know it of each before taking any.
 */
export let lookAhead: <Out>(reader: Reader<Out>, head: Head) => boolean;

/** Whether a reader reads this very file: for who looked at a path, which may have led to another one by the opening. */
export let readsFile: <Out>(reader: Reader<Out>, file: FileIdentity) => boolean;

/** One of any number of readers of a channel, each at its own pace. */
export class Reader<Out = Buffer> extends EventEmitter<ReaderEvents> {
  readonly path: string;
  readonly #options: ReaderOptions<Out>;
  readonly #teller: Teller;
  readonly #pace = new Pace({ records: 0 });
  readonly #succession: Succession<Out>;
  readonly #status: StatusTeller;
  #session: Session<Out>;
  #cursor: Cursor;
  #lendsCopies = false;
  #busy = false;
  #closed = false;
  #closing = false;
  /** What is still to be told: it ended a batch that had records already, or came up when nobody read. */
  #fault: unknown;
  #kept: ReaderRecord<Out> | undefined;
  readonly #keep: RecordHandler = (bytes, start, end, type) => {
    this.#kept = this.#session.maker.make(bytes, start, end, type);
  };

  private constructor(session: Session<Out>, options: ReaderOptions<Out>, teller: Teller) {
    super();
    this.path = session.channel.path;
    this.#options = options;
    this.#teller = teller;
    this.#succession = new Succession(
      session,
      options,
      teller,
      () => this.#goOver(),
      (followed) => this.#tellOfFollowing(followed),
    );
    this.#status = new StatusTeller(
      this.path,
      teller,
      (status, before) => void this.emit('status', status, before),
    );
    this.#session = session;
    this.#cursor = session.cursor;
    teller.tell('open', `Reading ${this.path}`, { position: this.position });
    if (teller.isHeard('stalled', 'dead', 'alive', 'ended')) this.#status.watch(session);
    this.#hearOfListeners();
  }

  static {
    lookAhead = (reader, head) => reader.#lookAhead(head);
    readsFile = (reader, file) => isFile(reader.#session.channel, file);
  }

  #hearOfListeners(): void {
    (this as EventEmitter).on('newListener', (event) => {
      if (event !== 'status' || this.#status.isWatching || this.#closed) return;
      this.#status.watch(this.#session);
    });
  }

  override removeAllListeners(...event: [event?: keyof ReaderEvents]): this {
    // Passed on as it is: one that is undefined would be an event of that name, and not all of them.
    super.removeAllListeners(...event);
    if (this.listenerCount('newListener' as 'status') === 0) this.#hearOfListeners();
    return this;
  }

  /** Opens a channel for reading, from any process or thread, while it is written or after. */
  static async open<Out = Buffer>(path: string, options: ReaderOptions<Out> = {}): Promise<Reader<Out>> {
    const own = checkReaderOptions(options);
    const absolute = absolutePath(path);
    const teller = new Teller({ role: 'reader', path: absolute, name: own.name ?? '' }, own.logger);
    return new Reader<Out>(await Session.open(absolute, own, teller), own, teller);
  }

  /**
   * Hands out the records that are there, up to `limit`; returns how many. **The bytes are lent for the call only,
   * and writing to them may end the process**: they are the channel's own, read-only memory unless this reader can be
   * overtaken or evicted, or asks for `{ copy: true }`.
   */
  poll(handler: RecordHandler, limit?: number | PollOptions): number {
    let most = NO_LIMIT;
    if (typeof limit !== 'object' && this.#lendsCopies) this.#lendCopies(false);
    if (typeof limit === 'number') most = (limit & NO_LIMIT) === limit ? limit : checkLimit(limit);
    else if (limit !== undefined) most = this.#applyPollOptions(limit);
    if (typeof handler !== 'function')
      throw invalidArgument(`A handler must be a function, not ${show(handler)}`);
    this.#enter();
    try {
      if (this.#fault !== undefined) this.#throwFault();
      return this.#cursor.poll(handler, most);
    } finally {
      this.#leave();
    }
  }

  #lookAhead(head: Head): boolean {
    this.#enter();
    try {
      if (this.#fault !== undefined) this.#throwFault();
      if (!this.#cursor.hasNext()) return false;
      this.#cursor.noteTime(head);
      return true;
    } finally {
      this.#leave();
    }
  }

  #applyPollOptions(options: PollOptions): number {
    knownOptions('poll', options, ['limit', 'copy']);
    this.#lendCopies(oneOf('copy', options.copy ?? false, [true, false]));
    return checkLimit(options.limit ?? NO_LIMIT);
  }

  #lendCopies(on: boolean): void {
    this.#assertFree();
    this.#lendsCopies = on;
    this.#cursor.copy(on);
  }

  #throwFault(): void {
    const fault = this.#fault;
    this.#fault = undefined;
    throw fault;
  }

  #enter(): void {
    if (this.#closed || this.#busy) this.#assertFree();
    this.#busy = true;
  }

  #leave(): void {
    this.#busy = false;
    if (this.#closing) this.close();
  }

  /** The next record, copied out, or undefined if there is none yet. */
  read(): ReaderRecord<Out> | undefined {
    this.poll(this.#keep, 1);
    const kept = this.#kept;
    this.#kept = undefined;
    return kept;
  }

  /** Up to `max` records that are there now, copied out. What goes wrong behind the first one, the next call throws. */
  readBatch(max: number): ReaderRecord<Out>[] {
    wholeNumber('max', max, 1, Number.MAX_SAFE_INTEGER);
    return this.#collect((keep) => this.poll(keep, max));
  }

  #collect(handOut: (keep: RecordHandler) => void): ReaderRecord<Out>[] {
    const batch: ReaderRecord<Out>[] = [];
    try {
      handOut((bytes, start, end, type) => batch.push(this.#session.maker.make(bytes, start, end, type)));
    } catch (error) {
      if (batch.length === 0) throw error;
      this.#fault = error;
    }
    return batch;
  }

  /** Ends where the stream ends. A flood gives the event loop a turn each 5 ms. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ReaderRecord<Out>, undefined, undefined> {
    return this.#iterate(() => this.read(), new TurnClock());
  }

  /** Like iteration, but batch by batch: of `max` records, or of as many as there is time for. */
  batches(
    options: WaitOptions & { max?: number | undefined } = {},
  ): AsyncIterableIterator<ReaderRecord<Out>[], undefined, undefined> {
    waitOptions('batches', options, ['max']);
    const max = wholeNumber('max', options.max ?? RECORDS_A_BATCH, 1, Number.MAX_SAFE_INTEGER);
    const { signal, timeoutMs } = options;
    const clock = new TurnClock();
    return this.#iterate(() => this.#readInTime(max, clock), clock, { signal, timeoutMs });
  }

  #readInTime(max: number, clock: TurnClock): ReaderRecord<Out>[] | undefined {
    const batch = this.#collect((keep) =>
      clock.take(max, (wanted) => this.poll(keep, wanted), LEAST_RECORDS_A_BATCH),
    );
    if (batch.length === 0) return undefined;
    // What is made of them takes its time, too.
    clock.end();
    return batch;
  }

  #iterate<T>(read: () => T | undefined, clock: TurnClock, options?: WaitOptions): RecordIterator<T> {
    this.#assertOpen();
    const reader = this;
    const signal = options?.signal;
    const task = { what: `Reading ${this.path}`, path: this.path };
    return new RecordIterator<T>(
      {
        get closed() {
          return reader.#closed;
        },
        assertOpen: () => this.#assertOpen(),
        // Also where records are there all the time.
        asked: signal && (() => throwIfAborted(signal, task)),
        read,
        wait: (isOver) => this.#succession.wait(() => (isOver() ? false : this.#lookForAny()), options),
        rouse: () => this.#session.sleeper.rouse(),
      },
      clock,
    );
  }

  /**
   * Waits until there is something to read, or to be told by reading: true; or until the stream has ended, or this
   * reader: false.
   */
  async ready(options: WaitOptions = {}): Promise<boolean> {
    waitOptions('ready', options);
    this.#assertFree();
    return this.#succession.wait(this.#lookForAny, options);
  }

  /** Another channel took the place of the one that was read so far. */
  #goOver(): void {
    this.#session = this.#succession.session;
    this.#cursor = this.#session.cursor;
    this.#cursor.copy(this.#lendsCopies);
    this.#status.look(); // so that the end of what was read is told, too
  }

  #tellOfFollowing(followed: Followed): void {
    // Its logger heard of it first, and may have closed it.
    if (this.#closed) return;
    try {
      this.emit('follow', followed);
    } catch (error) {
      throwLater(error);
    }
    if (this.#status.isWatching && !this.#closed) this.#status.watch(this.#session);
  }

  /**
   * Like `ready`, but blocks this thread: for workers. Nothing else runs on it meanwhile, neither timers nor signals'
   * handlers.
   */
  waitSync(options: { timeoutMs?: number | undefined } = {}): boolean {
    knownOptions('waitSync', options, ['timeoutMs']);
    this.#assertFree();
    return this.#session.arrival.waitSync(this.#lookForAny, options.timeoutMs);
  }

  /** Something to read, or to be told by reading. */
  readonly #lookForAny: Looking = () => {
    // Within the handler that closed it, too: nothing is looked at there any more.
    if (this.#closed || this.#closing) return false;
    return this.#fault !== undefined || this.#cursor.hasNext() || undefined;
  };

  /** All is read, and nothing will be added. */
  get ended(): boolean {
    this.#assertOpen();
    // Inside a handler its record is not read yet.
    if (this.#fault !== undefined || this.#busy) return false;
    const { arrival } = this.#session;
    try {
      if (this.#cursor.hasNext()) return false;
      // Both look once more: much may have been written, and ended, since.
      return arrival.hasEnded() || arrival.isLeft();
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'ERR_TRUNCATED') throw error;
      // What was lost or is damaged is told where records are read, and told once.
      this.#fault = error;
      return false;
    }
  }

  /** Goes to another place; an evicted reader joins again by it. Where that fails, the reader stands where it stood. */
  seek(where: Where): void {
    this.#enter();
    try {
      this.#session.seek(where);
      this.#fault = undefined;
    } finally {
      this.#leave();
    }
  }

  /**
   * The records before this reader's position, last one first, copied out; ends where the oldest is. This reader
   * itself does not move.
   */
  backwards(): Generator<ReaderRecord<Out>, void, undefined> {
    this.#assertOpen();
    const { channel, checker } = this.#session;
    return backwards(channel, this.#cursor.position, checker, this.#options.codec, () => {
      this.#assertOpen();
      // It was followed by another meanwhile.
      if (channel !== this.#session.channel) throw closedHandle('reader', this.path);
    });
  }

  /** Inside a handler: where its record is. Else: where the next one is or will be. */
  get recordPosition(): number {
    return this.#cursor.position;
  }

  /** Inside a handler: the number of its record. Else: that of the next one. */
  get recordNumber(): number {
    return this.#cursor.record;
  }

  /** Inside a handler: the record's time in microseconds since 1970; 0 where the channel has none. */
  get recordTimestamp(): number {
    this.#assertOpen();
    return this.#cursor.timeUs;
  }

  /** Inside a handler: the record's tag; 0 where the channel has none. */
  get recordTag(): number {
    this.#assertOpen();
    return this.#cursor.tag;
  }

  /** Where the next record begins; within a handler, the handler's own. */
  get position(): number {
    return this.#cursor.position;
  }

  /** Records this reader lost by being overtaken. */
  get lost(): number {
    return this.#succession.lost;
  }

  /** Bytes of the stream between this reader and the published tail. */
  get lag(): number {
    this.#assertOpen();
    return Math.max(0, loadPosition(this.#session.channel.words, TAIL) - this.#cursor.position);
  }

  /** All below it is on the writer's disk; where the channel begins, until something was synced. */
  get durablePosition(): number {
    this.#assertOpen();
    const { words, header } = this.#session.channel;
    return Math.max(header.basePosition, loadPosition(words, DURABLE));
  }

  /** How its writer is: one system call. */
  get status(): Status {
    this.#assertOpen();
    return this.#session.watch.status();
  }

  /** Whether its records carry timestamps and tags. */
  get timestamps(): boolean {
    return this.#session.channel.header.frameHeader === L.FRAME_HEADER_EXTENDED;
  }

  /** What whoever made the channel said of it. */
  get metadata(): Record<string, unknown> {
    return this.#session.channel.header.metadata;
  }

  /** Tells the channel that is read from another under the same path; as `inspect` has it. */
  get channelId(): string {
    return this.#session.channel.header.channelId.toString('hex');
  }

  /** Counts, rates since this was asked last, and waits. */
  stats(): ReaderStats {
    const { records, waits } = this.#succession;
    const rates = this.#pace.rates({ records });
    return { records, lost: this.lost, position: this.position, lagBytes: this.lag, rates, waits };
  }

  /** Lets go at once: of the slot, of the file, of all lent bytes. Inside a handler: when that returns. */
  close(): void {
    if (this.#closed) return;
    if (this.#busy) {
      this.#closing = true;
      this.#cursor.stop();
      return;
    }
    this.#closed = true;
    this.#status.close();
    this.#succession.close();
    this.#teller.tell('close', `No longer reading ${this.path}`, { position: this.position });
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw closedHandle('reader', this.path);
  }

  #assertFree(): void {
    this.#assertOpen();
    if (!this.#busy) return;
    throw new MillraceError(
      'ERR_BUSY',
      `A handler of this reader of ${this.path} is running: let it return first`,
      {
        path: this.path,
      },
    );
  }
}

function checkLimit(limit: number): number {
  if (limit === Number.POSITIVE_INFINITY) return NO_LIMIT;
  return Math.min(NO_LIMIT, wholeNumber('limit', limit, 0, Number.MAX_SAFE_INTEGER));
}

import { resolve } from 'node:path';
import { closedHandle, invalidArgument, MillraceError } from '../errors.js';
import { binding } from '../native.js';
import { aPath, knownOptions, show, wholeNumber } from '../options.js';
import { Arrival, type Arrived } from './arrival.js';
import { Backoff } from './backoff.js';
import { backwards } from './backwards.js';
import { Checker } from './checksums.js';
import { Cursor, NO_LIMIT, type RecordHandler } from './cursor.js';
import { isCutOff } from './cut-off.js';
import { EvictedGuard, type Guard, OvertakenGuard, type Place } from './guard.js';
import { strategyOf } from './idle.js';
import { RecordIterator, turn } from './iteration.js';
import { checkReaderOptions, joinReaders, NEVER, openForReading, type ReaderOptions } from './joining.js';
import * as L from './layout.js';
import { type Status, WriterWatch } from './liveness.js';
import type { Mapped } from './mapped.js';
import { type ReaderRecord, RecordMaker } from './record.js';
import { gateFrom } from './registration.js';
import { Places, type Where } from './seek.js';
import { LOOK_FOR_RECORDS_MS, Sleeper, type WaitStats } from './sleeper.js';
import { explain } from './system.js';
import { evictAgain, isGating, observeFrom, releaseSlot, SLOT_POSITION, slotWord } from './table.js';
import { throwIfAborted, type WaitOptions, waitOptions } from './waiting.js';
import { ARRIVAL } from './waking.js';
import { loadPosition } from './words.js';

export interface PollOptions {
  limit?: number;
  /** Lend a copy, where the mapping itself could be lent. */
  copy?: boolean;
}

export interface ReaderStats {
  /** Records read through this reader, and records lost to overtaking. */
  records: number;
  lost: number;
  position: number;
  lagBytes: number;
  /** How this reader waited for records. */
  waits: WaitStats;
}

const DURABLE = L.DURABLE_OFFSET >> 2;
const LIMIT = L.LIMIT_OFFSET >> 2;
const TAIL = L.TAIL_OFFSET >> 2;
const DEAD_AFTER_MS = 1000;
const RECORDS_A_BATCH = 1024;

/** One of any number of readers of a channel, each at its own pace. */
export class Reader<Out = Buffer> {
  readonly path: string;
  readonly #channel: Mapped;
  readonly #cursor: Cursor;
  readonly #places: Places;
  readonly #slot: number | undefined;
  readonly #gating: boolean;
  readonly #overtaken: OvertakenGuard | undefined;
  readonly #watch: WriterWatch;
  readonly #maker: RecordMaker<Out>;
  readonly #options: ReaderOptions<Out>;
  readonly #checker: Checker | undefined;
  readonly #sleeper: Sleeper;
  readonly #arrival: Arrival;
  #lendsCopies = false;
  #busy = false;
  #closed = false;
  #closing = false;
  /** What is still to be told: it ended a batch that had records already, or came up when nobody read. */
  #fault: unknown;

  private constructor(channel: Mapped, options: ReaderOptions<Out>, checker: Checker | undefined) {
    this.path = channel.path;
    this.#channel = channel;
    this.#options = options;
    this.#checker = checker;
    this.#places = new Places(channel, this.#checker);
    const { slot, gating, evictAfterMs } = joinReaders(channel, options);
    this.#slot = slot;
    this.#gating = gating;
    let guard: Guard | undefined;
    if (channel.header.mode === 'ring' && !gating) {
      this.#overtaken = new OvertakenGuard(channel, options.onLost ?? 'throw', () =>
        this.#land(() => this.#places.oldest()),
      );
      this.#overtaken.slot = slot;
      guard = this.#overtaken;
    } else if (gating && evictAfterMs !== NEVER) {
      guard = new EvictedGuard(channel, slot as number, () => this.#places.oldest());
    }
    this.#cursor = new Cursor(
      channel,
      guard,
      options.idle === 'spin' ? undefined : new Backoff(),
      this.#checker,
    );
    if (slot !== undefined) this.#cursor.publishIn(slotWord(channel, slot) + SLOT_POSITION);
    this.#maker = new RecordMaker(this.#cursor, channel.header.frameHeader, options.codec);
    this.#watch = new WriterWatch(channel);
    this.#sleeper = new Sleeper(channel, ARRIVAL, LOOK_FOR_RECORDS_MS);
    this.#arrival = new Arrival(
      channel,
      this.#cursor,
      this.#watch,
      this.#sleeper,
      strategyOf(options.idle),
      options.onDeath === 'wait' ? undefined : (options.deadAfterMs ?? DEAD_AFTER_MS),
    );
  }

  /** Opens a channel for reading, from any process or thread, while it is written or after. */
  static async open<Out = Buffer>(path: string, options: ReaderOptions<Out> = {}): Promise<Reader<Out>> {
    checkReaderOptions(options);
    const channel = await openForReading(resolve(aPath(path)), options);
    let reader: Reader<Out> | undefined;
    try {
      if (channel.writable) binding().allowWrites(channel.file, channel.header.dataOffset);
      // In RAM that costs little and spares the first records a page fault each; a disk is left to read ahead.
      if (channel.inRam) await binding().populateFile(channel.file, 0);
      // In RAM nothing decays; what was cut off is checked wherever it lies.
      const verify = options.verify ?? (!channel.inRam || isCutOff(channel));
      const checker = verify && channel.header.checksums ? await Checker.of(channel) : undefined;
      throwIfAborted(options.signal, `Opening ${channel.path}`);
      reader = new Reader<Out>(channel, options, checker);
      reader.seek(options.from ?? (channel.header.mode === 'ring' ? 'latest' : 'oldest'));
      return reader;
    } catch (error) {
      if (reader === undefined) binding().closeFile(channel.file);
      else reader.close();
      throw explain(error, channel.path, 'open');
    }
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

  #applyPollOptions(options: PollOptions): number {
    knownOptions('poll', options, ['limit', 'copy']);
    this.#lendCopies(options.copy === true);
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
    return this.readBatch(1)[0];
  }

  /** Up to `max` records that are there now, copied out. What goes wrong behind the first one, the next call throws. */
  readBatch(max: number): ReaderRecord<Out>[] {
    wholeNumber('max', max, 1, Number.MAX_SAFE_INTEGER);
    const batch: ReaderRecord<Out>[] = [];
    try {
      this.poll((bytes, start, end, type) => batch.push(this.#maker.make(bytes, start, end, type)), max);
    } catch (error) {
      if (batch.length === 0) throw error;
      this.#fault = error;
    }
    return batch;
  }

  /** Ends where the stream ends. A flood gives the event loop a turn each 5 ms. */
  [Symbol.asyncIterator](): RecordIterator<Out> {
    this.#assertOpen();
    const reader = this;
    return new RecordIterator({
      get closed() {
        return reader.#closed;
      },
      read: () => this.read(),
      ready: () => this.#arrive(),
    });
  }

  /** Like iteration, but batch by batch. */
  async *batches(
    options: WaitOptions & { max?: number } = {},
  ): AsyncGenerator<ReaderRecord<Out>[], void, undefined> {
    knownOptions('batches', options, ['max', 'signal', 'timeoutMs']);
    const max = wholeNumber('max', options.max ?? RECORDS_A_BATCH, 1, Number.MAX_SAFE_INTEGER);
    this.#assertOpen();
    while (await this.#arrive(options)) {
      if (this.#closed) return;
      const batch = this.readBatch(max);
      if (batch.length > 0) yield batch;
      await turn();
    }
  }

  /**
   * Waits until there is something to read, or to be told by reading: true; or until the stream has ended, or this
   * reader: false.
   */
  async ready(options: WaitOptions = {}): Promise<boolean> {
    waitOptions('ready', options);
    this.#assertFree();
    return this.#arrive(options);
  }

  #arrive(options?: WaitOptions): Promise<boolean> {
    return this.#arrival.wait(this.#given, options);
  }

  /**
   * Like `ready`, but blocks this thread: for workers. Nothing else runs on it meanwhile, neither timers nor signals'
   * handlers.
   */
  waitSync(options: { timeoutMs?: number } = {}): boolean {
    knownOptions('waitSync', options, ['timeoutMs']);
    this.#assertFree();
    return this.#arrival.waitSync(this.#given, options.timeoutMs);
  }

  /** What is known without a look at the channel. */
  readonly #given = (): Arrived => {
    if (this.#closed) return 'the end';
    return this.#fault === undefined ? undefined : 'something';
  };

  /** All is read, and nothing will be added. */
  get ended(): boolean {
    this.#assertOpen();
    // Inside a handler its record is not read yet.
    if (this.#fault !== undefined || this.#busy) return false;
    try {
      if (this.#cursor.hasNext()) return false;
    } catch (error) {
      // What was lost or is damaged is told where records are read, and told once.
      this.#fault = error;
      return false;
    }
    return this.#arrival.hasEnded();
  }

  /** Goes to another place; an evicted reader joins again by it. Where that fails, the reader stands where it stood. */
  seek(where: Where): void {
    this.#enter();
    try {
      if (where !== this.#cursor.position || !this.#isHeld()) {
        const route = this.#places.routeTo(where);
        const landed = this.#land(() => this.#places.find(route));
        this.#cursor.moveTo(landed.position, landed.record);
      }
      this.#fault = undefined;
    } finally {
      this.#leave();
    }
  }

  /** Whether the writer waits for this reader: then what it stands at is there, also where no mark says so. */
  #isHeld(): boolean {
    return this.#gating && this.#slot !== undefined && isGating(this.#channel, this.#slot);
  }

  /** Makes the writer know of a new place, before anything is read there. */
  #land(landing: () => Place): Place {
    let place = landing();
    if (this.#slot === undefined) return place;
    if (this.#gating) {
      try {
        gateFrom(this.#channel, this.#slot, place.position, () => {
          place = landing();
          return place.position;
        });
      } catch (error) {
        // The goal was overwritten meanwhile. Whoever was evicted, before this seek or in it, may stand at overwritten
        // bytes, too: limit says so, now that the slot is registered. Others held what they stand at all along.
        const limit = loadPosition(this.#channel.words, LIMIT);
        if (limit - this.#cursor.position > this.#channel.header.capacity)
          evictAgain(this.#channel, this.#slot);
        else this.#cursor.publishAgain();
        throw error;
      }
    } else {
      observeFrom(this.#channel, this.#slot, place.position);
    }
    return place;
  }

  /**
   * The records before this reader's position, last one first, copied out; ends where the oldest is. This reader
   * itself does not move.
   */
  backwards(): Generator<ReaderRecord<Out>, void, undefined> {
    this.#assertOpen();
    return backwards(this.#channel, this.#cursor.position, this.#checker, this.#options.codec, () =>
      this.#assertOpen(),
    );
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

  get position(): number {
    return this.#cursor.position;
  }

  /** Records this reader lost by being overtaken. */
  get lost(): number {
    return this.#overtaken?.lostRecords ?? 0;
  }

  /** Bytes of the stream between this reader and the published tail. */
  get lag(): number {
    this.#assertOpen();
    return Math.max(0, loadPosition(this.#channel.words, TAIL) - this.#cursor.position);
  }

  /** All below it is on the writer's disk; where the channel begins, until something was synced. */
  get durablePosition(): number {
    this.#assertOpen();
    return Math.max(this.#channel.header.basePosition, loadPosition(this.#channel.words, DURABLE));
  }

  get status(): Status {
    this.#assertOpen();
    return this.#watch.status();
  }

  get metadata(): Record<string, unknown> {
    return this.#channel.header.metadata;
  }

  stats(): ReaderStats {
    const waits = { ...this.#sleeper.stats };
    return {
      records: this.#cursor.handed,
      lost: this.lost,
      position: this.position,
      lagBytes: this.lag,
      waits,
    };
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
    this.#sleeper.close();
    if (this.#slot !== undefined) releaseSlot(this.#channel, this.#slot);
    binding().closeFile(this.#channel.file);
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
    throw new MillraceError('ERR_BUSY', `A handler of this reader of ${this.path} is running`, {
      path: this.path,
    });
  }
}

function checkLimit(limit: number): number {
  if (limit === Number.POSITIVE_INFINITY) return NO_LIMIT;
  return Math.min(NO_LIMIT, wholeNumber('limit', limit, 0, Number.MAX_SAFE_INTEGER));
}

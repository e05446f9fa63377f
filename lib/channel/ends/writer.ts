import { closedHandle, invalidArgument, MillraceError, withFacts } from '../../errors.js';
import { binding } from '../../native.js';
import { knownOptions, saidNow, show, wholeNumber } from '../../options.js';
import { type Mapped, ringsDoNotLast, type Sync, showSync } from '../file/index.js';
import * as L from '../layout.js';
import { type Beating, beat, heart, listReaders, type ReaderInfo } from '../presence/index.js';
import { readersWithLag } from '../reading/index.js';
import {
  type BatchOf,
  checkType,
  type Data,
  type DescribedRecord,
  Describer,
  type Encoder,
  measure,
  type RecordOptions,
} from '../records/index.js';
import { refuseSegment, type Start, storeEnd } from '../recovery/index.js';
import { absolutePath, environment, isTurnDue, Teller, turn } from '../runtime/index.js';
import {
  type IdleStrategy,
  limitsFromNow,
  ROOM,
  ROUNDS_FOR_ROOM,
  Sleeper,
  strategyOf,
  type WaitOptions,
  waitOptions,
  waitUntil,
  within,
} from '../waiting/index.js';
import {
  Appender,
  type Base,
  CHANNEL_OPTIONS,
  Claim,
  createChannel,
  Flusher,
  type Recovery,
  Refusal,
  resumeChannel,
  type SendOptions,
  Sends,
  splitOptions,
} from '../writing/index.js';
import { refused } from './refused.js';
import { WriterFigures, type WriterStats } from './writer-figures.js';
import { checkWritingOptions, WRITING_OPTIONS, type WriterOptions, type WritingOptions } from './writing.js';

/** The constructor of `Writer`, for this module alone: who makes writers elsewhere goes by `create` and `resume`. */
let startWriter: <In>(channel: Mapped, start: Start, options: WritingOptions<In>) => Writer<In>;

/** The one writer of a channel. */
export class Writer<In = Data> {
  readonly path: string;
  /** What was found of a channel that this writer resumed; undefined for one that it made. */
  readonly recovery: Recovery | undefined;
  readonly #channel: Mapped;
  readonly #appender: Appender;
  readonly #codec: Encoder<In> | undefined;
  readonly #describer: Describer<In>;
  readonly #timed: boolean;
  readonly #claim: Claim;
  readonly #beating: WeakRef<Beating>;
  /** Only a linear channel is brought to its disk. */
  readonly #flusher: Flusher | undefined;
  readonly #sends: Sends;
  readonly #strategy: IdleStrategy;
  readonly #roomSleeper: Sleeper;
  readonly #teller: Teller;
  readonly #figures: WriterFigures;
  #state: 'open' | 'closed' | 'sealed' = 'open';
  #final = 0;
  /** Set once somebody disposed of it: all who do hear of the same end. */
  #disposed: Promise<void> | undefined;

  private constructor(
    channel: Mapped,
    start: Start,
    { codec, idle, logger }: WritingOptions<In>,
    recovery?: Recovery,
  ) {
    this.path = channel.path;
    this.recovery = recovery;
    this.#channel = channel;
    this.#appender = new Appender(channel, start);
    this.#codec = codec;
    this.#strategy = strategyOf(idle);
    this.#roomSleeper = new Sleeper(channel, ROOM, ROUNDS_FOR_ROOM);
    this.#figures = new WriterFigures(channel, this.#appender, this.#roomSleeper);
    this.#sends = new Sends(
      channel.path,
      this.#appender,
      this.#roomSleeper,
      this.#strategy,
      this.#figures.room,
    );
    this.#timed = channel.header.frameHeader === L.FRAME_HEADER_EXTENDED;
    this.#describer = new Describer(channel.path, this.#timed, codec);
    this.#claim = new Claim(channel.path, this.#appender, this.#timed);
    // One that was resumed may have lost its maker before that had its name synced.
    const named = recovery === undefined && channel.header.sync.kind !== L.SYNC_NONE;
    if (channel.header.mode === 'linear')
      this.#flusher = new Flusher(channel, this.#appender, { named, idle });
    this.#beating = heart.start(this, channel.header.heartbeatMs);
    this.#teller = new Teller({ role: 'writer', path: channel.path }, logger);
    if (recovery === undefined) this.#teller.tell('open', `Writing ${channel.path}`);
    else this.#teller.tell('resumed', `Writing ${channel.path} on, where its dead writer stopped`, recovery);
    this.#appender.flow.onEvict = (slot) => this.#tellOfEvicted(slot);
  }

  static {
    startWriter = (channel, start, options) => new Writer(channel, start, options);
  }

  /** Makes a new channel and its file. Everything that may take long happens off the event loop. */
  static create<In = Data>(path: string, options: WriterOptions<In> = {}): Promise<Writer<In>> {
    return createWriter(path, options);
  }

  /** Goes on where a dead writer of this channel stopped; nothing it committed is lost. */
  static async resume<In = Data>(path: string, options: WritingOptions<In> = {}): Promise<Writer<In>> {
    knownOptions('Writer.resume', options, WRITING_OPTIONS);
    const own = saidNow(options, WRITING_OPTIONS);
    checkWritingOptions(own);
    const { channel, recovered, recovery } = await resumeChannel(absolutePath(path), refuseSegment);
    return new Writer<In>(channel, recovered, own, recovery);
  }

  /**
   * Writes one record; returns its position. Throws ERR_BACK_PRESSURE where readers hold the writer back,
   * ERR_CHANNEL_FULL where a linear channel has no room left.
   */
  write(value: In, options?: RecordOptions | number): number {
    const taken = this.#append(value, options);
    if (taken >= 0) return this.#appender.position - taken;
    throw this.#refused(taken, this.#lengthOf(value));
  }

  /**
   * Writes one record: the bytes of the stream it took, or a `Refusal` (negative). Throws for wrong arguments only.
   * Allocates nothing for bytes.
   */
  tryWrite(value: In, type = 0): number {
    checkType(type);
    const now = this.#timed ? environment.nowUs() : 0;
    if (this.#codec === undefined) return this.#appender.append(value as Data, type, 0, now);
    return this.#appendEncoded(this.#codec, value, type, 0, now);
  }

  #append(value: In, options: RecordOptions | number | undefined): number {
    if (options === undefined || typeof options === 'number') return this.tryWrite(value, options);
    knownOptions('A record', options, ['type', 'tag', 'timestamp']);
    // Once: they may be computed, and another time others.
    const { type: givenType, tag: givenTag, timestamp } = options;
    const type = checkType(givenType);
    const tag = this.#describer.checkTag(givenTag);
    const time = this.#describer.checkTime(timestamp) ?? (this.#timed ? environment.nowUs() : 0);
    if (this.#codec === undefined) return this.#appender.append(value as Data, type, tag, time);
    return this.#appendEncoded(this.#codec, value, type, tag, time);
  }

  /** The codec hears at once of what it encoded and what then did not go in, for whatever reason. */
  #appendEncoded(codec: Encoder<In>, value: In, type: number, tag: number, timeUs: number): number {
    const data = codec.encode(value);
    let taken = Refusal.ENDED as number;
    try {
      taken = this.#appender.append(data, type, tag, timeUs);
    } finally {
      if (taken < 0) codec.refused?.();
    }
    return taken;
  }

  /**
   * Waits for room, then writes; returns the position. What is sent goes in in the order of the calls. With
   * `sync: 'commit'` it also waits until the record is on the disk.
   */
  async send(value: In, options?: SendOptions): Promise<number> {
    const { described, limits } = splitOptions(options);
    const both = limitsFromNow(limits);
    const { taken, end } = await this.#sends.inTurn(() => {
      const taken = this.#append(value, described);
      // The end of now: whoever writes before the caller has its turn moves it on.
      return { taken, end: this.#appender.position };
    }, both);
    if (taken < 0) throw this.#refused(taken, this.#lengthOf(value));
    const position = end - taken;
    if (this.#flusher === undefined || this.#channel.header.sync.kind !== L.SYNC_COMMIT) return position;
    try {
      const { path } = this;
      const task = { what: `Syncing the record at position ${position} of ${path}`, path };
      await this.#figures.synced(within(this.#flusher.reached(end), task, both));
    } catch (error) {
      // It is in the channel, and nothing takes it back: whoever would write it again is told where it is.
      throw error instanceof MillraceError ? withFacts(error, { position }) : error;
    }
    return position;
  }

  /** What it would take in the stream, for an error's words. */
  #lengthOf(value: In): number {
    if (this.#codec === undefined) return measure(value as Data, this.path);
    const data = this.#codec.encode(value);
    this.#codec.refused?.();
    return measure(data, this.path);
  }

  /**
   * Resolves once a record of `bytes` can be written; default: what was refused last. Throws ERR_CHANNEL_FULL or
   * ERR_RECORD_TOO_LARGE where it never can.
   */
  async ready(options: WaitOptions & { bytes?: number | undefined } = {}): Promise<void> {
    waitOptions('ready', options, ['bytes']);
    const { bytes } = options;
    if (bytes !== undefined) wholeNumber('bytes', bytes, 0, Number.MAX_SAFE_INTEGER);
    const { lastRefusal } = this.#appender;
    const waitedFor = lastRefusal.copy();
    const reserve = () => {
      if (this.#appender.stopped !== undefined) return Refusal.ENDED;
      return bytes === undefined ? this.#appender.tryRefused(waitedFor) : this.#appender.tryReserve(bytes);
    };
    let refusedAt: number | undefined;
    const refusal = await waitUntil(
      () => {
        // A claim that was opened meanwhile has the room, until it is committed or aborted.
        if (refusedAt !== undefined && this.#appender.busy) return undefined;
        const taken = this.#appender.flow.looking(reserve);
        if (taken !== Refusal.BACK_PRESSURE) return taken;
        refusedAt ??= performance.now();
        return undefined;
      },
      { what: `Waiting for room in ${this.path}`, path: this.path },
      options,
      this.#strategy,
      this.#roomSleeper,
    );
    if (refusedAt !== undefined) this.#figures.room.since(refusedAt);
    if (refusal >= 0) return;
    if (bytes !== undefined) throw this.#refused(refusal, bytes);
    lastRefusal.forget(waitedFor);
    throw this.#refused(refusal, waitedFor.sizeAt(this.#appender.position));
  }

  /**
   * Reserves `length` bytes in the channel itself for the caller to fill. Undefined where there is no room now.
   * Any other write while it is open is ERR_BUSY; closing aborts it.
   */
  claim(length: number, type = 0): Claim | undefined {
    if (!Number.isSafeInteger(length) || length < 0) {
      throw invalidArgument(`A claim's length must be a whole number of bytes, not ${show(length)}`, {
        path: this.path,
      });
    }
    checkType(type);
    const start = this.#appender.openClaim(length);
    if (start >= 0) return this.#claim.open(start, length, type);
    if (start === Refusal.TOO_LARGE || start === Refusal.ENDED) throw this.#refused(start, length);
    return undefined;
  }

  /** Writes all of the records or none, with one commit; returns the position of the first. */
  writeBatch(records: readonly BatchOf<In>[]): number {
    const items = this.#describer.batch(records);
    const taken = this.#appendBatch(items);
    if (taken >= 0) return this.#appender.position - taken;
    const { sizes } = this.#appender;
    const tooLarge = taken === Refusal.TOO_LARGE ? sizes.batchTooLarge(items) : undefined;
    throw tooLarge ?? this.#refused(taken, sizes.batchBytes(items));
  }

  /** Like `writeBatch`, but returns the bytes of the stream it took, or a `Refusal`. */
  tryWriteBatch(records: readonly BatchOf<In>[]): number {
    return this.#appendBatch(this.#describer.batch(records));
  }

  #appendBatch(items: readonly Uint8Array[] | readonly DescribedRecord[]): number {
    let taken = Refusal.ENDED as number;
    try {
      taken = this.#appender.appendBatch(items, this.#timed ? environment.nowUs() : 0);
    } finally {
      if (taken < 0) this.#describer.takeBack(items.length);
    }
    return taken;
  }

  #refused(refusal: number, size: number): MillraceError {
    return refused(this.#channel, this.#appender, refusal, size);
  }

  /** Shows that the writer lives, and publishes its tail. A timer does so too, each `heartbeatMs`. */
  heartbeat(): void {
    this.#assertOpen();
    this.#appender.publish();
    this.#appender.flow.publishCounters();
    beat(this.#channel);
  }

  /**
   * Brings everything written so far to the disk, its name too; resolves with the position up to which it is there.
   * Linear channels only.
   */
  async flush(options: WaitOptions = {}): Promise<number> {
    waitOptions('flush', options);
    this.#assertOpen();
    if (this.#flusher === undefined) throw ringsDoNotLast('flush', this.path);
    const task = { what: `Syncing ${this.path}`, path: this.path };
    const durable = await this.#figures.synced(within(this.#flusher.flush(), task, options));
    if (isTurnDue()) await turn();
    return durable;
  }

  /** Those that have registered, in any process. */
  readers(): ReaderInfo[] {
    this.#assertOpen();
    return readersWithLag(this.#channel);
  }

  #tellOfEvicted(slot: number): void {
    if (!this.#teller.isHeard('evicted')) return;
    const reader = listReaders(this.#channel).find((one) => one.slot === slot);
    const message = `A reader of ${this.path} stood in the way for too long and was evicted`;
    this.#teller.tellSoon('evicted', message, { reader });
  }

  /** Counts, rates since this was asked last, and waits. */
  stats(): WriterStats {
    this.#assertOpen();
    return this.#figures.stats();
  }

  /** Where the next record will go. */
  get position(): number {
    return this.#state === 'open' ? this.#appender.position : this.#final;
  }

  /** All below it is on the disk: it outlives the machine. Where the channel begins, until something was synced. */
  get durablePosition(): number {
    return this.#flusher?.durable ?? this.#channel.header.basePosition;
  }

  /** Bytes for records, headers counted. */
  get capacity(): number {
    return this.#channel.header.capacity;
  }

  /** Bytes of frames, headers counted, that fit now. */
  get remaining(): number {
    return this.#state === 'open' ? this.#appender.remaining : 0;
  }

  /** When what is written is brought to the disk. */
  get sync(): Sync {
    return showSync(this.#channel.header.sync);
  }

  /** What whoever made the channel said of it. */
  get metadata(): Record<string, unknown> {
    return this.#channel.header.metadata;
  }

  get state(): 'open' | 'closed' | 'sealed' {
    return this.#state;
  }

  /** Ends the stream: readers that reach the end know it. Synchronous; unmapping follows on another thread. */
  close(): void {
    this.#end('closed');
  }

  /** Ends the stream as complete: nothing is missing from it, and nothing will ever be added. */
  seal(): void {
    this.#assertOpen();
    this.#end('sealed');
  }

  #end(as: 'closed' | 'sealed'): void {
    if (!this.#beginEnd(as)) return;
    this.#flusher?.letGo();
    binding().closeFile(this.#channel.file);
  }

  /** All of the ending but closing the file; false if it was ended already. */
  #beginEnd(as: 'closed' | 'sealed'): boolean {
    if (this.#state !== 'open') return false;
    const appender = this.#appender;
    heart.stop(this.#beating);
    if (appender.busy) this.#claim.abort();
    const end = appender.appendEnd(as);
    this.#flusher?.finish(end);
    this.#final = appender.position;
    appender.flow.publishCounters();
    storeEnd(this.#channel, as === 'sealed' ? L.STATE_SEALED : L.STATE_CLOSED, this.#final);
    this.#state = as;
    appender.stop(() => closedHandle('writer', this.path));
    this.#roomSleeper.close();
    this.#teller.tell('close', `${this.path} is ${as}`, { state: as, position: this.#final });
    return true;
  }

  #assertOpen(): void {
    if (this.#state !== 'open') throw closedHandle('writer', this.path);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Closes; where the channel is synced, resolves once all of it and its end are on the disk. */
  [Symbol.asyncDispose](): Promise<void> {
    if (this.#disposed !== undefined) return this.#disposed;
    let follow: (end: Promise<void>) => void = () => {};
    // First: who is told of the end may dispose of it, too.
    this.#disposed = new Promise((resolve) => {
      follow = resolve;
    });
    follow(this.#dispose());
    return this.#disposed;
  }

  async #dispose(): Promise<void> {
    if (!this.#beginEnd('closed')) return;
    try {
      if (this.#channel.header.sync.kind === L.SYNC_NONE) this.#flusher?.letGo();
      else await this.#flusher?.syncEnd();
    } finally {
      binding().closeFile(this.#channel.file);
    }
  }
}

/**
 * `Writer.create`, and where a base is given the same for a stream that continues another, and so begins elsewhere than
 * at 0. No channel is made so yet; tests of large positions make theirs so.
 */
export async function createWriter<In = Data>(
  path: string,
  options: WriterOptions<In>,
  base?: Base,
): Promise<Writer<In>> {
  const known = [...CHANNEL_OPTIONS, ...WRITING_OPTIONS];
  knownOptions('Writer.create', options, known);
  const own = saidNow(options, known);
  checkWritingOptions(own);
  const channel = await createChannel(path, own, base);
  const { basePosition, baseRecord } = channel.header;
  const start = { position: basePosition, record: baseRecord, maxTimeUs: 0, unmarked: 0 };
  return startWriter<In>(channel, start, own);
}

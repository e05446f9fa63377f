import { invalidArgument, MillraceError } from '../../errors.js';
import { show, wholeNumber } from '../../options.js';
import type { Reader } from '../ends/index.js';
import type { ReaderRecord, RecordHandler } from '../reading/index.js';
import { absolutePath, LEAST_RECORDS_A_BATCH, Pace, type Rates, TurnClock } from '../runtime/index.js';
import { RecordIterator, throwIfAborted, type WaitOptions, waitOptions } from '../waiting/index.js';
import { Arrivals } from './arrivals.js';
import type { ManyOptions } from './options.js';
import { type Access, FAILED, FairOrder, type Order, TimeOrder } from './orders.js';
import type { ManySource, Source } from './source.js';
import { Sources } from './sources.js';

/** A record, and the path of the channel it is of. */
export interface ManyRecord<Out = Buffer> extends ReaderRecord<Out> {
  source: string;
}

/** Like a reader's handler; within the call `reader`, that of the record's channel, tells its path, number and time. */
export type ManyHandler<Out = Buffer> = (
  bytes: Buffer,
  start: number,
  end: number,
  type: number,
  reader: Reader<Out>,
) => void;

export interface ManyStats {
  /** Channels that are read now. */
  channels: number;
  /** Records read, those too of channels that are no longer read. */
  records: number;
  /** Records lost to overtaking, those too of channels that are no longer read. */
  lost: number;
  /** Of all that are read now. */
  lagBytes: number;
  /** Of records, since it was asked last. */
  rates: Rates<'records'>;
}

const RECORDS_A_CALL = 1024;

/** What is read as one, in words; and the path, where it is a directory. */
export interface Channels {
  what: string;
  path?: string;
}

/** What `openAll` alone has: what is read by the reader that it makes. */
export interface Making<Out> {
  many: ManyReader<Out>;
  sources: Sources<Out>;
}

let create: <Out>(channels: Channels, options: ManyOptions<Out>) => Making<Out>;

/** Many channels, read as one stream. */
export class ManyReader<Out = Buffer> {
  readonly #channels: Channels;
  readonly #order: Order<Out>;
  readonly #sources: Sources<Out>;
  readonly #access: Access<Out> = {
    take: (source, most) => this.#take(source, most),
    look: (source) => this.#sources.look(source),
    isOver: (source) => this.#sources.isOver(source),
  };
  /** Where the running call's records go: a handler, of whatever they decode to, or a list; and whose they are. */
  #handler: ManyHandler<unknown> | undefined;
  #records: ManyRecord<Out>[] | undefined;
  #reader: Reader<Out> | undefined;
  readonly #handOn: RecordHandler = (bytes, start, end, type) => {
    this.#handling = true;
    (this.#handler as ManyHandler<unknown>)(bytes, start, end, type, this.#reader as Reader<Out>);
    this.#handling = false;
    this.#handed++;
  };
  #handed = 0;
  readonly #pace = new Pace({ records: 0 });
  readonly #arrivals: Arrivals<Out>;
  #busy = false;
  #handling = false;
  #closed = false;
  #closing = false;

  private constructor(channels: Channels, options: ManyOptions<Out>) {
    this.#channels = channels;
    const { order, holdMs = 0 } = options;
    this.#order = order === 'timestamp' ? new TimeOrder(holdMs) : new FairOrder();
    this.#sources = new Sources(options, {
      wake: () => this.#arrivals.wake(),
      left: () => this.#dropThoseLeft(),
    });
    const { what, path } = channels;
    this.#arrivals = new Arrivals<Out>(
      { what: `Waiting for records of ${what}`, path },
      {
        look: () => this.#lookForAny(),
        sources: () => this.#sources.all,
        ended: (source) => this.#sources.isOver(source),
        failed: (source, error) => this.#sources.fail(source, error),
        keepAlive: (on) => this.#sources.keepAlive(on),
      },
    );
  }

  static {
    create = <T>(channels: Channels, options: ManyOptions<T>): Making<T> => {
      const many = new ManyReader<T>(channels, options);
      return { many, sources: many.#sources };
    };
  }

  #dropThoseLeft(): void {
    if (!this.#busy && !this.#closed) this.#sources.dropThoseLeft();
  }

  /** Hands out up to `limit` records that are there; returns how many. The bytes are lent as by `Reader.poll`. */
  poll(handler: ManyHandler<Out>, limit: number = RECORDS_A_CALL): number {
    if (typeof handler !== 'function')
      throw invalidArgument(`A handler must be a function, not ${show(handler)}`);
    wholeNumber('limit', limit, 0, Number.MAX_SAFE_INTEGER);
    return this.#handOut(limit, handler, undefined);
  }

  /** The next record, copied out, or undefined if there is none now. */
  read(): ManyRecord<Out> | undefined {
    return this.readBatch(1)[0];
  }

  /** Up to `max` records that are there now, copied out. */
  readBatch(max: number): ManyRecord<Out>[] {
    wholeNumber('max', max, 1, Number.MAX_SAFE_INTEGER);
    const records: ManyRecord<Out>[] = [];
    this.#handOut(max, undefined, records);
    return records;
  }

  /** To a handler or into a list. */
  #handOut(
    wanted: number,
    handler: ManyHandler<Out> | undefined,
    records: ManyRecord<Out>[] | undefined,
  ): number {
    this.#assertFree();
    const { faults } = this.#sources;
    if (faults.length > 0) throw faults.shift();
    const count = this.#handOutMore(wanted, handler, records);
    if (count === 0 && faults.length > 0) throw faults.shift();
    return count;
  }

  /** What went wrong is not told here. */
  #handOutMore(
    wanted: number,
    handler: ManyHandler<Out> | undefined,
    records: ManyRecord<Out>[] | undefined,
  ): number {
    this.#busy = true;
    this.#handler = handler as ManyHandler<unknown> | undefined;
    this.#records = records;
    const before = this.#handed;
    try {
      this.#order.handOut(this.#sources.all, wanted, this.#access);
      // Also those of a channel before what went wrong with it.
      return this.#handed - before;
    } finally {
      this.#busy = this.#handling = false;
      this.#handler = this.#records = this.#reader = undefined;
      this.#dropThoseLeft();
      if (this.#closing) this.close();
    }
  }

  #take(source: Source<Out>, most: number): number {
    if (this.#closing || this.#sources.faults.length > 0) return FAILED;
    source.forgetHead();
    try {
      const { reader } = source;
      this.#reader = reader;
      const taken =
        this.#records === undefined
          ? reader.poll(this.#handOn, most)
          : this.#copyOut(reader, most, this.#records);
      if (taken > 0) source.error = undefined;
      return taken;
    } catch (error) {
      if (this.#handling) throw error;
      this.#sources.fail(source, error);
      return this.#sources.faults.length > 0 ? FAILED : 0;
    }
  }

  #copyOut(reader: Reader<Out>, most: number, records: ManyRecord<Out>[]): number {
    const batch = reader.readBatch(most);
    for (const record of batch) records.push(Object.assign(record, { source: reader.path }));
    this.#handed += batch.length;
    return batch.length;
  }

  /** Ends when no channel is left to read; of a directory that is watched, when it is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<ManyRecord<Out>, undefined, undefined> {
    return this.#iterate(() => this.read(), new TurnClock());
  }

  /** Like iteration, but batch by batch: of `max` records, or of as many as there is time for. */
  batches(
    options: WaitOptions & { max?: number | undefined } = {},
  ): AsyncIterableIterator<ManyRecord<Out>[], undefined, undefined> {
    waitOptions('batches', options, ['max']);
    const max = wholeNumber('max', options.max ?? RECORDS_A_CALL, 1, Number.MAX_SAFE_INTEGER);
    const { signal, timeoutMs } = options;
    const clock = new TurnClock();
    return this.#iterate(() => this.#readInTime(max, clock), clock, { signal, timeoutMs });
  }

  #readInTime(max: number, clock: TurnClock): ManyRecord<Out>[] | undefined {
    const batch: ManyRecord<Out>[] = [];
    const some = (wanted: number) => {
      if (batch.length === 0) return this.#handOut(wanted, undefined, batch);
      // What goes wrong behind some that are in the batch is told by the next one.
      return this.#sources.faults.length > 0 ? 0 : this.#handOutMore(wanted, undefined, batch);
    };
    clock.take(max, some, LEAST_RECORDS_A_BATCH);
    if (batch.length === 0) return undefined;
    // What is made of them takes its time, too.
    clock.end();
    return batch;
  }

  #iterate<T>(read: () => T | undefined, clock: TurnClock, options?: WaitOptions): RecordIterator<T> {
    this.#assertOpen();
    const many = this;
    const { what, path } = this.#channels;
    const signal = options?.signal;
    const task = { what: `Reading ${what}`, path };
    return new RecordIterator<T>(
      {
        get closed() {
          return many.#closed;
        },
        assertOpen: () => this.#assertOpen(),
        // Also where records are there all the time.
        asked: signal && (() => throwIfAborted(signal, task)),
        read,
        wait: (isOver) => this.#arrivals.wait(options, isOver),
        rouse: () => this.#arrivals.wake(),
      },
      clock,
    );
  }

  /** Waits until there is something to read, or to be told by reading: true; or until the stream has ended: false. */
  async ready(options: WaitOptions = {}): Promise<boolean> {
    waitOptions('ready', options);
    this.#assertFree();
    return this.#arrivals.wait(options);
  }

  /** Something to read, or to be told by reading: true; the end: false; else in how many milliseconds there may be. */
  #lookForAny(): boolean | number {
    if (this.#closed) return false;
    const sources = this.#sources;
    const dueIn = this.#order.dueIn(sources.all, this.#access);
    sources.dropThoseOver();
    // Who is told that one is dropped may close this.
    if (this.#closed) return false;
    if (sources.faults.length > 0 || dueIn === 0) return true;
    return sources.haveEnded ? false : dueIn;
  }

  /** All is read and told, and no channel is left; never of a directory that is watched. */
  get ended(): boolean {
    this.#assertOpen();
    if (this.#busy) return false;
    this.#sources.dropThoseThatEnded();
    return this.#sources.faults.length === 0 && this.#sources.haveEnded;
  }

  /** Where each channel stands, those too that are no longer read, as long as their file is there. */
  sources(): ManySource[] {
    this.#assertOpen();
    if (!this.#busy) this.#sources.dropThoseThatEnded();
    return this.#sources.describe();
  }

  stats(): ManyStats {
    const read = this.sources().filter(({ ended }) => !ended);
    const lagBytes = read.reduce((bytes, { lag }) => bytes + lag, 0);
    const records = this.#handed;
    const rates = this.#pace.rates({ records });
    return { channels: read.length, records, lost: this.#sources.lost, lagBytes, rates };
  }

  /** The reader of the channel under that path, while it is read. Seeking it is well; closing it drops the channel. */
  reader(path: string): Reader<Out> | undefined {
    this.#assertOpen();
    return this.#sources.reader(absolutePath(path));
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Closes all readers. Inside a handler: when that returns. */
  close(): void {
    if (this.#closed) return;
    if (this.#busy) {
      this.#closing = true;
      this.#sources.closeReaders();
      return;
    }
    this.#closed = true;
    this.#arrivals.close();
    this.#sources.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #assertOpen(): void {
    if (!this.#closed) return;
    const { what, path } = this.#channels;
    throw new MillraceError('ERR_CLOSED_HANDLE', `This reader of ${what} is closed`, { path });
  }

  #assertFree(): void {
    this.#assertOpen();
    if (!this.#busy) return;
    const { what, path } = this.#channels;
    throw new MillraceError(
      'ERR_BUSY',
      `A handler of this reader of ${what} is running: let it return first`,
      { path },
    );
  }
}

export function createMany<Out>(channels: Channels, options: ManyOptions<Out>): Making<Out> {
  return create(channels, options);
}

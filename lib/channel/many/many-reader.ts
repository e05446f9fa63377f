import { invalidArgument, MillraceError, withFacts } from '../../errors.js';
import { knownOptions, show, wholeNumber } from '../../options.js';
import type { Reader } from '../ends/index.js';
import { type ReaderRecord, type RecordHandler, writerDead } from '../reading/index.js';
import { isTurnOver, turn } from '../runtime/index.js';
import { type WaitOptions, waitOptions } from '../waiting/index.js';
import { Arrivals } from './arrivals.js';
import type { Directory } from './directory.js';
import type { ManyOptions } from './options.js';
import { type Access, FAILED, FairOrder, type Order, TimeOrder } from './orders.js';
import { type ManySource, Source } from './source.js';

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

const RECORDS_A_CALL = 1024;
const RECORDS_A_LOOK_AT_THE_CLOCK = 16;
/** What is read as one, in words; and the path, where it is a directory. */
export interface Channels {
  what: string;
  path?: string;
}

/** What `openAll` alone does with the reader that it makes. */
export interface Making<Out> {
  many: ManyReader<Out>;
  add(reader: Reader<Out>): void;
  /** Something that whoever reads next is to hear of. */
  tell(fault: unknown): void;
  /** The file under that path is gone. */
  forget(path: string): void;
  /** Its channels are those of this directory. */
  follow(directory: Directory): void;
}

let create: <Out>(channels: Channels, options: ManyOptions<Out>) => Making<Out>;

/** Many channels, read as one stream. */
export class ManyReader<Out = Buffer> {
  readonly #channels: Channels;
  readonly #onDeath: ManyOptions['onDeath'];
  readonly #order: Order<Out>;
  /** Whether a record may be held back. */
  readonly #holds: boolean;
  #directory: Directory | undefined;
  #sources: Source<Out>[] = [];
  /** Whether any of them is over, or removed: nobody looks through all of them after each record for nothing. */
  #someOver = false;
  #someRemoved = false;
  /** How those stood that are no longer read, by path; but for those whose file is gone, which may be any number. */
  readonly #gone = new Map<string, ManySource>();
  readonly #access: Access<Out> = {
    take: (source, most) => this.#take(source, most),
    look: (source) => this.#look(source),
    isOver: (source) => this.#isOver(source),
  };
  /** Where the running call's records go: a handler, of whatever they decode to, or a list; and whose they are. */
  #handler: ManyHandler<unknown> | undefined;
  #records: ManyRecord<Out>[] | undefined;
  #reader: Reader<Out> | undefined;
  readonly #handOn: RecordHandler = (bytes, start, end, type) => {
    this.#handling = true;
    (this.#handler as ManyHandler<unknown>)(bytes, start, end, type, this.#reader as Reader<Out>);
    this.#handling = false;
  };
  /** What is still to be told. */
  readonly #faults: unknown[] = [];
  readonly #arrivals: Arrivals<Out>;
  #busy = false;
  #handling = false;
  #closed = false;
  #closing = false;

  private constructor(channels: Channels, options: ManyOptions<Out>) {
    this.#channels = channels;
    this.#onDeath = options.onDeath ?? 'throw';
    const { holdMs = 0 } = options;
    this.#holds = holdMs > 0;
    this.#order = options.order === 'timestamp' ? new TimeOrder(holdMs) : new FairOrder();
    const { what, path } = channels;
    this.#arrivals = new Arrivals<Out>(
      { what: `Waiting for records of ${what}`, path },
      {
        look: () => this.#lookForAny(),
        sources: () => this.#sources,
        ended: (source) => this.#isOver(source),
        failed: (source, error) => this.#fail(source, error),
        keepAlive: (on) => this.#directory?.keepAlive(on),
      },
    );
  }

  static {
    create = <T>(channels: Channels, options: ManyOptions<T>): Making<T> => {
      const many = new ManyReader<T>(channels, options);
      return {
        many,
        add: (reader) => many.#add(reader),
        tell: (fault) => many.#tell(fault),
        forget: (path) => many.#forget(path),
        follow: (directory) => {
          many.#directory = directory;
        },
      };
    };
  }

  #add(reader: Reader<Out>): void {
    this.#sources.push(new Source(reader, this.#holds));
    this.#gone.delete(reader.path);
    this.#arrivals.wake();
  }

  /** The file of a channel was removed: once its writer is dead, nobody will write it. */
  #forget(path: string): void {
    this.#gone.delete(path);
    for (const source of this.#sources) {
      if (source.reader.path !== path || source.isRemoved) continue;
      source.isRemoved = this.#someRemoved = true;
      source.reader.on('status', () => this.#dropThoseLeft());
    }
    this.#dropThoseLeft();
  }

  #dropThoseLeft(): void {
    if (this.#busy || this.#closed) return;
    if (this.#someRemoved) for (const source of this.#sources) if (source.isRemoved) this.#isOver(source);
    this.#dropThoseOver();
  }

  #tell(fault: unknown): void {
    this.#faults.push(fault);
    this.#arrivals.wake();
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
    if (this.#faults.length > 0) throw this.#faults.shift();
    this.#busy = true;
    this.#handler = handler as ManyHandler<unknown> | undefined;
    this.#records = records;
    let count: number;
    try {
      count = this.#order.handOut(this.#sources, wanted, this.#access);
    } finally {
      this.#busy = this.#handling = false;
      this.#handler = this.#records = this.#reader = undefined;
      this.#dropThoseLeft();
      if (this.#closing) this.close();
    }
    if (count === 0 && this.#faults.length > 0) throw this.#faults.shift();
    return count;
  }

  #take(source: Source<Out>, most: number): number {
    if (this.#closing || this.#faults.length > 0) return FAILED;
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
      this.#fail(source, error);
      return this.#faults.length > 0 ? FAILED : 0;
    }
  }

  #copyOut(reader: Reader<Out>, most: number, records: ManyRecord<Out>[]): number {
    const batch = reader.readBatch(most);
    for (const record of batch) records.push(Object.assign(record, { source: reader.path }));
    return batch.length;
  }

  /** Whether a source has a record; what is wrong with it is told later. */
  #look(source: Source<Out>): boolean {
    if (source.over) return false;
    try {
      return source.peek();
    } catch (error) {
      this.#fail(source, error);
      return false;
    }
  }

  /** Whether nothing will come of a source any more. Costs more than a look. */
  #isOver(source: Source<Out>): boolean {
    if (source.over) return true;
    try {
      if (source.reader.ended) this.#end(source);
      else if (source.isLeft) this.#leave(source);
    } catch (error) {
      this.#fail(source, error);
    }
    return source.over;
  }

  #leave(source: Source<Out>): void {
    const { path, position } = source.reader;
    if (source.resting) {
      this.#end(source);
      this.#arrivals.wake();
    } else {
      this.#fail(source, writerDead(path, position));
    }
  }

  #end(source: Source<Out>): void {
    source.over = this.#someOver = true;
  }

  #dropThoseThatEnded(): void {
    for (const source of this.#sources) this.#isOver(source);
    this.#dropThoseOver();
  }

  /** Notes what is to be told of a source, and goes on behind it where that is possible. */
  #fail(source: Source<Out>, error: unknown): void {
    source.error = error;
    if (!(error instanceof MillraceError)) {
      this.#tell(error);
    } else if (error.path === undefined) {
      // From a codec, which does not know of which channel its bytes are.
      this.#tell(withFacts(error, { path: source.reader.path }));
    } else {
      const isDead = error.code === 'ERR_WRITER_DEAD';
      if (isDead && this.#directory?.watched === true && !source.isRemoved) this.#rest(source);
      else if (!source.goOnBehind(error)) this.#end(source);
      // Whoever closed a reader wants no more of it.
      const known = error.code === 'ERR_CLOSED_HANDLE';
      const unwanted = isDead && this.#onDeath !== 'throw';
      if (known || unwanted) this.#arrivals.wake();
      else this.#tell(error);
    }
  }

  #rest(source: Source<Out>): void {
    source.rest(
      () => this.#arrivals.wake(),
      (error) => this.#fail(source, error),
    );
  }

  #dropThoseOver(): void {
    if (!this.#someOver) return;
    for (const source of this.#sources) if (source.over) this.#drop(source);
    this.#sources = this.#sources.filter(({ over }) => !over);
    this.#someRemoved = this.#sources.some(({ isRemoved }) => isRemoved);
    this.#someOver = false;
  }

  #drop(source: Source<Out>): void {
    const { reader } = source;
    const last = source.isRemoved ? undefined : source.describe();
    if (last !== undefined) this.#gone.set(reader.path, last);
    reader.close();
  }

  /** Ends when no channel is left to read; of a directory that is watched, when it is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ManyRecord<Out>, void, undefined> {
    this.#assertOpen();
    let sinceTurn = 0;
    while (await this.#arrivals.wait()) {
      for (let record = this.read(); record !== undefined; record = this.read()) {
        yield record;
        if (++sinceTurn % RECORDS_A_LOOK_AT_THE_CLOCK === 0 && isTurnOver()) await turn();
        if (this.#closed) return;
      }
    }
  }

  /** Like iteration, but batch by batch. */
  async *batches(
    options: WaitOptions & { max?: number } = {},
  ): AsyncGenerator<ManyRecord<Out>[], void, undefined> {
    knownOptions('batches', options, ['max', 'signal', 'timeoutMs']);
    const max = wholeNumber('max', options.max ?? RECORDS_A_CALL, 1, Number.MAX_SAFE_INTEGER);
    const { signal, timeoutMs } = options;
    this.#assertOpen();
    while (await this.#arrivals.wait({ signal, timeoutMs })) {
      const batch = this.readBatch(max);
      if (batch.length > 0) yield batch;
      if (this.#closed) return;
      await turn();
    }
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
    const dueIn = this.#order.dueIn(this.#sources, this.#access);
    this.#dropThoseOver();
    // Who is told that one is dropped may close this.
    if (this.#closed) return false;
    if (this.#faults.length > 0 || dueIn === 0) return true;
    return this.#hasEnded() ? false : dueIn;
  }

  #hasEnded(): boolean {
    return this.#sources.length === 0 && this.#directory?.watched !== true;
  }

  /** All is read and told, and no channel is left; never of a directory that is watched. */
  get ended(): boolean {
    this.#assertOpen();
    if (this.#busy) return false;
    this.#dropThoseThatEnded();
    return this.#faults.length === 0 && this.#hasEnded();
  }

  /** Where each channel stands, those too that are no longer read, as long as their file is there. */
  sources(): ManySource[] {
    this.#assertOpen();
    if (!this.#busy) this.#dropThoseThatEnded();
    const read = this.#sources.map((source) => source.describe());
    return [...this.#gone.values(), ...read.filter((source) => source !== undefined)];
  }

  /** The reader of the channel under that path, while it is read. Seeking it is well; closing it drops the channel. */
  reader(path: string): Reader<Out> | undefined {
    return this.#sources.findLast(({ reader }) => reader.path === path)?.reader;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Closes all readers. Inside a handler: when that returns. */
  close(): void {
    if (this.#closed) return;
    if (this.#busy) {
      this.#closing = true;
      for (const { reader } of this.#sources) reader.close();
      return;
    }
    this.#closed = true;
    this.#arrivals.close();
    this.#directory?.close();
    for (const { reader } of this.#sources) reader.close();
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
    throw new MillraceError('ERR_BUSY', `A handler of this reader of ${what} is running`, { path });
  }
}

export function createMany<Out>(channels: Channels, options: ManyOptions<Out>): Making<Out> {
  return create(channels, options);
}

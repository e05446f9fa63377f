import { isUnlooked, type Limits, turn, type WaitOptions } from '../../channel/index.js';
import { invalidArgument, MillraceError } from '../../errors.js';
import { checkWait, knownOptions, oneOf, parseSize, type Size, saidNow, wholeNumber } from '../../options.js';
import { type Directory, isBroken } from '../files/index.js';
import type { LogRecord } from '../records/index.js';
import { type Behind, backwards } from './backwards.js';
import type { Tail } from './tail.js';
import type { LogWhere, TailOptions } from './tail-options.js';

export interface ReadOptions extends WaitOptions {
  /** Where to begin. Default: 'latest' when following or going backwards, else 'earliest'; or where the cursor is. */
  from?: LogWhere | undefined;
  /** Whether to wait for more at the end (false). */
  follow?: boolean | undefined;
  /** How many records at most. */
  limit?: number | undefined;
  /** How many bytes of keys and values at most, but one record at least. */
  maxBytes?: Size | undefined;
  /** Last record first. */
  reverse?: boolean | undefined;
  /** The name of a cursor to begin at, and to move past each record when the next one is asked for. */
  cursor?: string | undefined;
  /** Only what is on the disk. */
  durableOnly?: boolean | undefined;
  /** What to do where records are gone that were to be read ('throw'). */
  outOfRange?: 'throw' | 'earliest' | 'latest' | undefined;
}

export interface BatchesOptions extends ReadOptions {
  /** How many records a batch has at most (1024). */
  max?: number | undefined;
}

const READ_OPTIONS = [
  'from',
  'follow',
  'limit',
  'maxBytes',
  'reverse',
  'cursor',
  'durableOnly',
  'outOfRange',
  'signal',
  'timeoutMs',
] as const satisfies readonly (keyof ReadOptions)[];

const BATCHES_OPTIONS = [...READ_OPTIONS, 'max'] as const satisfies readonly (keyof BatchesOptions)[];

/** Returns them as they are now. */
export function checkReadOptions(options: ReadOptions): ReadOptions {
  return checked('read', options, READ_OPTIONS);
}

/** Returns them as they are now. */
export function checkBatchesOptions(options: BatchesOptions): BatchesOptions {
  const own = checked('batches', options, BATCHES_OPTIONS);
  if (own.max !== undefined) wholeNumber('max', own.max, 1, Number.MAX_SAFE_INTEGER);
  return own;
}

function checked<T extends ReadOptions>(what: string, options: T, known: readonly (keyof T & string)[]): T {
  knownOptions(what, options, known);
  const own = saidNow(options, known);
  oneOf('follow', own.follow ?? false, [true, false]);
  oneOf('reverse', own.reverse ?? false, [true, false]);
  oneOf('durableOnly', own.durableOnly ?? false, [true, false]);
  oneOf('outOfRange', own.outOfRange ?? 'throw', ['throw', 'earliest', 'latest']);
  if (own.limit !== undefined) wholeNumber('limit', own.limit, 0, Number.MAX_SAFE_INTEGER);
  if (own.maxBytes !== undefined) parseSize('maxBytes', own.maxBytes);
  checkWait(own);
  if (own.reverse !== true) return own;
  for (const other of ['follow', 'cursor', 'durableOnly'] as const) {
    if (own[other] !== undefined && own[other] !== false) {
      throw invalidArgument(`Reading backwards goes without ${other}`, { option: other });
    }
  }
  return own;
}

/** Where records come from: a tail that is moved on, or the way back. */
export interface RecordSource {
  readonly closed: boolean;
  /** What is read, for messages. */
  readonly path: string;
  /** The offset from which on nothing was looked at. */
  readonly offset: number;
  /** What is there now, up to `max`; nothing: wait. That may be a turn of the event loop only. */
  read(max: number): LogRecord[];
  /** False: there will be nothing more. May throw. Not through promises that only pass it on: a record would wait for each. */
  wait(limits: Limits, isOver: () => boolean): Promise<boolean>;
  rouse(): void;
  close(): void;
}

/** Records from a tail, up to where the log ended when it began; or, following, without an end. */
class Forwards implements RecordSource {
  readonly path: string;
  readonly #tail: Tail;
  readonly #until: number;
  readonly #findEnd: () => number;

  /** `until`: NaN where damage hides the end. Nothing is at or behind it then, and `findEnd` throws that damage. */
  constructor(path: string, tail: Tail, until: number, findEnd: () => number) {
    this.path = path;
    this.#tail = tail;
    this.#until = until;
    this.#findEnd = findEnd;
  }

  get closed(): boolean {
    return this.#tail.closed;
  }

  get offset(): number {
    const { offset } = this.#tail;
    return offset >= this.#until ? this.#until : offset;
  }

  read(max: number): LogRecord[] {
    if (this.#tail.offset >= this.#until) return [];
    const records = this.#tail.readInTurn(max);
    const beyond = records.findIndex(({ offset }) => offset >= this.#until);
    return beyond < 0 ? records : records.slice(0, beyond);
  }

  wait(limits: Limits, isOver: () => boolean): Promise<boolean> {
    if (this.#tail.closed || this.#tail.offset >= this.#until) return Promise.resolve(false);
    if (this.#tail.isPaused) return turn().then(() => true);
    if (this.#until === Number.POSITIVE_INFINITY) return this.#tail.wait(limits, isOver);
    return Promise.resolve(this.#hasMore());
  }

  #hasMore(): boolean {
    if (this.#tail.hasNext()) return true;
    // What is there is read: not as if that were all.
    if (Number.isNaN(this.#until)) this.#findEnd();
    return false;
  }

  rouse(): void {
    this.#tail.rouse();
  }

  close(): void {
    this.#tail.close();
  }
}

/** Records from the last one before a place back to the earliest. */
class Backwards implements RecordSource {
  readonly path: string;
  /** All lies behind it. */
  readonly offset = 0;
  readonly #records: Iterator<LogRecord | undefined>;
  readonly #log: ReadLog;
  #done = false;
  #failure: { error: unknown } | undefined;
  #closed = false;

  constructor(path: string, records: Iterator<LogRecord | undefined>, log: ReadLog) {
    this.path = path;
    this.#records = records;
    this.#log = log;
  }

  /** Nobody but who reads it keeps this: the log can't close it. */
  get closed(): boolean {
    return this.#closed || this.#log.closed;
  }

  read(max: number): LogRecord[] {
    const read: LogRecord[] = [];
    while (read.length < max && !this.#done) {
      const next = this.#next();
      if (next.done === true) this.#done = true;
      else if (next.value === undefined) break;
      else read.push(next.value);
    }
    if (this.#failure !== undefined && read.length === 0) throw this.#failure.error;
    return read;
  }

  /** What was read before a failure is handed out before that is thrown. */
  #next(): IteratorResult<LogRecord | undefined> {
    if (this.#failure === undefined) {
      try {
        return this.#records.next();
      } catch (error) {
        this.#failure = { error };
      }
    }
    return { done: true, value: undefined };
  }

  async wait(): Promise<boolean> {
    if (!this.#done) await turn();
    return !this.#done;
  }

  rouse(): void {}

  close(): void {
    this.#closed = true;
    this.#records.return?.();
  }
}

/** What is read: an open log. */
interface ReadLog {
  readonly closed: boolean;
  readonly earliest: number;
  readonly next: number;
  tail(options: TailOptions): Tail;
}

/** Where the records come from that were asked for. */
export function sourceOf(log: ReadLog, directory: Directory, options: ReadOptions): RecordSource {
  const { from, follow = false, reverse = false, durableOnly, outOfRange, cursor } = options;
  const { path } = directory;
  if (reverse) {
    const records = backwards(directory, behind(log, from ?? 'latest', outOfRange));
    return new Backwards(path, records, log);
  }
  const until = follow ? Number.POSITIVE_INFINITY : knownEnd(log);
  const start = from ?? (follow && cursor === undefined ? 'latest' : 'earliest');
  return new Forwards(path, log.tail({ from: start, durableOnly, outOfRange }), until, () => log.next);
}

/** NaN where damage hides it: what lies before that can be read. */
export function knownEnd(log: Pick<ReadLog, 'next'>): number {
  try {
    return log.next;
  } catch (error) {
    if (error instanceof MillraceError && !isUnlooked(error)) return Number.NaN;
    throw error;
  }
}

/** Past damage that hides where that is: who reads there hears of it. */
function behind(log: ReadLog, where: LogWhere, outOfRange: ReadOptions['outOfRange']): Behind {
  try {
    return offsetBehind(log, where, outOfRange);
  } catch (error) {
    if (!isBroken(error) || typeof where === 'object') throw error;
    // Where records are gone that were asked for, it was to begin at the end.
    return typeof where === 'number' && where >= log.earliest ? where + 1 : error;
  }
}

/** Going backwards from a record begins with that record; from a time, with the one before that. */
function offsetBehind(log: ReadLog, where: LogWhere, outOfRange: ReadOptions['outOfRange']): number {
  if (where === 'latest') return log.next;
  if (where === 'earliest') return log.earliest + 1;
  const tail = log.tail({ from: where, outOfRange });
  const { offset } = tail;
  tail.close();
  return typeof where === 'number' ? offset + 1 : offset;
}

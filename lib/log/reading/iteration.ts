import {
  LEAST_RECORDS_A_BATCH,
  type Limits,
  limitsFromNow,
  RecordIterator,
  type Task,
  TurnClock,
  throwIfOver,
} from '../../channel/index.js';
import { parseSize } from '../../options.js';
import { hasExpired, type LogRecord } from '../records/index.js';
import type { CursorMover } from './cursor-mover.js';
import type { BatchesOptions, ReadOptions, RecordSource } from './reading.js';

const RECORDS_A_BATCH = 1024;
/** Read ahead of who iterates. */
const RECORDS_AHEAD = 64;
const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/** What a read takes at most, and when it is enough. */
class Allowance {
  #records: number;
  #bytes: number;

  constructor({ limit, maxBytes }: ReadOptions) {
    this.#records = limit ?? NO_LIMIT;
    this.#bytes = maxBytes === undefined ? NO_LIMIT : parseSize('maxBytes', maxBytes);
  }

  /** Records that may be read still. */
  get records(): number {
    return this.#records;
  }

  get isUsedUp(): boolean {
    return this.#records <= 0;
  }

  /** False where it is too much; the first one never is. */
  take({ value, key }: LogRecord, isFirst: boolean): boolean {
    const bytes = value.length + (key?.length ?? 0);
    if (this.isUsedUp || (bytes > this.#bytes && !isFirst)) {
      this.#records = 0;
      return false;
    }
    this.#records--;
    this.#bytes -= bytes;
    if (this.#bytes <= 0) this.#records = 0;
    return true;
  }
}

/** `for await` over the records of a log. */
export function iterate(
  source: RecordSource,
  options: ReadOptions,
  mover: CursorMover | undefined,
  assertOpen: () => void,
): RecordIterator<LogRecord> {
  const clock = new TurnClock();
  const reading = new Reading(source, options, mover, clock);
  let ahead: readonly LogRecord[] = [];
  let at = 0;
  /** The next one that has not expired since it was read: it may have waited long for its turn. */
  const next = () => {
    for (;;) {
      if (at >= ahead.length) {
        mover?.move();
        ahead = reading.read(RECORDS_AHEAD, 1);
        at = 0;
      }
      const record = ahead[at];
      if (record === undefined || !hasExpired(record.expiresAt)) return record;
      at++;
    }
  };
  const read = () => {
    mover?.pass();
    if (!reading.goesOn()) return undefined;
    const record = next();
    if (record === undefined) mover?.reach(source.offset);
    if (record === undefined || !reading.takes(record)) return undefined;
    at++;
    mover?.giving(record);
    return record;
  };
  return iteratorOf(reading, read, assertOpen, clock);
}

/** The same, batch by batch. What is in one is handed out in the turn in which it was read, and not judged again. */
export function iterateBatches(
  source: RecordSource,
  options: BatchesOptions,
  mover: CursorMover | undefined,
  assertOpen: () => void,
): RecordIterator<LogRecord[]> {
  const { max = RECORDS_A_BATCH } = options;
  const clock = new TurnClock();
  const reading = new Reading(source, options, mover, clock);
  const read = () => {
    mover?.pass();
    mover?.move();
    if (!reading.goesOn()) return undefined;
    const batch: LogRecord[] = [];
    for (const record of reading.read(max, LEAST_RECORDS_A_BATCH)) {
      if (!reading.takes(record)) break;
      batch.push(record);
    }
    const last = batch.at(-1);
    if (last === undefined) {
      if (!reading.isEnough) mover?.reach(source.offset);
      return undefined;
    }
    mover?.giving(last);
    // What is made of them takes its time, too.
    clock.end();
    return batch;
  };
  return iteratorOf(reading, read, assertOpen, clock);
}

function iteratorOf<T>(
  reading: Reading,
  read: () => T | undefined,
  assertOpen: () => void,
  clock: TurnClock,
): RecordIterator<T> {
  const { source, mover } = reading;
  return new RecordIterator<T>(
    {
      get closed() {
        return source.closed;
      },
      assertOpen,
      read,
      wait(isOver) {
        const more = reading.wait(isOver);
        return mover === undefined ? more : more.then((isMore) => isMore || mover.moved().then(() => false));
      },
      rouse: () => source.rouse(),
      async end() {
        source.close();
        await mover?.end();
      },
    },
    clock,
  );
}

/** One iteration: what it reads of, how much it may take and until when, and the cursor that goes along. */
class Reading {
  readonly source: RecordSource;
  readonly mover: CursorMover | undefined;
  readonly #allowance: Allowance;
  readonly #limits: Limits;
  readonly #task: Task;
  readonly #clock: TurnClock;
  #isFirst = true;
  /** What went wrong behind what was read last. */
  #fault: { error: unknown } | undefined;

  constructor(source: RecordSource, options: ReadOptions, mover: CursorMover | undefined, clock: TurnClock) {
    this.source = source;
    this.mover = mover;
    this.#allowance = new Allowance(options);
    this.#limits = limitsFromNow(options);
    this.#task = { what: `Reading ${source.path}`, path: source.path };
    this.#clock = clock;
  }

  get isEnough(): boolean {
    return this.#allowance.isUsedUp;
  }

  /** Also where records are there all the time, reading is over when it is to be; what was passed until then is. */
  goesOn(): boolean {
    if (this.isEnough) return false;
    try {
      throwIfOver(this.#limits, this.#task);
    } catch (error) {
      this.mover?.move();
      throw error;
    }
    return true;
  }

  /** Up to `max` records that are there, or as many as there is time for; where they are there, so many `least`. */
  read(max: number, least: number): readonly LogRecord[] {
    if (this.#fault !== undefined) throw this.#fault.error;
    let records: LogRecord[] = [];
    const some = (wanted: number) => {
      const read = this.source.read(wanted);
      if (records.length === 0) records = read;
      else for (const record of read) records.push(record);
      return read.length;
    };
    try {
      this.#clock.take(Math.min(max, this.#allowance.records), some, least);
    } catch (error) {
      if (records.length === 0) throw error;
      this.#fault = { error };
    }
    return records;
  }

  /** Whether a record that was read may be handed out; if not, nothing more is. */
  takes(record: LogRecord): boolean {
    const taken = this.#allowance.take(record, this.#isFirst);
    this.#isFirst = false;
    // Who wants one record asks for no other. But a cursor moves past the last one when the next is asked for.
    if (this.isEnough && this.mover === undefined) this.source.close();
    return taken;
  }

  /** False: there will be nothing more, or nothing more is allowed. */
  wait(isOver: () => boolean): Promise<boolean> {
    return this.isEnough ? Promise.resolve(false) : this.source.wait(this.#limits, isOver);
  }
}

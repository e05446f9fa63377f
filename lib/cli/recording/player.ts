import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import { MillraceError, type Writer } from '../../index.js';
import type { Log, LogRecord, LogWhere, Tail } from '../../log/index.js';
import { gapOf, gapText, told } from '../log/index.js';
import { say } from '../output.js';
import type { OnProgress } from '../progress.js';
import { offsets, plain, plural } from '../words.js';
import { toChannel } from './headers.js';
import { Pace } from './pace.js';

export interface Ways {
  /** The first offset that is not replayed. */
  end: number;
  limit: number;
  speed: number;
  /** Whether records get the time at which they are written. */
  isNow: boolean;
}

/** The offset of a place; without an end where damage hides that of the log. */
export function endOf(log: Log, to: LogWhere): number {
  if (to === 'latest') return told(() => log.next).value ?? Number.POSITIVE_INFINITY;
  using tail = log.tail({ from: to });
  return tail.offset;
}

/** Whether there is anything before `end` for the tail to read, which stays where it is. Damage is: it is told as it is met. */
export function hasRecords(tail: Tail, end: number): boolean {
  const { offset } = tail;
  try {
    const record = tail.read();
    if (record === undefined || record.offset >= end) return false;
  } catch (error) {
    if (gapOf(error) === undefined) throw error;
  }
  tail.seek(offset);
  return true;
}

const LOOK_EVERY_MS = 10;
const RECORDS_A_TURN = 512;

/** Writes the records of a log into a channel, each when it is due. */
export class Player {
  readonly #log: Log;
  readonly #tail: Tail;
  readonly #writer: Writer;
  readonly #ways: Ways;
  #replayed = 0;
  #first: number | undefined;
  #last: number | undefined;
  #lost = 0;
  #isTold = false;
  #sound = true;

  constructor(log: Log, tail: Tail, writer: Writer, ways: Ways) {
    this.#log = log;
    this.#tail = tail;
    this.#writer = writer;
    this.#ways = ways;
  }

  /** Whether no damage was met. */
  get isSound(): boolean {
    return this.#sound;
  }

  async waitForReaders(least: number, signal: AbortSignal): Promise<void> {
    const enough = () => this.#writer.readers().filter(isThere).length >= least;
    if (enough()) return;
    say(`waits for ${plural(least, 'reader')} of ${this.#writer.path}`);
    while (!enough()) await delay(LOOK_EVERY_MS, undefined, { signal });
  }

  async run(signal: AbortSignal, onProgress: OnProgress): Promise<void> {
    const { limit, speed } = this.#ways;
    const pace = new Pace(speed);
    const start = this.#tail.offset;
    const total = Math.min(this.#ways.end - start, limit);
    while (this.#replayed < limit && !signal.aborted) {
      const record = this.#next();
      if (record === undefined) return;
      const isDue = pace.left(record.timestamp) === 0;
      if (!isDue || this.#replayed % RECORDS_A_TURN === 0) {
        onProgress(record.offset - start, total);
        await (isDue ? turn() : pace.until(record.timestamp, signal));
      }
      await this.#write(record, signal);
    }
  }

  /** The next record there is; undefined: that was the last one. */
  #next(): LogRecord | undefined {
    for (;;) {
      if (this.#tail.offset >= this.#ways.end) return undefined;
      try {
        const record = this.#tail.read();
        return record === undefined || record.offset >= this.#ways.end ? undefined : record;
      } catch (error) {
        this.#passOver(error);
      }
    }
  }

  #passOver(error: unknown): void {
    const gap = gapOf(error);
    // Damage that leads nowhere, or to itself, ends it.
    if (gap?.next === undefined || gap.next <= this.#tail.offset) throw error;
    this.#sound = false;
    say(`${this.#log.path} is damaged ${gapText(gap)} (${gap.code})`);
    this.#tail.seek(gap.next);
  }

  async #write(record: LogRecord, signal: AbortSignal): Promise<void> {
    const { value, timestamp, offset } = record;
    const { type, tag, lost, hasMore } = toChannel(record);
    const time = this.#ways.isNow ? undefined : { us: timestamp };
    try {
      await this.#writer.send(value, { type, tag, timestamp: time, signal });
    } catch (error) {
      throw advised(error, offset);
    }
    this.#replayed++;
    this.#first ??= offset;
    this.#last = offset;
    this.#lost += lost;
    if (hasMore) this.#tellLeftOut();
  }

  #tellLeftOut(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    say(`the keys and headers of ${this.#log.path} are left out: a channel's records have none`);
  }

  /** Says what was missing already when it was recorded. */
  tellLost(): void {
    if (this.#lost > 0) {
      say(`${plural(this.#lost, 'record')} had been lost before ${this.#log.path} was made of the others`);
    }
  }

  get summary() {
    return { replayed: this.#replayed, first: this.#first, last: this.#last };
  }

  get text(): string {
    if (this.#first === undefined || this.#last === undefined) return 'replayed nothing';
    return `replayed ${plain(this.#replayed, 'record')}: ${offsets(this.#first, this.#last + 1)}`;
  }
}

function isThere({ alive, state }: ReturnType<Writer['readers']>[number]): boolean {
  return alive && (state === 'gating' || state === 'observing');
}

/** Where the channel is too small: what can be done about it. */
function advised(error: unknown, offset: number): unknown {
  const { code, message } = error as MillraceError;
  if (code !== 'ERR_CHANNEL_FULL' && code !== 'ERR_RECORD_TOO_LARGE') return error;
  return new MillraceError(code, `record ${offset} of the log: ${message}; --size makes a larger one`);
}

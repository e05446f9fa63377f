import { setImmediate as turn } from 'node:timers/promises';
import { MillraceError, type Reader, type ReaderRecord, type Where } from '../../index.js';
import { DEFAULT_SEGMENT, type Log, type LogRecordInput } from '../../log/index.js';
import { MOST_BYTES, MOST_RECORDS } from '../batches.js';
import { forward, Gap, Overwritten } from '../channel/index.js';
import { say, sayProgress } from '../output.js';
import { count, offsets, plain } from '../words.js';
import { type Next, nextOf, toLog } from './headers.js';

export interface Ways {
  limit: number;
  /** Whether each batch is to be on the disk before the next one is read. */
  commits: boolean;
}

/** Opens the log to append to it, with segments that grow so large. */
type Opening = (segment: number) => Promise<Log>;

/** Brings the records of a channel into a log, batch by batch; each says where to go on, so whoever ends it leaves no doubt. */
export class Recorder {
  readonly #reader: Reader;
  readonly #open: Opening;
  #log: Log;
  readonly #ways: Ways;
  readonly #overwritten: Overwritten;
  #recorded = 0;
  #lost = 0;
  #first: number | undefined;
  #last: number | undefined;
  #channelId: string;
  /** The number of the record that comes next, if none is lost. */
  #expected: number | undefined;
  /** What is missing next is damaged, which was told, and not overwritten. */
  #isDamaged = false;
  #sound = true;

  private constructor(reader: Reader, open: Opening, log: Log, ways: Ways) {
    this.#reader = reader;
    this.#open = open;
    this.#log = log;
    this.#ways = ways;
    this.#channelId = reader.channelId;
    this.#overwritten = new Overwritten(reader.path, 'recorded');
  }

  static async open(reader: Reader, open: Opening, ways: Ways): Promise<Recorder> {
    return new Recorder(reader, open, await open(DEFAULT_SEGMENT), ways);
  }

  /** Puts the reader where the log's records end; in a channel that it has none of, at `from`, which is the oldest if not said. */
  async goOn(from: Where | undefined, signal: AbortSignal): Promise<void> {
    const next = await lastNext(this.#log, signal);
    if (next?.channelId === this.#channelId) {
      if (from !== undefined) {
        say(
          `${this.#log.path} ends with records of ${this.#reader.path}, which is gone on with behind them, and not at --from`,
        );
      }
      return this.#goOnAt(next);
    }
    this.#reader.seek(from ?? 'oldest');
    if (next !== undefined) {
      say(
        `${this.#log.path} ends with records of another channel than ${this.#reader.path}, which is begun anew`,
      );
    }
  }

  #goOnAt({ position, record }: Next): void {
    this.#expected = record;
    if (!this.#seekTo(position)) {
      // How many are gone is told by the number of the first one that is left.
      this.#reader.seek('oldest');
    } else if (this.#reader.recordNumber !== record) {
      throw this.#isOther(position);
    }
  }

  /** False: what was there is overwritten. */
  #seekTo(position: number): boolean {
    try {
      this.#reader.seek(position);
      return true;
    } catch (error) {
      const { code } = error as MillraceError;
      if (code === 'ERR_OVERTAKEN') return false;
      throw code === 'ERR_INVALID_ARGUMENT' ? this.#isOther(position) : error;
    }
  }

  /** A machine that went down took the end of the channel with it, and others wrote on. */
  #isOther(position: number): MillraceError {
    const { path } = this.#reader;
    return new MillraceError(
      'ERR_CORRUPT',
      `${path} has not, or no more, the records that ${this.#log.path} ends with: record it into another directory`,
      { path, position },
    );
  }

  /** Until the stream ends, or all that was asked for is recorded; true if all is well. Throws where it is stopped. */
  async run(stop: AbortSignal): Promise<boolean> {
    using _overwritten = this.#overwritten;
    while (await this.#reader.ready({ signal: stop })) {
      const isStuck = await this.#recordNew(stop);
      if (isStuck) return false;
      if (this.#recorded === this.#ways.limit) return this.#sound;
      sayProgress(`${this.#reader.path}: ${count(this.#recorded)} recorded, ${count(this.#lost)} lost`);
      await turn();
    }
    say(`${this.#reader.path} is ${this.#reader.status}: this was its last record`);
    return this.#sound;
  }

  /** True: damage that nothing behind can be read of. */
  async #recordNew(signal: AbortSignal): Promise<boolean> {
    this.#noteChannel();
    const { batch, isStuck } = this.#take();
    if (batch.length === 0) return isStuck;
    const first = await this.#append(batch, signal);
    this.#recorded += batch.length;
    this.#first ??= first;
    this.#last = first + batch.length - 1;
    if (this.#ways.commits) await this.#log.flush();
    return isStuck;
  }

  /** Where a record is too large for the segments, larger ones are begun: the next channel may have larger ones, too. */
  async #append(batch: LogRecordInput[], signal: AbortSignal): Promise<number> {
    try {
      return await this.#log.appendAsync(batch, { signal });
    } catch (error) {
      const { code, size } = error as MillraceError;
      if (code !== 'ERR_RECORD_TOO_LARGE' || size === undefined) throw error;
      await this.#log.close();
      this.#log = await this.#open(segmentFor(size));
      return this.#log.appendAsync(batch, { signal });
    }
  }

  close(): Promise<void> {
    return this.#log.close();
  }

  #noteChannel(): void {
    const { channelId, path } = this.#reader;
    if (channelId === this.#channelId) return;
    say(`${path} is another channel now, which is gone on with`);
    this.#channelId = channelId;
    this.#expected = 0;
  }

  #take() {
    const most = Math.min(MOST_RECORDS, this.#ways.limit - this.#recorded);
    const taken: { record: ReaderRecord; lost: number }[] = [];
    let bytes = 0;
    let next = 0;
    let isStuck = false;
    for (const step of forward(this.#reader)) {
      if (step instanceof Gap) {
        isStuck = this.#noteGap(step);
        continue;
      }
      taken.push({ record: step, lost: this.#lostBefore(step) });
      next = this.#reader.position;
      bytes += step.data.length;
      if (taken.length === most || bytes >= MOST_BYTES) break;
    }
    const last = taken.length - 1;
    const batch = taken.map(({ record, lost }, i) => {
      const goOn = { channelId: this.#channelId, position: next, record: record.record + 1 };
      return toLog(record, lost, i === last ? goOn : undefined);
    });
    return { batch, isStuck };
  }

  #noteGap({ damage, next, text }: Gap): boolean {
    if (damage === undefined) return false;
    say(text);
    this.#isDamaged = true;
    this.#sound = false;
    return next === undefined;
  }

  #lostBefore({ record }: ReaderRecord): number {
    const lost = Math.max(0, record - (this.#expected ?? record));
    this.#expected = record + 1;
    this.#lost += lost;
    if (!this.#isDamaged) this.#overwritten.add(lost);
    this.#isDamaged = false;
    return lost;
  }

  get summary() {
    return { recorded: this.#recorded, lost: this.#lost, first: this.#first, last: this.#last };
  }

  get text(): string {
    const lost = this.#lost === 0 ? '' : `; ${plain(this.#lost, 'record')} lost`;
    if (this.#first === undefined || this.#last === undefined) return `recorded nothing${lost}`;
    return `recorded ${plain(this.#recorded, 'record')}: ${offsets(this.#first, this.#last + 1)}${lost}`;
  }
}

const LARGEST_SEGMENT = 2 ** 30;
/** A record of a log is at most so much of a segment, with what that has besides. */
const PART_OF_SEGMENT = 4;
const BESIDES = 4096;

/** So large that a record of that size fits, if there are any. */
function segmentFor(size: number): number {
  let segment = DEFAULT_SEGMENT;
  while (segment < LARGEST_SEGMENT && segment / PART_OF_SEGMENT < size + BESIDES) segment *= 2;
  return segment;
}

/** What others appended by hand behind the last batch says nothing of it. */
async function lastNext(log: Log, signal: AbortSignal): Promise<Next | undefined> {
  for await (const record of log.read({ reverse: true, signal })) {
    const next = nextOf(record);
    if (next !== undefined) return next;
  }
  return undefined;
}

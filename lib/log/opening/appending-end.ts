import { type Limits, within } from '../../channel/index.js';
import { MillraceError, withFacts } from '../../errors.js';
import type { LogSettings } from '../options.js';
import type { NO_STATS } from '../stats.js';
import { type Appendable, AppendLine, type LogWriter, RecordAppender } from '../writing/index.js';
import type { LogRecovery } from './recovery.js';
import type { SharedWriter } from './shared-writer.js';

/** The end of a log that is appended to: alone, or by turns with other processes. */
export class AppendingEnd {
  readonly recovery: LogRecovery;
  readonly #path: string;
  readonly #writer: LogWriter;
  readonly #shared: SharedWriter | undefined;
  readonly #line: AppendLine;
  readonly #appender: RecordAppender;

  constructor(
    path: string,
    settings: LogSettings,
    recovery: LogRecovery,
    writer: LogWriter,
    shared?: SharedWriter,
  ) {
    this.recovery = recovery;
    this.#path = path;
    this.#writer = writer;
    this.#shared = shared;
    this.#line = new AppendLine(writer, path);
    this.#appender = new RecordAppender(path, settings);
  }

  /** Told of each new segment, before it is begun. */
  set onRoll(told: () => void) {
    this.#writer.onRoll = told;
  }

  /** Who alone knows where the log ends; undefined where others append, too. */
  get alone(): LogWriter | undefined {
    return this.#shared === undefined ? this.#writer : undefined;
  }

  get stats(): typeof NO_STATS {
    return this.#writer.stats;
  }

  append(record: Appendable): number {
    return this.#appender.append(this.#assertAlone(), record);
  }

  appendBatch(records: readonly Appendable[]): number {
    return this.#appender.appendBatch(this.#assertAlone(), records);
  }

  #assertAlone(): LogWriter {
    if (this.#shared === undefined) return this.#writer;
    throw new MillraceError(
      'ERR_SHARED',
      `Several processes append to ${this.#path}, each in its turn, which has to be waited for: use appendAsync or commit`,
      { path: this.#path },
    );
  }

  /** Where nobody has to wait for anything it is appended before this returns: what is appended next comes behind it. */
  appendWithin(record: Appendable | readonly Appendable[], limits: Limits): number | Promise<number> {
    const append = () =>
      isBatch(record)
        ? this.#appender.appendBatch(this.#writer, record)
        : this.#appender.append(this.#writer, record);
    return this.#shared === undefined
      ? this.#line.append(append, limits)
      : this.#shared.inTurn(append, limits);
  }

  /** Resolves once it is on the disk. */
  async commit(record: Appendable | readonly Appendable[], limits: Limits): Promise<number> {
    const appended = this.appendWithin(record, limits);
    const offset = typeof appended === 'number' ? appended : await appended;
    try {
      const task = { what: `Syncing record ${offset} of ${this.#path}`, path: this.#path };
      await within(this.#writer.synced(), task, limits);
    } catch (error) {
      // It is in the log, whatever became of the sync.
      throw error instanceof MillraceError ? withFacts(error, { offset }) : error;
    }
    return offset;
  }

  async flush(limits: Limits): Promise<number> {
    // What others appended is known in a turn.
    await this.#shared?.inTurn(() => this.#writer.next, limits);
    return within(this.#writer.synced(), { what: `Syncing ${this.#path}`, path: this.#path }, limits);
  }

  ready(limits: Limits): Promise<void> {
    return this.#writer.ready(limits);
  }

  /** Now and then. */
  async lookAfter(): Promise<void> {
    this.#writer.giveBack();
    await (this.#shared ?? this.#writer).rollByAge();
  }

  /** Resolves once all that was sealed is let go. */
  settled(): Promise<void> {
    return this.#writer.settled();
  }

  /** Brings what was appended to the disk where that was promised, and lets go of it all. */
  close(): Promise<void> {
    return (this.#shared ?? this.#writer).close();
  }
}

function isBatch(record: Appendable | readonly Appendable[]): record is readonly Appendable[] {
  return Array.isArray(record);
}

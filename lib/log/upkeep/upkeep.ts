import { clearInterval } from 'node:timers';
import { every, Teller, turn } from '../../channel/index.js';
import { closedHandle } from '../../errors.js';
import type { CursorFile } from '../cursors/index.js';
import { COMPACTION_BYTE, type Directory, type LockFile, SEGMENTS_BYTE } from '../files/index.js';
import type { LogSettings } from '../options.js';
import { type Compacted, type CompactedLog, Compaction, type CompactOptions } from './compaction.js';
import { Exclusive } from './exclusive.js';
import { Retention } from './retention.js';

/** What there is to know of a log that is looked after. */
export interface KeptLog {
  directory: Directory;
  cursors: CursorFile;
  settings: LogSettings;
  lock: LockFile;
  /** Resolves once the segments that were sealed have given back what they don't use. */
  settled(): Promise<void>;
  /** Brings all that was appended so far to the disk; resolves with the offset below which everything is there. */
  synced(signal: AbortSignal): Promise<number>;
}

/** Looks after a log beside its appending: takes segments away, and replaces them by smaller ones. */
export class Upkeep {
  readonly #path: string;
  readonly #settings: LogSettings;
  readonly #teller: Teller;
  readonly #closing = new AbortController();
  /** Whoever removes or replaces segments. */
  readonly #segments: Exclusive;
  readonly #compactions: Exclusive;
  readonly #retention: Retention;
  readonly #compaction: Compaction;
  readonly #timer: NodeJS.Timeout | undefined;
  #due: Promise<void> | undefined;

  constructor({ directory, cursors, settings, lock, settled, synced }: KeptLog) {
    const { path } = directory;
    const { signal } = this.#closing;
    const teller = new Teller({ role: 'log', path }, settings.logger);
    this.#path = path;
    this.#settings = settings;
    this.#teller = teller;
    this.#segments = new Exclusive(
      lock,
      SEGMENTS_BYTE,
      { what: `Changing segments of ${path}`, path },
      signal,
    );
    this.#compactions = new Exclusive(lock, COMPACTION_BYTE, { what: `Compacting ${path}`, path }, signal);
    const tidied = { directory, teller, assertNamed: () => lock.assertNamed() };
    this.#retention = new Retention(settings.retention, { ...tidied, cursors, settled });
    const alone: CompactedLog['alone'] = (work, signal) => this.#segments.do(work, signal);
    const { compaction, compression } = settings;
    this.#compaction = new Compaction({ ...tidied, cursors, synced, alone, compression }, compaction);
    const { everyMs } = compaction;
    if (everyMs !== undefined) this.#timer = every(everyMs, this, compactByTime);
  }

  /** Soon after, what need not be kept is removed. Resolves once it is, or that failed. */
  async retainSoon(): Promise<void> {
    if (this.#retention.keepsAll) return;
    this.#due ??= this.#segments
      .do(() => this.#retain())
      .catch((error) => {
        this.#due = undefined;
        this.failed('Removing old segments', error);
      });
    await this.#due;
  }

  async #retain(): Promise<void> {
    await turn();
    // What is due from here on needs another look.
    this.#due = undefined;
    await this.#retention.apply(this.#closing.signal);
  }

  /** Takes away all that nobody needs. */
  async compact({ signal, onProgress }: CompactOptions): Promise<Compacted> {
    const closing = this.#closing.signal;
    const either = signal === undefined ? closing : AbortSignal.any([signal, closing]);
    try {
      return await this.#compactions.do(() => this.#compaction.run(0, onProgress, either), either);
    } catch (error) {
      throw closing.aborted ? closedHandle('log', this.#path) : error;
    }
  }

  /** The same where it is worth it, unless that is under way. */
  compactByTime(): void {
    if (this.#compactions.isBusy) return;
    const { minDeadRatio } = this.#settings.compaction;
    this.#compactions
      .do(() => this.#compaction.run(minDeadRatio, undefined, this.#closing.signal))
      .catch((error) => this.failed('Compacting', error));
  }

  /** Where nobody waits for it, who listens to the log hears of it. */
  failed(what: string, error: unknown): void {
    if (this.#closing.signal.aborted) return;
    const { message } = error as Error;
    this.#teller.tell('failed', `${what} of ${this.#path} failed: ${message}`, { error });
  }

  /** Ends what is under way as soon as it can be, but lets begin what is due; resolves once all has ended. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#due !== undefined) await turn();
    this.#closing.abort();
    await this.#compactions.settled();
    await this.#segments.settled();
  }
}

function compactByTime(upkeep: Upkeep): void {
  upkeep.compactByTime();
}

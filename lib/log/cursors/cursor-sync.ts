import { explain, factsOf, isUnopened } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { type CursorMapping, removed } from './cursor-mapping.js';

/** What was set is on the disk so long after it, at the latest. */
export const SYNC_AFTER_MS = 100;

/** Brings a file of cursors to its disk: soon after it was changed, and when it is asked to. */
export class CursorSync {
  readonly #current: () => CursorMapping | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Settled once the round that runs has ended, well or not. */
  #running: Promise<void> = Promise.resolve();
  /** The round behind it, which nobody has begun. */
  #next: Promise<void> | undefined;
  #failure: MillraceError | undefined;

  /** `current`: the file that the cursors are in now. */
  constructor(current: () => CursorMapping | undefined) {
    this.#current = current;
  }

  /** Something was changed. Whether the process ends meanwhile makes no difference: only a power cut would. */
  soon(): void {
    this.#timer ??= setTimeout(() => {
      // Whoever sets, flushes or closes next hears of it.
      this.flush().catch(() => {});
    }, SYNC_AFTER_MS).unref();
  }

  /** Resolves once everything stored before this call is on the disk. All who ask while a round runs share the next. */
  flush(): Promise<void> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const round = this.#round();
      this.#running = round.catch(() => {});
      return round;
    });
    return this.#next;
  }

  /** Brings to the disk what is not known to be there. Nothing is tried again after that. */
  async finish(): Promise<void> {
    try {
      if (!this.#isDue) await this.#running;
      if (this.#isDue) await this.flush();
    } finally {
      clearTimeout(this.#timer);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  get #isDue(): boolean {
    return this.#timer !== undefined || this.#next !== undefined;
  }

  /** After a failed sync the kernel takes the pages for written: a later one would say nothing. */
  refuseFailed(cursors: CursorMapping): void {
    if (this.#failure === undefined && cursors.syncFailed) this.#failure = syncFailed(cursors.path);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #round(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      const cursors = this.#current();
      if (cursors !== undefined) await this.bring(cursors);
    } catch (error) {
      if (isUnopened(error)) this.soon();
      throw error;
    }
  }

  /** What is stored there now is brought to the disk. */
  async bring(cursors: CursorMapping): Promise<void> {
    this.refuseFailed(cursors);
    if (cursors.place !== 'here' && !cursors.moved) {
      this.#failure = removed(cursors.path);
      throw this.#failure;
    }
    try {
      await cursors.sync();
    } catch (cause) {
      // What was to be synced could not even be opened. That may go well another time.
      if (isUnopened(cause)) throw explain(cause, cursors.path, 'sync');
      this.#failure = syncFailed(cursors.path, cause);
      this.#current()?.noteFailedSync();
      throw this.#failure;
    }
  }
}

function syncFailed(path: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'ERR_SYNC_FAILED',
    `Syncing ${path} failed since this machine was started: what of the cursors is on the disk can't be told before the ` +
      'next start. They can be read, and set again after that',
    factsOf(cause, path),
  );
}

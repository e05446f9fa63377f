import { dirname } from 'node:path';
import { closedHandle, MillraceError } from '../errors.js';
import { binding } from '../native.js';
import type { Appender } from './appender.js';
import { damaged } from './damage.js';
import { disk } from './disk.js';
import { syncFailed } from './durability.js';
import * as L from './layout.js';
import type { Mapped } from './mapped.js';
import { loadPosition, stampOf, storePosition } from './words.js';

const DURABLE = L.DURABLE_OFFSET >> 2;
/** Where nobody syncs, checksums are filled in each so many bytes. */
const SUM_EVERY = 2 ** 20;

/** Not more often than this, or commits of a record each would write more of these than of records. */
const CHECKPOINT_EVERY = 4096;

interface Waiter {
  position: number;
  resolve(durable: number): void;
  reject(error: unknown): void;
}

/**
 * Brings a linear channel to its disk, behind its writer: fills in the checksums of what was committed since the last
 * time, syncs, and then says how far that reached. One round at a time, on another thread; all who wait while one runs
 * share the next.
 *
 *   summed     checksums are filled in below it
 *   durable    on the disk below it; stored in the channel only after the sync that makes it true has ended
 */
export class Flusher {
  readonly #channel: Mapped;
  readonly #appender: Appender;
  readonly #beginsAgain: number;
  #summed: number;
  #durable: number;
  #checkpointAt = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #scheduled = false;
  #waiting: Waiter[] = [];
  #failure: MillraceError | undefined;
  #closed = false;
  /** Whether its name is on the disk, too: a channel that was made without syncing has that before it. */
  #named: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(channel: Mapped, appender: Appender) {
    const { header } = channel;
    const { kind, everyMs, everyBytes } = header.sync;
    this.#channel = channel;
    this.#appender = appender;
    // What lies above may have checksums or not: its writer died. Filling them in twice does no harm.
    this.#durable = this.#summed = Math.max(header.basePosition, loadPosition(channel.words, DURABLE));
    this.#named = kind !== L.SYNC_NONE;
    this.#beginsAgain = kind === L.SYNC_INTERVAL ? everyBytes : header.checksums ? SUM_EVERY : 0;
    if (this.#beginsAgain > 0) appender.notify(this.#beginsAgain, () => this.#pass(kind === L.SYNC_INTERVAL));
    const ms = kind === L.SYNC_COMMIT ? header.heartbeatMs : everyMs;
    if (ms > 0) this.#timer = every(ms, this);
  }

  get durable(): number {
    return this.#durable;
  }

  /** Resolves with how far the disk has it, once that is as far as the stream is now. */
  flush(): Promise<number> {
    return this.reached(this.#appender.position);
  }

  /** Resolves once all below `position` is on the disk. Whoever calls within one turn of the event loop shares a sync. */
  reached(position: number): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#closed) return Promise.reject(closedHandle('writer', this.#channel.path));
    if (this.#named && position <= this.#durable) return Promise.resolve(this.#durable);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ position, resolve, reject });
      this.#schedule();
    });
  }

  /** Syncs what came since the last time, if anything. */
  tick(): void {
    if (this.#appender.position > this.#durable) this.#pass(true);
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#pass(true);
    });
  }

  /** One round over all that is committed, unless one runs: it is followed by another where somebody waits. */
  #pass(sync: boolean): void {
    if (this.#running !== undefined || this.#failure !== undefined || this.#closed) return;
    this.#running = this.#round(sync).then(
      () => this.#settle(),
      (error) => this.#fail(error),
    );
  }

  async #round(sync: boolean): Promise<void> {
    const { path, file, header } = this.#channel;
    this.#appender.publish();
    const target = this.#appender.position;
    const from = header.checksums ? this.#summed : target;
    const [start, end] = [this.#offsetOf(from), this.#offsetOf(target)];
    const stopped = await disk.flushFrames(file, start, end, stampOf(from), header.incarnation, sync);
    if (stopped !== end) throw damaged(this.#channel, header.basePosition + stopped - header.dataOffset);
    this.#summed = Math.max(this.#summed, target);
    if (!sync) return;
    if (!this.#named) await disk.syncDirectory(dirname(path));
    this.#named = true;
    this.#durable = target;
    // The mapping of a writer that was closed meanwhile is gone; what was asked of this round is done all the same.
    if (this.#closed) return;
    // step 80
    storePosition(this.#channel.words, DURABLE, target);
    // step 81
    this.#checkpoint(target);
  }

  /** What a power cut leaves of the header may be older than this sync; a frame behind it proves that there was one. */
  #checkpoint(synced: number): void {
    const { header } = this.#channel;
    const end = this.#appender.position;
    if (!header.checksums || end === synced || end - this.#checkpointAt < CHECKPOINT_EVERY) return;
    this.#appender.appendCheckpoint(synced);
    this.#checkpointAt = end;
  }

  #offsetOf(position: number): number {
    const { dataOffset, basePosition } = this.#channel.header;
    return dataOffset + position - basePosition;
  }

  #settle(): void {
    this.#running = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if (this.#named && waiter.position <= this.#durable) waiter.resolve(this.#durable);
      else if (this.#closed) waiter.reject(closedHandle('writer', this.#channel.path));
      else this.#waiting.push(waiter);
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  #fail(error: unknown): void {
    this.#running = undefined;
    const { path } = this.#channel;
    const failure = error instanceof MillraceError ? error : syncFailed(path, error);
    this.#failure = failure;
    if (!this.#closed) this.#appender.stop(() => failure);
    for (const waiter of this.#waiting) waiter.reject(failure);
    this.#waiting = [];
  }

  /** Before the channel is said to be ended: every frame up to the end behind its last one has its checksum. */
  finish(end: number): void {
    this.#closed = true;
    clearInterval(this.#timer);
    const { file, header } = this.#channel;
    if (header.checksums) {
      binding().sumFrames(file, this.#offsetOf(this.#summed), end, stampOf(this.#summed), header.incarnation);
    }
    if (this.#running === undefined) this.#settle();
  }

  /** Once it is ended, and before its file is closed: brings the end to the disk, too. */
  async syncEnd(): Promise<void> {
    const { path, file } = this.#channel;
    if (this.#failure !== undefined) throw this.#failure;
    try {
      await disk.flushFrames(file, 0, 0, 0, 0, true);
      if (!this.#named) await disk.syncDirectory(dirname(path));
    } catch (error) {
      throw syncFailed(path, error);
    }
  }
}

/** A timer that keeps neither the process nor the flusher, and so its writer, alive. */
function every(ms: number, flusher: Flusher): NodeJS.Timeout {
  const kept = new WeakRef(flusher);
  const timer = setInterval(() => {
    const flusher = kept.deref();
    if (flusher === undefined) clearInterval(timer);
    else flusher.tick();
  }, ms);
  return timer.unref();
}

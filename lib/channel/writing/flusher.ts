import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
// Not the global ones, which tests put others in the place of.
import { clearInterval, setImmediate } from 'node:timers';
import { closedHandle, MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import {
  loadPosition,
  type Mapped,
  noteFailedSync,
  offsetAt,
  positionAt,
  raisePosition,
  stampOf,
  storePosition,
  syncFailed,
} from '../file/index.js';
import * as L from '../layout.js';
import { damaged } from '../recovery/index.js';
import { disk, every, explain, isUnopened, syncFile } from '../runtime/index.js';
import { Awake, type Idle } from '../waiting/index.js';
import type { Appender } from './appender.js';

const DURABLE = L.DURABLE_OFFSET >> 2;
/** Checksums are filled in each so many bytes, so that not many are left to be made where the channel ends. */
const SUM_EVERY = 2 ** 20;

/** So little is made ready for the disk at once, where the event loop stays awake for it. */
const LITTLE = 2 ** 16;

/** Not more often than this, or commits of a record each would write more of these than of records. */
const CHECKPOINT_EVERY = 4096;

export interface FlusherOptions {
  /** The channel's name is known to be on the disk. */
  named?: boolean;
  /** What has to be on the disk before anything of this is said to be: resolves once it is. */
  before?: () => Promise<void>;
  /** Others append to it, too, and sync it, each in its turn: nothing may be appended out of turn. */
  shared?: boolean;
  /** How the event loop spends the time in which somebody waits for a sync. */
  idle?: Idle | undefined;
}

interface Waiter {
  position: number;
  resolve(durable: number): void;
  reject(error: unknown): void;
}

/**
 * Brings a linear channel to its disk, behind its writer: fills in the checksums of what was committed since the last
 * time, syncs, and then says how far that reached. One round at a time, on another thread; all who wait while one runs
 * share the next. Where much is written between two rounds, its checksums are filled in ahead of the next one.
 *
 *   summed     checksums are filled in below it, as far as the event loop has heard
 *   summing    up to there the last job goes that fills them in ahead
 *   durable    on the disk below it; stored in the channel only after the sync that makes it true has ended
 */
export class Flusher {
  readonly #channel: Mapped;
  readonly #appender: Appender;
  /** A round begins each time so many bytes were written. */
  readonly #everyBytes: number;
  readonly #sumEvery: number;
  #summed: number;
  #summing: number;
  #durable: number;
  #checkpointAt = Number.NEGATIVE_INFINITY;
  #running: Promise<void> | undefined;
  #scheduled = false;
  #waiting: Waiter[] = [];
  #failure: MillraceError | undefined;
  #closed = false;
  /** It is closed, and a last sync is under way, or to come. */
  #ending = false;
  /** Whether its name is on the disk, too. */
  #named: boolean;
  /** Whether all that has to be there with it is: of a stream of no bytes, too, that is to be waited for. */
  #isRooted: boolean;
  readonly #before: (() => Promise<void>) | undefined;
  readonly #shared: boolean;
  readonly #awake: Awake;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    channel: Mapped,
    appender: Appender,
    { named = false, before, shared = false, idle }: FlusherOptions,
  ) {
    const { header } = channel;
    const { kind, everyMs, everyBytes } = header.sync;
    this.#channel = channel;
    this.#appender = appender;
    // What lies above may have checksums or not: its writer died. Filling them in twice does no harm.
    const durable = Math.max(header.basePosition, loadPosition(channel.words, DURABLE));
    this.#durable = this.#summed = this.#summing = durable;
    this.#named = named;
    this.#isRooted = named && before === undefined;
    this.#before = before;
    this.#shared = shared;
    this.#awake = new Awake(idle);
    this.#everyBytes = kind === L.SYNC_INTERVAL && everyBytes > 0 ? everyBytes : Number.POSITIVE_INFINITY;
    this.#sumEvery = header.checksums ? SUM_EVERY : Number.POSITIVE_INFINITY;
    this.#listen();
    const ms = kind === L.SYNC_COMMIT ? header.heartbeatMs : everyMs;
    if (ms > 0) this.#timer = every(ms, this, tick);
  }

  get durable(): number {
    return this.#durable;
  }

  /** Whether somebody waits for a sync. */
  get isAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  /** Whether a sync is under way: who let go of the file now would not hear of its failure. */
  get isSyncing(): boolean {
    return this.#running !== undefined;
  }

  /** Resolves with how far the disk has it, once that is as far as the stream is now. */
  flush(): Promise<number> {
    return this.reached(this.#appender.position);
  }

  /** Resolves once all below `position` is on the disk. Whoever calls within one turn of the event loop shares a sync. */
  reached(position: number): Promise<number> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#isRooted && position <= this.#durable) return Promise.resolve(this.#durable);
    if (this.#closed && !this.#ending) return Promise.reject(closedHandle('writer', this.#channel.path));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ position, resolve, reject });
      this.#schedule();
    });
  }

  /** Syncs what came since the last time, if anything. */
  tick(): void {
    if (this.#appender.position > this.#durable) this.#pass();
  }

  #schedule(): void {
    if (this.#scheduled || this.#running !== undefined) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#passAwake();
    });
  }

  /**
   * For who waits. Only here is the strategy asked, as nothing else is under way: it may write, and end the channel. What
   * runs by now was begun in the midst of something else.
   */
  #passAwake(): void {
    const staysAwake = this.isAwaited && !this.#isOver() && this.#awake.begin();
    this.#pass(staysAwake);
    if (this.#running === undefined) this.#awake.end();
  }

  /** So many bytes came, or something has ended that ran: whatever is due by now. */
  #goOn(): void {
    if (this.#isOver()) return;
    if (this.#appender.position - this.#durable >= this.#everyBytes) this.#pass();
    else this.#sumAhead();
    this.#listen();
  }

  /**
   * To be told where a sync is due next, or checksums are: counted from what was synced, as a sync may begin anywhere.
   * What is due already is under way, or waits for what is.
   */
  #listen(): void {
    const { position } = this.#appender;
    const sync = nextAfter(this.#durable, this.#everyBytes, position);
    const sum = nextAfter(Math.max(this.#summed, this.#summing), this.#sumEvery, position);
    this.#appender.notify(offsetAt(this.#channel, Math.min(sync, sum)), this.#heard);
  }

  readonly #heard = () => this.#goOn();

  /** One round over all that is committed, unless one runs: it is followed by another where somebody waits. */
  #pass(staysAwake = false): void {
    if (this.#isBusy()) return;
    // This may call back here, and begin a round; only one may run.
    this.#appender.publish();
    if (this.#isBusy()) return;
    this.#running = this.#round(staysAwake).then(
      () => this.#hasEnded(() => this.#settle()),
      (error) => this.#hasEnded(() => this.#fail(error)),
    );
  }

  /** The strategy hears of it after those who wait: it may end the channel. */
  #hasEnded(tell: () => void): void {
    this.#running = undefined;
    tell();
    this.#awake.end();
  }

  #isBusy(): boolean {
    return this.#running !== undefined || this.#isOver();
  }

  #isOver(): boolean {
    return this.#failure !== undefined || this.#closed;
  }

  async #round(staysAwake: boolean): Promise<void> {
    const target = this.#appender.position;
    if (staysAwake) this.#beginToWrite(target);
    await this.#fillIn(this.#channel.header.checksums ? this.#summedTo() : target, target, true);
    await this.#syncRoots();
    this.#durable = target;
    // The mapping of a writer that was closed meanwhile is gone; what was asked of this round is done all the same.
    if (this.#closed && !this.#ending) return;
    // step 80
    this.#storeDurable();
    // step 81
    if (!this.#shared && !this.#closed) this.#checkpoint(target);
  }

  /**
   * Fills in the checksums of what came since the last job that does, unless that is still at it. This is called in the
   * midst of writing, too, in a turn of the event loop that may last until this channel is full: so it is not waited for
   * hearing that a job has ended.
   */
  #sumAhead(): void {
    const from = this.#summedTo();
    const target = this.#appender.position;
    if (from < this.#summing || target - from < this.#sumEvery) return;
    this.#summing = target;
    this.#fillIn(from, target, false).then(
      () => this.#goOn(),
      (error) => void this.#fail(error),
    );
  }

  /** Checksums are filled in below it: a job that nobody has heard of yet tells how far it is. */
  #summedTo(): number {
    const told = positionAt(this.#channel, binding().summedTo(this.#channel.file));
    return Math.max(this.#summed, Math.min(told, this.#summing));
  }

  /**
   * Who waits waits for the disk all the longer, the later it begins; and until the thread that syncs is awake, it could
   * have half of it behind it. So what is little is begun with here: the frames, and the header, of which each sync says
   * how far it came.
   */
  #beginToWrite(target: number): void {
    const { file, header } = this.#channel;
    if (target - this.#durable > LITTLE) return;
    const end = offsetAt(this.#channel, target);
    if (header.checksums) {
      const from = this.#summedTo();
      // What it stops at is found again by the round.
      binding().sumFrames(file, offsetAt(this.#channel, from), end, stampOf(from), header.incarnation);
    }
    binding().beginToWrite(file, offsetAt(this.#channel, this.#durable), end);
    binding().beginToWrite(file, 0, L.HEADER_BYTES);
  }

  async #fillIn(from: number, target: number, sync: boolean): Promise<void> {
    const { file, header } = this.#channel;
    const [start, end] = [offsetAt(this.#channel, from), offsetAt(this.#channel, target)];
    const stopped = await disk.flushFrames(file, start, end, stampOf(from), header.incarnation, sync);
    if (stopped !== end) throw damaged(this.#channel, positionAt(this.#channel, stopped));
    this.#summed = Math.max(this.#summed, target);
  }

  #storeDurable(): void {
    if (this.#shared) raisePosition(this.#channel.words, DURABLE, this.#durable);
    else storePosition(this.#channel.words, DURABLE, this.#durable);
  }

  async #syncRoots(): Promise<void> {
    await this.#syncName();
    await this.#before?.();
    this.#isRooted = true;
  }

  async #syncName(): Promise<void> {
    if (this.#named) return;
    try {
      await disk.syncDirectory(dirname(await realpath(this.#channel.path)));
    } catch (error) {
      // Removed or renamed meanwhile, as may happen to a file that is in use: there is no such name to bring anywhere.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    this.#named = true;
  }

  /** What a power cut leaves of the header may be older than this sync; a frame behind it proves that there was one. */
  #checkpoint(synced: number): void {
    const { header } = this.#channel;
    const end = this.#appender.position;
    if (!header.checksums || end === synced || end - this.#checkpointAt < CHECKPOINT_EVERY) return;
    const need = this.#appender.appendCheckpoint(synced);
    if (need === 0) return;
    // At once: what has no checksum proves nothing.
    const at = offsetAt(this.#channel, end);
    binding().sumFrames(this.#channel.file, at, at + need, stampOf(end), header.incarnation);
    this.#checkpointAt = end;
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) {
      if (this.#isRooted && waiter.position <= this.#durable) waiter.resolve(this.#durable);
      else if (this.#closed && !this.#ending) {
        waiter.reject(this.#failure ?? closedHandle('writer', this.#channel.path));
      } else this.#waiting.push(waiter);
    }
    if (this.#closed) return;
    if (this.#waiting.length > 0) this.#schedule();
    // Nobody was told of what was written while the round ran.
    else this.#goOn();
  }

  /** Returns what those are told who wait. */
  #fail(error: unknown): unknown {
    const waiting = this.#waiting;
    this.#waiting = [];
    const { path } = this.#channel;
    if (isUnopened(error)) {
      // That says nothing of the disk, and may go well another time.
      const explained = explain(error, path, 'sync');
      for (const waiter of waiting) waiter.reject(explained);
      return explained;
    }
    const found = error instanceof MillraceError ? error : syncFailed(path, error);
    // That a sync failed stays said, whatever a job that ran beside it finds.
    const failure = this.#failure?.code === 'ERR_SYNC_FAILED' ? this.#failure : found;
    this.#failure = failure;
    if (!this.#closed) this.#appender.stop(() => failure);
    // As long as it is mapped.
    if (failure.code === 'ERR_SYNC_FAILED' && (!this.#closed || this.#ending)) noteFailedSync(this.#channel);
    for (const waiter of waiting) waiter.reject(failure);
    return failure;
  }

  /**
   * Before the channel is said to be ended: every frame up to the end behind its last one has its checksum. `syncEnd` or
   * `letGo` are to follow; who waits until then is not sent away. A frame that was damaged keeps nobody from ending it:
   * who waits for the disk is told, and who reads it.
   */
  finish(end: number): void {
    this.#closed = true;
    this.#ending = true;
    clearInterval(this.#timer);
    const { file, header } = this.#channel;
    if (!header.checksums) return;
    const from = this.#summedTo();
    const start = offsetAt(this.#channel, from);
    const stopped = binding().sumFrames(file, start, end, stampOf(from), header.incarnation);
    if (stopped !== end) this.#failure ??= damaged(this.#channel, positionAt(this.#channel, stopped));
  }

  /**
   * Once it is ended: who waits for what no round has begun to bring to the disk waits in vain. Returns what was wrong with
   * it, if anything was.
   */
  letGo(): MillraceError | undefined {
    this.#ending = false;
    if (this.#running === undefined) this.#settle();
    return this.#failure;
  }

  /** Once it is ended, and before its file is closed: brings all of it to the disk, its end too. */
  async syncEnd(): Promise<void> {
    await this.#running;
    try {
      const failure = this.#failure;
      if (failure?.code === 'ERR_SYNC_FAILED') throw failure;
      await syncFile(this.#channel.file);
      // What is whole beside the damage is there.
      if (failure !== undefined) throw failure;
      await this.#syncRoots();
    } catch (error) {
      const failure = this.#fail(error);
      this.#ending = false;
      throw failure;
    }
    this.#durable = this.#appender.position;
    this.#storeDurable();
    this.#settle();
  }
}

/** The next place that is so many bytes behind the last one; where writing has come beyond that, behind `position`. */
function nextAfter(last: number, every: number, position: number): number {
  return (last + every > position ? last : position) + every;
}

function tick(flusher: Flusher): void {
  flusher.tick();
}

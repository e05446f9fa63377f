import { MillraceError } from '../../errors.js';
import { loadPosition, type Mapped } from '../file/index.js';
import * as L from '../layout.js';
import { endedAs, lastBeat, type WriterWatch } from '../presence/index.js';
import { truncated } from '../recovery/index.js';
import {
  type IdleStrategy,
  type Limits,
  type Sleeper,
  type Task,
  waitBlocked,
  waitUntil,
} from '../waiting/index.js';
import type { Cursor } from './cursor.js';

const FINAL_POSITION = L.FINAL_POSITION_OFFSET >> 2;
/** Whether the writer's process is there costs a system call: not oftener than this. */
const ASK_FOR_WRITER_MS = 250;

/** True: there is something to read, or to be told by reading; false: nobody wants it any more. */
export type Looking = () => boolean | undefined;

/** Waits for what a reader can do something with: records, or the end of the stream. */
export class Arrival {
  readonly #channel: Mapped;
  readonly #cursor: Cursor;
  readonly #watch: WriterWatch;
  readonly #sleeper: Sleeper;
  readonly #strategy: IdleStrategy;
  /** Infinite: who waits goes on waiting for a dead writer's successor. */
  readonly #deadAfterMs: number;
  /** Given where a dead writer's channel has ended as soon as another one took its place. */
  readonly #isReplaced: (() => boolean) | undefined;
  readonly #task: Task;
  #asked = Number.NEGATIVE_INFINITY;
  /** What the last one who asked heard. */
  #dead = false;
  /** Since when it is known that it is dead who beat then for the last time. */
  #deadSince = 0;
  #deadBeat: number | undefined;

  constructor(
    channel: Mapped,
    cursor: Cursor,
    watch: WriterWatch,
    sleeper: Sleeper,
    strategy: IdleStrategy,
    deadAfterMs: number,
    isReplaced?: () => boolean,
  ) {
    this.#channel = channel;
    this.#cursor = cursor;
    this.#watch = watch;
    this.#sleeper = sleeper;
    this.#strategy = strategy;
    this.#deadAfterMs = deadAfterMs;
    this.#isReplaced = isReplaced;
    this.#task = { what: `Waiting for records of ${channel.path}`, path: channel.path };
  }

  /** True where `look` says so; false where it says so, or where there will be nothing more. */
  wait(look: Looking, options?: Limits): Promise<boolean> {
    const lookAt = (now: number) => look() ?? this.#endOrNothing(now);
    return waitUntil(lookAt, this.#task, options, this.#strategy, this.#sleeper);
  }

  waitSync(look: Looking, timeoutMs: number | undefined): boolean {
    const lookAt = (now: number) => look() ?? this.#endOrNothing(now);
    return waitBlocked(lookAt, this.#task, timeoutMs, this.#strategy, this.#sleeper);
  }

  /** False: there will be nothing more. */
  #endOrNothing(now: number): false | undefined {
    if (this.hasEnded()) return false;
    // Looked at once more: before it died, it may have written what the last look did not see.
    if (this.#isDead(now) && !this.#cursor.hasNext()) {
      if (this.#isReplaced?.() === true) return false;
      this.#throwIfDead(now);
    }
    return undefined;
  }

  /** Whether its writer died, all of it was read, and what is followed is another channel by now. */
  isLeft(): boolean {
    if (this.#isReplaced === undefined || this.#watch.status() !== 'dead') return false;
    return !this.#cursor.hasNext() && this.#isReplaced();
  }

  /** Nothing was there to read; now is that the end? */
  hasEnded(): boolean {
    // An END or LINK tells by itself, before its writer has said so in the header.
    if (endedAs(this.#channel) === undefined) return this.#cursor.ended !== undefined;
    const final = loadPosition(this.#channel.words, FINAL_POSITION);
    if (this.#cursor.position >= final) return true;
    // Records may have come between the look at the data and the look at the state. If not, they are missing.
    if (this.#cursor.hasNext()) return false;
    if (this.#cursor.position >= final) return true;
    throw truncated(this.#channel.path, this.#cursor.position, final);
  }

  #isDead(now: number): boolean {
    // Others who wait may have asked just now; what they heard is enough, but not to end a wait by it.
    const isDue = this.#dead && now - this.#deadSince >= this.#deadAfterMs;
    if (!isDue && now - this.#asked < Math.min(ASK_FOR_WRITER_MS, this.#deadAfterMs)) return false;
    this.#asked = now;
    this.#dead = this.#watch.status() === 'dead';
    if (!this.#dead) return false;
    // It may have been resumed since it was seen to be dead, and have died again.
    const beat = lastBeat(this.#channel);
    if (beat !== this.#deadBeat) this.#deadSince = now;
    this.#deadBeat = beat;
    return true;
  }

  #throwIfDead(now: number): void {
    if (now - this.#deadSince < this.#deadAfterMs) return;
    throw writerDead(this.#channel.path, this.#cursor.position);
  }
}

export function writerDead(path: string, position: number): MillraceError {
  return new MillraceError(
    'ERR_WRITER_DEAD',
    `The writer of ${path} died without ending it; all it committed has been read`,
    { path, position },
  );
}

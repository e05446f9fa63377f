import { binding } from '../../native.js';
import type { Mapped } from '../file/index.js';
import * as L from '../layout.js';
import { type Hearer, Listener } from './bell.js';
import type { Rounds, Sleeping } from './rounds.js';
import type { Alarm } from './waking.js';

export interface WaitStats {
  /** How often somebody lay down to sleep. */
  parked: number;
  /** Sleeps that ended because somebody rang, and those that ended by the look that comes in any case. */
  woken: number;
  late: number;
}

/** Who waits on an event loop. */
export interface Waiting extends Hearer, Sleeping {
  /** Something came up that nobody rings for. */
  look(): void;
}

/** Where those of one channel sleep who wait for one alarm. */
export class Sleeper {
  readonly stats: WaitStats = { parked: 0, woken: 0, late: 0 };
  readonly #channel: Mapped;
  readonly #alarm: Alarm;
  readonly #rounds: Rounds;
  readonly #waiting = new Set<Waiting>();
  #listener: Listener | undefined;
  /** What the sequence was when the bits were set that still stand, with a fence behind it. */
  #armedAt: number | undefined;
  #armedKind = 0;
  #closed = false;

  constructor(channel: Mapped, alarm: Alarm, rounds: Rounds) {
    this.#channel = channel;
    this.#alarm = alarm;
    this.#rounds = rounds;
  }

  /**
   * Makes it known that an event loop sleeps here: look once more after it, and then only when rung for. False where
   * nobody could know, or nobody could ring: then there is nothing but to look now and then.
   */
  listen(): boolean {
    if (!this.#channel.writable || this.#closed) return false;
    // First: what is rung for from here on is heard.
    this.#listener ??= Listener.of(this.#channel);
    return this.#listener !== undefined && this.#arm(L.SLEEPER_LISTENING);
  }

  sleep(waiting: Waiting): void {
    this.stats.parked++;
    this.#listener?.sleep(waiting);
    this.#rounds.join(waiting);
  }

  rise(waiting: Waiting): void {
    this.#listener?.rise(waiting);
    this.#rounds.leave(waiting);
  }

  /** How often somebody was woken. Read before the last look that comes before a sleep, it tells who `ended` that. */
  wakes(): number {
    return Atomics.load(this.#channel.words, this.#alarm.sequence);
  }

  /**
   * A sleep is over, before which there were so many wakes. One more may have come without a ring: who is held up looks
   * at the clock before it hears the bell.
   */
  ended(rung: boolean, wakesBefore: number): void {
    if (rung || this.wakes() !== wakesBefore) this.stats.woken++;
    else this.stats.late++;
  }

  /** Awake or asleep, it hears of it when this is closed, or that it is closed already. */
  attend(waiting: Waiting): void {
    this.#waiting.add(waiting);
    if (this.#closed) setImmediate(() => waiting.look());
  }

  leave(waiting: Waiting): void {
    this.#waiting.delete(waiting);
  }

  /**
   * Blocks this thread, not longer than this, unless something is there already: `look` is asked once more, after it was
   * made known that somebody sleeps. False where nobody could know.
   */
  block(look: () => boolean, ms: number): boolean {
    const { writable, file } = this.#channel;
    const { sequence } = this.#alarm;
    // What is asked how to wait may have closed it.
    if (!writable || this.#closed) return false;
    // Before the last look: who wakes after it raises it, and then there is no sleeping on what it was.
    const before = this.wakes();
    if (!this.#arm(L.SLEEPER_BLOCKED)) return false;
    // step 95
    if (look()) return true;
    this.stats.parked++;
    binding().sleepOn(file, sequence << 2, before, Math.min(ms, this.#rounds.everyMs));
    const found = look();
    if (this.wakes() !== before || found) this.ended(false, before);
    return true;
  }

  #arm(kind: number): boolean {
    const { words } = this.#channel;
    const { sleepers } = this.#alarm;
    const now = this.wakes();
    // Whoever takes bits away raises the sequence: as long as it stands, what was set is set, and was before a fence. But
    // whoever took them may have died before it did that.
    const stands = now === this.#armedAt && (this.#armedKind & kind) !== 0;
    if (stands && (Atomics.load(words, sleepers) & kind) !== 0) return true;
    Atomics.or(words, sleepers, kind);
    // step 93
    if (!binding().fenceOthers()) return false;
    // step 94
    this.#armedKind = now === this.#armedAt ? this.#armedKind | kind : kind;
    this.#armedAt = now;
    return true;
  }

  /** Has all who wait here look. */
  rouse(): void {
    for (const waiting of this.#waiting) waiting.look();
  }

  close(): void {
    this.#closed = true;
    this.rouse();
    this.#listener?.close();
  }
}

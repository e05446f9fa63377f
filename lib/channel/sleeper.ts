import { binding } from '../native.js';
import { Listener } from './bell.js';
import * as L from './layout.js';
import type { Mapped } from './mapped.js';
import type { Alarm } from './waking.js';

export interface WaitStats {
  /** How often somebody lay down to sleep. */
  parked: number;
  /** Sleeps that ended because somebody rang, and those that ended by the look that comes in any case. */
  woken: number;
  late: number;
}

/**
 * Nothing wakes a sleeper if whoever would have died in between: then it looks for itself. A writer also looks for the
 * dead and the slow among its readers.
 */
export const LOOK_FOR_RECORDS_MS = 100;
export const LOOK_FOR_ROOM_MS = 10;

/** Where those of one channel sleep who wait for one alarm. */
export class Sleeper {
  readonly lookAgainMs: number;
  readonly stats: WaitStats = { parked: 0, woken: 0, late: 0 };
  readonly #channel: Mapped;
  readonly #alarm: Alarm;
  /** Called when this is closed: they find that there is nothing more to wait for. */
  readonly #waiting = new Set<() => void>();
  #listener: Listener | undefined;
  /** What the sequence was when the bits were set that still stand, with a fence behind it. */
  #armedAt: number | undefined;
  #armedKind = 0;
  #closed = false;

  constructor(channel: Mapped, alarm: Alarm, lookAgainMs: number) {
    this.#channel = channel;
    this.#alarm = alarm;
    this.lookAgainMs = lookAgainMs;
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

  sleep(look: () => void): void {
    this.stats.parked++;
    this.#listener?.sleep(look);
  }

  rise(look: () => void): void {
    this.#listener?.rise(look);
  }

  /** A sleep is over. Where nobody rang, somebody may have: who is held up looks at the clock before it hears the bell. */
  ended(rung: boolean): void {
    const stands = Atomics.load(this.#channel.words, this.#alarm.sequence) === this.#armedAt;
    if (rung || !stands) this.stats.woken++;
    else this.stats.late++;
  }

  /** Awake or asleep: `look` is called when this is closed. */
  attend(look: () => void): void {
    this.#waiting.add(look);
  }

  leave(look: () => void): void {
    this.#waiting.delete(look);
  }

  /**
   * Blocks this thread, not longer than this, unless something is there already: `look` is asked once more, after it was
   * made known that somebody sleeps. False where nobody could know.
   */
  block(look: () => boolean, ms: number): boolean {
    const { writable, words, file } = this.#channel;
    const { sequence } = this.#alarm;
    if (!writable) return false;
    // Before the last look: who wakes after it raises it, and then there is no sleeping on what it was.
    const before = Atomics.load(words, sequence);
    if (!this.#arm(L.SLEEPER_BLOCKED)) return false;
    // step 95
    if (look()) return true;
    this.stats.parked++;
    binding().sleepOn(file, sequence << 2, before, Math.min(ms, this.lookAgainMs));
    if (Atomics.load(words, sequence) !== before) this.stats.woken++;
    else if (look()) this.stats.late++;
    return true;
  }

  #arm(kind: number): boolean {
    const { words } = this.#channel;
    const { sleepers, sequence } = this.#alarm;
    const now = Atomics.load(words, sequence);
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

  close(): void {
    this.#closed = true;
    for (const look of [...this.#waiting]) look();
    this.#listener?.close();
  }
}

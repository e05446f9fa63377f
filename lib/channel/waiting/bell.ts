import { type BellHandle, binding, isSystemError } from '../../native.js';
import type { Mapped } from '../file/index.js';
import { outside } from '../runtime/index.js';

/** Who sleeps until a file is rung for. */
export interface Hearer {
  /** Somebody rang. */
  rung(): void;
}

/** In the order in which they lay down. */
type Sleepers = Set<Hearer>;

interface Watched {
  sleepers: Sleepers;
  /** Channels of this thread that have it open. */
  listeners: number;
}

/** The one bell of this thread: it hears of every file that somebody here listens to. */
class Bell {
  readonly #handle: BellHandle;
  readonly #watched = new Map<number, Watched>();

  constructor() {
    this.#handle = binding().openBell((watch) => this.#rung(watch));
  }

  listen(channel: Mapped): number {
    const watch = binding().watchFile(this.#handle, channel.file);
    const watched = this.#watched.get(watch);
    if (watched === undefined) this.#watched.set(watch, { sleepers: new Set(), listeners: 1 });
    else watched.listeners++;
    return watch;
  }

  leave(watch: number): void {
    const watched = this.#watched.get(watch);
    if (watched === undefined || --watched.listeners > 0) return;
    this.#watched.delete(watch);
    binding().unwatchFile(this.#handle, watch);
  }

  sleepersOf(watch: number): Sleepers {
    return (this.#watched.get(watch) as Watched).sleepers;
  }

  #rung(watch: number): void {
    if (watch !== -1) wakeAll(this.#watched.get(watch));
    else for (const watched of this.#watched.values()) wakeAll(watched);
  }
}

/** Who is still asleep after this goes on sleeping in its place. */
function wakeAll(watched: Watched | undefined): void {
  if (watched !== undefined) for (const hearer of watched.sleepers) hearer.rung();
}

let bell: Bell | undefined;

/** Whoever drops a channel without closing it listens no longer. */
const dropped = new FinalizationRegistry((watch: number) => bell?.leave(watch));

/** Hears of it when somebody rings for a channel. */
export class Listener {
  readonly #watch: number;
  readonly #sleepers: Sleepers;
  #closed = false;

  private constructor(watch: number) {
    this.#watch = watch;
    this.#sleepers = (bell as Bell).sleepersOf(watch);
    dropped.register(this, watch, this);
  }

  /** Undefined where the system has no bell left to give, or none at all. */
  static of(channel: Mapped): Listener | undefined {
    try {
      bell ??= outside(() => new Bell());
      return new Listener(bell.listen(channel));
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return undefined;
    }
  }

  /** From here on it hears of it each time the file is rung for. */
  sleep(hearer: Hearer): void {
    this.#sleepers.add(hearer);
  }

  rise(hearer: Hearer): void {
    this.#sleepers.delete(hearer);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    dropped.unregister(this);
    bell?.leave(this.#watch);
  }
}

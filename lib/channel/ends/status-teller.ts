import { type Status, StatusWatch } from '../presence/index.js';
import type { Teller } from '../runtime/index.js';
import type { Session } from './session.js';

/** How often a writer's status is looked at for who listens. */
const LOOK_AT_STATUS_MS = 250;

/** Tells how the writer is that a reader reads, from channel to channel, once somebody listens. */
export class StatusTeller {
  readonly #path: string;
  readonly #teller: Teller;
  readonly #emit: (status: Status, before: Status) => void;
  #watch: StatusWatch | undefined;
  #closed = false;

  /** `emit` is called in a turn of its own, until `close`. */
  constructor(path: string, teller: Teller, emit: (status: Status, before: Status) => void) {
    this.#path = path;
    this.#teller = teller;
    this.#emit = emit;
  }

  get isWatching(): boolean {
    return this.#watch !== undefined;
  }

  /** From here on the writer of this channel; if that is not as the one before was last, it is told at once. */
  watch({ watch, channel }: Pick<Session<unknown>, 'watch' | 'channel'>): void {
    const before = this.#watch;
    before?.close();
    const everyMs = Math.min(channel.header.heartbeatMs, LOOK_AT_STATUS_MS);
    this.#watch = new StatusWatch(watch, everyMs, (now, last) => this.#tell(now, last), before?.last);
    if (before !== undefined) this.look();
  }

  look(): void {
    this.#watch?.heartbeat();
  }

  #tell(status: Status, before: Status): void {
    const isOver = status !== 'alive' && status !== 'stalled' && status !== 'dead';
    const happening = isOver ? 'ended' : status;
    this.#teller.tell(happening, `The writer of ${this.#path} is ${status}`, { status, before });
    // A listener that throws must not keep the thread's other writers from beating.
    process.nextTick(() => {
      if (!this.#closed) this.#emit(status, before);
    });
  }

  close(): void {
    this.#closed = true;
    this.#watch?.close();
  }
}

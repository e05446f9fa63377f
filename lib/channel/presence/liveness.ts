// Not the global ones, which tests put others in the place of: this timer outlives them.
import { clearInterval, setInterval } from 'node:timers';
import { binding } from '../../native.js';
import { type Mapped, STATE, WRITER_LOCK_BYTE, writeFrozen } from '../file/index.js';
import * as L from '../layout.js';
import { environment, explain, outside } from '../runtime/index.js';

/**
 * What a reader can know of its writer. `alive`, `stalled` and `dead` are about a channel that is still open;
 * the others are final.
 */
export type Status = Standing | 'stalled';

/** The same by one look, which tells of nobody whether it stalls. */
export type Standing = 'alive' | 'dead' | Ended;

type Ended = 'closed' | 'sealed' | 'abandoned';

const HEARTBEAT = L.HEARTBEAT_OFFSET >> 2;
const WRITER_PID = L.WRITER_PID_OFFSET >> 2;
const WRITER_START = L.WRITER_START_OFFSET >> 2;
const NOBODY = 0;
const BOOT_ID_BYTES = 16;
const TAIL_LOW = (L.TAIL_OFFSET >> 2) + 1;

const ENDED: Record<number, Ended> = {
  [L.STATE_CLOSED]: 'closed',
  [L.STATE_SEALED]: 'sealed',
  [L.STATE_ABANDONED]: 'abandoned',
};

export function endedAs(channel: Mapped): Ended | undefined {
  return ENDED[Atomics.load(channel.words, STATE)];
}

/** Whether somebody has the lock on this byte. */
export function isLocked({ file, path }: Mapped, byte: number): boolean {
  try {
    return binding().isByteLocked(file, byte);
  } catch (error) {
    throw explain(error, path, 'look for locks on');
  }
}

/** Dead is a verdict of the kernel, which drops a lock with its holder; never of a clock or a pid. */
function isWriterAlive(channel: Mapped): boolean {
  return isLocked(channel, WRITER_LOCK_BYTE);
}

export function writerStatus(channel: Mapped): Standing {
  const ended = endedAs(channel);
  if (ended !== undefined) return ended;
  // The writer may have ended between the two looks: then the lock is free and the state is final.
  return isWriterAlive(channel) ? 'alive' : (endedAs(channel) ?? 'dead');
}

/** Watches a writer: stalled means that nothing of it moved for as long as *this* watcher has looked on. */
export class WriterWatch {
  readonly #channel: Mapped;
  #seenBeat: number;
  #seenTail: number;
  #since = performance.now();

  constructor(channel: Mapped) {
    this.#channel = channel;
    this.#seenBeat = Atomics.load(channel.words, HEARTBEAT);
    this.#seenTail = Atomics.load(channel.words, TAIL_LOW);
  }

  status(): Status {
    const status = writerStatus(this.#channel);
    return status === 'alive' && !this.#moved() ? 'stalled' : status;
  }

  #moved(): boolean {
    const { words, header } = this.#channel;
    const now = performance.now();
    const beat = Atomics.load(words, HEARTBEAT);
    const tail = Atomics.load(words, TAIL_LOW);
    if (beat !== this.#seenBeat || tail !== this.#seenTail) {
      this.#seenBeat = beat;
      this.#seenTail = tail;
      this.#since = now;
    }
    return now - this.#since < header.stalledAfterMs;
  }
}

/** Tells of each change of a writer's status, for as long as somebody holds it. */
export class StatusWatch implements Beating {
  readonly #watch: WriterWatch;
  readonly #onChange: (status: Status, before: Status) => void;
  readonly #beating: WeakRef<Beating>;
  #last: Status;

  /** `last`: what was told last, if anything was. */
  constructor(
    watch: WriterWatch,
    everyMs: number,
    onChange: (status: Status, before: Status) => void,
    last = watch.status(),
  ) {
    this.#watch = watch;
    this.#onChange = onChange;
    this.#last = last;
    this.#beating = heart.start(this, everyMs);
  }

  get last(): Status {
    return this.#last;
  }

  heartbeat(): void {
    const before = this.#last;
    this.#last = this.#watch.status();
    if (this.#last !== before) this.#onChange(this.#last, before);
  }

  close(): void {
    heart.stop(this.#beating);
  }
}

export function lastBeat(channel: Mapped): number {
  return Atomics.load(channel.words, HEARTBEAT);
}

export function beat(channel: Mapped): void {
  Atomics.store(channel.words, HEARTBEAT, environment.bootMs() | 0);
}

/** Says in the header whose heartbeat this is; for people who look, never to decide anything by. */
export function signAsWriter(channel: Mapped): void {
  channel.words[WRITER_PID] = environment.pid;
  writeFrozen(channel.words, WRITER_START, environment.startTicks());
  environment.bootId().copy(channel.bytes, L.WRITER_BOOT_OFFSET);
  beat(channel);
}

/** Says that nobody writes here any more, but that somebody may go on. */
export function signAsReleased(channel: Mapped): void {
  channel.words[WRITER_PID] = NOBODY;
}

export function isReleased({ words }: Mapped): boolean {
  return words[WRITER_PID] === NOBODY;
}

/** Whether the writer that was here last ran on this start of the machine: then all that it stored is in memory. */
export function isOfThisBoot({ bytes }: Pick<Mapped, 'bytes'>): boolean {
  return bytes
    .subarray(L.WRITER_BOOT_OFFSET, L.WRITER_BOOT_OFFSET + BOOT_ID_BYTES)
    .equals(environment.bootId());
}

export interface Beating {
  heartbeat(): void;
}

/**
 * One timer a thread beats for all its writers, and looks after those of its readers who want to know; it keeps neither
 * the process nor a writer alive. One that was dropped without a close is collected, its lock goes with it, and it is dead.
 */
class Heart {
  readonly #beating = new Map<WeakRef<Beating>, number>();
  #timer: NodeJS.Timeout | undefined;
  #everyMs = Number.POSITIVE_INFINITY;

  /** Returns what to stop it by. */
  start(who: Beating, everyMs: number): WeakRef<Beating> {
    const beating = new WeakRef(who);
    this.#beating.set(beating, everyMs);
    this.#adjust();
    return beating;
  }

  stop(beating: WeakRef<Beating>): void {
    if (this.#beating.delete(beating)) this.#adjust();
  }

  /** Leaves the timer alone where it is right already: writers that come and go must not keep it from beating. */
  #adjust(): void {
    const everyMs = Math.min(...this.#beating.values());
    if (everyMs === this.#everyMs) return;
    this.#everyMs = everyMs;
    clearInterval(this.#timer);
    if (this.#beating.size === 0) return;
    this.#timer = outside(() => setInterval(() => this.#beatAll(), everyMs));
    this.#timer.unref();
  }

  #beatAll(): void {
    for (const beating of this.#beating.keys()) {
      const alive = beating.deref();
      if (alive === undefined) this.stop(beating);
      else alive.heartbeat();
    }
  }
}

export const heart = new Heart();

import { MillraceError } from '../../errors.js';
import type { Looking } from '../reading/index.js';
import type { Teller } from '../runtime/index.js';
import {
  type Limits,
  limitsFromNow,
  type WaitOptions,
  type WaitStats,
  waitUntil,
  within,
} from '../waiting/index.js';
import type { ReaderOptions } from './joining.js';
import { Session } from './session.js';

/** What a reader left behind when it went over to the next channel. */
export interface Followed {
  /** Where the channel that it left ended. */
  endedAt: number;
  /** Records read so far, of all of them. */
  records: number;
}

/** How to open what is followed: all of it, and it is there. */
const FROM_ITS_BEGINNING = { from: 'oldest', wait: false, signal: undefined, timeoutMs: undefined } as const;

const MOVED = 'moved';
const REPLACED = 'replaced';

/** The channel that is read; with `follow` also those that take its place under its path, one after the other. */
export class Succession<Out> {
  session: Session<Out>;
  // Of those that were left:
  #recordsBefore = 0;
  #lostBefore = 0;
  #waitsBefore: WaitStats = { parked: 0, woken: 0, late: 0 };
  readonly #options: ReaderOptions<Out>;
  readonly #teller: Teller;
  /** Called once the next one is read, before the one that is left is closed. */
  readonly #onNext: () => void;
  readonly #onFollow: (followed: Followed) => void;
  #goingOver: Promise<void> | undefined;
  #closed = false;

  constructor(
    session: Session<Out>,
    options: ReaderOptions<Out>,
    teller: Teller,
    onNext: () => void,
    onFollow: (followed: Followed) => void,
  ) {
    this.session = session;
    this.#options = options;
    this.#teller = teller;
    this.#onNext = onNext;
    this.#onFollow = onFollow;
  }

  get records(): number {
    return this.#recordsBefore + this.session.cursor.handed;
  }

  get lost(): number {
    return this.#lostBefore + this.session.lostRecords;
  }

  get waits(): WaitStats {
    const before = this.#waitsBefore;
    const { parked, woken, late } = this.session.sleeper.stats;
    return { parked: before.parked + parked, woken: before.woken + woken, late: before.late + late };
  }

  /** True where `look` says so; false where it says so, or where there will be nothing more. */
  wait(look: Looking, options?: WaitOptions): Promise<boolean> {
    return this.#options.follow === true
      ? this.#waitOn(look, options)
      : this.session.arrival.wait(look, options);
  }

  async #waitOn(look: Looking, options?: WaitOptions): Promise<boolean> {
    const limits = limitsFromNow(options);
    for (;;) {
      const { session } = this;
      // What another wait went over from is closed.
      const lookHere = () => (this.session === session ? look() : false);
      if (await session.arrival.wait(lookHere, limits)) return true;
      const found = await this.#waitForNext(session, look, limits);
      if (found !== undefined) return found;
    }
  }

  /** Goes over to what takes the place of a channel that was read to its end; or hears that there is more, or enough of it. */
  async #waitForNext(session: Session<Out>, look: Looking, limits: Limits): Promise<boolean | undefined> {
    const { path } = session.channel;
    const task = { what: `Waiting for what takes the place of ${path}`, path };
    const found = await waitUntil(
      () => {
        if (this.#closed) return false;
        if (this.session !== session) return MOVED;
        return look() ?? (session.isReplaced() ? REPLACED : undefined);
      },
      task,
      limits,
    );
    if (typeof found === 'boolean') return found;
    if (found === REPLACED) {
      this.#goingOver ??= this.#goOver().finally(() => {
        this.#goingOver = undefined;
      });
      await within(this.#goingOver, task, limits);
    }
    return undefined;
  }

  async #goOver(): Promise<void> {
    const before = this.session;
    const { path } = before.channel;
    let next: Session<Out>;
    try {
      next = await Session.open(path, { ...this.#options, ...FROM_ITS_BEGINNING }, this.#teller);
    } catch (error) {
      // It was replaced again, or taken away: then the next look says so.
      if (error instanceof MillraceError && error.code === 'ERR_NOT_FOUND') return;
      throw error;
    }
    // Somebody may have gone back in it meanwhile.
    if (this.#closed || hasMore(before)) {
      next.close();
      return;
    }
    this.#recordsBefore += before.cursor.handed;
    this.#lostBefore += before.lostRecords;
    this.#waitsBefore = this.waits;
    this.session = next;
    try {
      this.#onNext();
    } finally {
      before.close();
    }
    if (this.#closed) return;
    const followed = { endedAt: before.cursor.position, records: this.#recordsBefore };
    this.#teller.tell('followed', `Reading what took the place of ${path}`, followed);
    this.#onFollow(followed);
  }

  close(): void {
    this.#closed = true;
    this.session.close();
  }
}

function hasMore<Out>({ cursor }: Session<Out>): boolean {
  try {
    return cursor.hasNext();
  } catch {
    // Whoever reads is told.
    return true;
  }
}

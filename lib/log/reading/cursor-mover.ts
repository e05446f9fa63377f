import type { NamedCursor } from '../cursors/index.js';
import type { LogRecord } from '../records/index.js';

/** Who takes long for each record loses no more than that. */
const MOVED_EACH_MS = 100;

/** Where a cursor stood when a reading by it was made. */
export interface Stood {
  at: number;
  /** Where reading begins: there, unless that was out of range, and it was told to begin elsewhere. */
  begins: number;
  /** There where it stood beyond the log's end, so that it is to be set back: tells that it was. */
  tellSetBack?: () => void;
}

/**
 * Moves a named cursor behind what was read: each so many records and milliseconds while records are there, and always
 * before nothing is. Never back, since others may have moved it further; but once from beyond the log's end, where that is
 * said: or each reading would begin there again, and none would ever move it. Not even then where somebody has moved it
 * meanwhile.
 */
export class CursorMover {
  readonly #cursor: NamedCursor;
  readonly #onEnd: (mover: CursorMover) => void;
  /** Whether it moves past what is read: reading began where it stood, or has handed out a record. */
  #goesAlong: boolean;
  #given: number | undefined;
  #passed: number | undefined;
  #movedAtMs = Number.NEGATIVE_INFINITY;
  #movedTo = 0;
  #back: Stood | undefined;
  #failure: unknown;
  #moved: Promise<unknown> | undefined;

  /** `stood`: undefined where there was no such cursor, or reading began elsewhere without regard to it. */
  constructor(cursor: NamedCursor, stood: Stood | undefined, onEnd: (mover: CursorMover) => void) {
    this.#cursor = cursor;
    this.#onEnd = onEnd;
    this.#goesAlong = stood !== undefined && stood.begins <= stood.at;
    this.#movedTo = stood?.begins ?? 0;
    if (stood?.tellSetBack !== undefined) this.#back = stood;
  }

  /** Behind all that was given before this one, whoever asks for more is. */
  giving({ offset }: LogRecord): void {
    this.#given = offset;
    this.#goesAlong = true;
  }

  /** More is asked for. */
  pass(): void {
    if (this.#given === undefined) return;
    this.#passed = this.#given + 1;
    this.#given = undefined;
    if (performance.now() - this.#movedAtMs >= MOVED_EACH_MS) this.move();
  }

  /**
   * Nothing is to be read below this offset: what was there behind the last record, or from where the cursor stood, has
   * expired, or was compacted away. Else retention and compaction would wait for somebody to read it. But a reading that
   * began elsewhere and has handed out nothing makes no cursor, nor does it move one past what that has still to read.
   */
  reach(offset: number): void {
    if (this.#goesAlong && offset > this.#movedTo) this.#passed = offset;
    this.move();
  }

  move(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#back !== undefined) this.#setBack(this.#back);
    if (this.#passed === undefined) return;
    const offset = this.#passed;
    this.#passed = undefined;
    this.#movedAtMs = performance.now();
    this.#movedTo = offset;
    this.#await(this.#cursor.advance(offset));
  }

  #setBack({ at, begins, tellSetBack }: Stood): void {
    this.#back = undefined;
    this.#await(this.#cursor.setBack(at, begins).then((isBack) => isBack && tellSetBack?.()));
  }

  #await(moved: Promise<unknown>): void {
    this.#moved = moved.catch((error) => {
      this.#failure ??= error;
    });
  }

  /** The log is closed: who is at work on a record comes to no other, and what was passed before is passed. */
  leave(): void {
    // Where one failed already, who reads hears of it.
    if (this.#failure === undefined) this.move();
  }

  /** Nothing more is read. Resolves as `moved` does. */
  async end(): Promise<void> {
    this.#onEnd(this);
    await this.moved();
  }

  /** Resolves once it stands where it is to stand. */
  async moved(): Promise<void> {
    this.move();
    await this.#moved;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

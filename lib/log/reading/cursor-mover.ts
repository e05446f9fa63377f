import type { NamedCursor } from '../cursors/index.js';
import type { LogRecord } from '../records/index.js';

/** Who takes long for each record loses no more than that. */
const MOVED_EACH_MS = 100;

/** Of a cursor that stands beyond the log's end: where reading was told to begin instead. */
export interface SetBack {
  to: number;
  tell: () => void;
}

/**
 * Moves a named cursor behind what was read: each so many records and milliseconds while records are there, and always
 * before nothing is. Never back, since others may have moved it further; but once from beyond the log's end, where that is
 * said: or each reading would begin there again, and none would ever move it.
 */
export class CursorMover {
  readonly #cursor: NamedCursor;
  #given: number | undefined;
  #passed: number | undefined;
  #hasRead = false;
  #movedAtMs = Number.NEGATIVE_INFINITY;
  #movedTo = 0;
  #back: SetBack | undefined;
  #failure: unknown;
  #moved: Promise<unknown> | undefined;

  constructor(cursor: NamedCursor, back: SetBack | undefined) {
    this.#cursor = cursor;
    this.#back = back;
  }

  /** Behind all that was given before this one, whoever asks for more is. */
  giving({ offset }: LogRecord): void {
    this.#given = offset;
    this.#hasRead = true;
  }

  /** More is asked for. */
  pass(): void {
    if (this.#given === undefined) return;
    this.#passed = this.#given + 1;
    this.#given = undefined;
    if (performance.now() - this.#movedAtMs >= MOVED_EACH_MS) this.move();
  }

  /** Nothing is to be read below this offset: what was there behind the last record has expired, or was compacted away. */
  reach(offset: number): void {
    if (this.#hasRead && offset > this.#movedTo) this.#passed = offset;
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

  #setBack({ to, tell }: SetBack): void {
    this.#back = undefined;
    this.#await(this.#cursor.set(to, { force: true }).then(tell));
  }

  #await(moved: Promise<unknown>): void {
    this.#moved = moved.catch((error) => {
      this.#failure ??= error;
    });
  }

  /** Resolves once it stands where it is to stand. */
  async moved(): Promise<void> {
    this.move();
    await this.#moved;
    if (this.#failure !== undefined) throw this.#failure;
  }
}

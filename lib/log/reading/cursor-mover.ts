import type { NamedCursor } from '../cursors/index.js';
import type { LogRecord } from '../records/index.js';

/** Who takes long for each record loses no more than that. */
const MOVED_EACH_MS = 100;

/**
 * Moves a named cursor behind what was read: each so many records and milliseconds while records are there, and always
 * before nothing is. Never back: others may have moved it further.
 */
export class CursorMover {
  readonly #cursor: NamedCursor;
  #given: number | undefined;
  #passed: number | undefined;
  #hasRead = false;
  #movedAtMs = Number.NEGATIVE_INFINITY;
  #movedTo = 0;
  #failure: unknown;
  #moved: Promise<unknown> | undefined;

  constructor(cursor: NamedCursor) {
    this.#cursor = cursor;
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
    if (this.#passed === undefined) return;
    const offset = this.#passed;
    this.#passed = undefined;
    this.#movedAtMs = performance.now();
    this.#movedTo = offset;
    this.#moved = this.#cursor.advance(offset).catch((error) => {
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

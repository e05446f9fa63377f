import { isTurnDue, turn, type WaitOptions, waitOptions } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';
import { oneOf, wholeNumber } from '../../options.js';
import type { CursorFile } from './cursor-file.js';
import { CursorName } from './cursor-name.js';

/** `signal` and `timeoutMs` (10000) are for the case that another process holds the file. */
export interface CursorSetOptions extends WaitOptions {
  /** Move it back, too, and set it anew where it is damaged. */
  force?: boolean | undefined;
}

/** A named cursor, as it stands. */
export interface CursorInfo {
  /** Undefined where it is damaged beyond reading. */
  name: string | undefined;
  /** The next offset to read; undefined where nobody can tell any more. */
  offset: number | undefined;
  /** How many offsets there are from there on; undefined also where damage hides the log's end. */
  lag: number | undefined;
  /** There where something of it is damaged, also where all of this can be told nevertheless. */
  damaged?: true;
}

/** A durable position in a log that has a name: what whoever reads under that name is to read next. */
export class NamedCursor {
  readonly #file: CursorFile;
  readonly #name: CursorName;
  readonly #next: () => number;

  /** @internal Use `log.cursor`. `next`: the offset that the log's next record gets. */
  constructor(file: CursorFile, name: string, next: () => number) {
    this.#file = file;
    this.#name = new CursorName(name);
    this.#next = next;
  }

  get name(): string {
    return this.#name.text;
  }

  /** The next offset to read; undefined where none was set yet. */
  get(): number | undefined {
    return this.#file.get(this.#name);
  }

  /** How many offsets there are behind it that are to be read; undefined where it wasn't set yet. */
  get lag(): number | undefined {
    const offset = this.get();
    return offset === undefined ? undefined : Math.max(0, this.#next() - offset);
  }

  /**
   * Moves it on. All processes see it at once, and the disk has it 100 ms later at most. It doesn't go back but with
   * `force`: a lower offset is refused, and says where the cursor stands.
   */
  async set(offset: number, options?: CursorSetOptions): Promise<void> {
    wholeNumber('offset', offset, 0, Number.MAX_SAFE_INTEGER);
    waitOptions('set', options, ['force']);
    const force = oneOf('force', options?.force ?? false, [true, false]);
    const set = this.#file.set(this.#name, offset, force, options);
    const current = typeof set === 'number' ? set : await set;
    if (isTurnDue()) await turn();
    if (current <= offset) return;
    throw new MillraceError(
      'ERR_INVALID_ARGUMENT',
      `The cursor '${this.name}' stands at ${current} and doesn't go back to ${offset}, but with { force: true }`,
      { path: this.#file.directory, cursor: this.name, current },
    );
  }

  /** @internal Moves it on if it isn't further already; resolves with where it stands then. */
  async advance(offset: number): Promise<number> {
    return this.#file.set(this.#name, offset, false);
  }

  /** @internal Moves it back if it still stands where it was seen; resolves with whether it did. */
  async setBack(from: number, to: number): Promise<boolean> {
    return this.#file.setBack(this.#name, from, to);
  }

  /** Resolves once what was set before is on the disk. */
  async flush(options?: WaitOptions): Promise<void> {
    waitOptions('flush', options);
    await this.#file.flush(options);
  }

  /** Resolves with whether there was one. What reads under this name begins anew then. */
  async delete(options?: WaitOptions): Promise<boolean> {
    waitOptions('delete', options);
    return this.#file.delete(this.#name, options);
  }
}

import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';
import { environment } from '../runtime/index.js';
import type { Appender } from './appender.js';

/**
 * Room in the channel itself that the caller fills. `bytes` is the whole mapping: writing outside
 * `start` ... `end` corrupts the channel. One object for all claims of a writer, reused.
 */
export class Claim {
  /** Where the room begins in `bytes`. */
  start = 0;
  /** Where it ends. */
  end = 0;
  readonly #path: string;
  readonly #appender: Appender;
  readonly #timed: boolean;
  #type = 0;

  /** @internal Use `writer.claim`. */
  constructor(path: string, appender: Appender, timed: boolean) {
    this.#path = path;
    this.#appender = appender;
    this.#timed = timed;
  }

  /** The whole mapping, of which `start` … `end` is lent. */
  get bytes(): Buffer {
    return this.#appender.bytes;
  }

  /** @internal */
  open(start: number, length: number, type: number): this {
    this.start = start;
    this.end = start + length;
    this.#type = type;
    return this;
  }

  /** Makes the record visible, its first `used` bytes (default all). Returns the bytes of the stream it took. */
  commit(used = this.end - this.start): number {
    this.#assertOpen();
    if (!Number.isSafeInteger(used) || used < 0 || used > this.end - this.start) {
      throw invalidArgument(`A claim of ${this.end - this.start} bytes can't commit ${show(used)}`, {
        path: this.#path,
      });
    }
    return this.#appender.commitClaim(used, this.#type, 0, this.#timed ? environment.nowUs() : 0);
  }

  /** Gives it up; as if it had never been. */
  abort(): void {
    this.#assertOpen();
    this.#appender.abortClaim();
  }

  #assertOpen(): void {
    if (this.#appender.busy) return;
    // It was the writer's end, then, that aborted it.
    if (this.#appender.stopped !== undefined) throw this.#appender.stopped();
    throw invalidArgument('This claim was committed or aborted already', { path: this.#path });
  }
}

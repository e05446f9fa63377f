import { Readable } from 'node:stream';
import { type RecordHandler, TurnClock, turn, type WaitOptions } from '../channel/index.js';
import { invalidArgument } from '../errors.js';
import { oneOf, show } from '../options.js';
import { asError, checkStreamOptions, destroyOn, type StreamOptions } from './options.js';

export interface ReadableOptions extends StreamOptions {
  /** In object mode: push what the reader's codec made of each record, and nothing else of it (false). */
  values?: boolean | undefined;
}

/** What can be streamed: a `Reader`, or a `ManyReader`. */
export interface ReadableSource {
  readonly path?: string | undefined;
  poll(handler: RecordHandler, limit: number): number;
  read(): { value: unknown; record: number; source?: string } | undefined;
  ready(options: WaitOptions): Promise<boolean>;
  readonly ended: boolean;
  close(): void;
}

/**
 * A stream of a channel's records: of their bytes, one after the other, or in object mode of the records themselves. It
 * reads no more than is wanted. Ends where the channel ends; what goes wrong destroys it, once all that was read before is
 * taken.
 */
export function readable(reader: ReadableSource, options: ReadableOptions = {}): Readable {
  const own = checkStreamOptions('readable', options, ['values']);
  oneOf('values', own.values ?? false, [true, false]);
  if (own.values === true && own.objectMode !== true) {
    throw invalidArgument('Values are not bytes: values: true needs objectMode: true');
  }
  if (typeof reader?.ready !== 'function' || typeof reader.poll !== 'function') {
    throw invalidArgument(`What is to be streamed must be a Reader or a ManyReader, not ${show(reader)}`);
  }
  return new RecordReadable(reader, own);
}

class RecordReadable extends Readable {
  readonly #reader: ReadableSource;
  readonly #options: ReadableOptions;
  readonly #stop = new AbortController();
  readonly #clock = new TurnClock();
  #pulling = false;
  #bytes: Buffer | undefined;
  /** What went wrong behind the records that are still to be taken. */
  #fault: { error: Error } | undefined;
  /** Who reads was last told that there is less than was asked for, and nothing came since. */
  #starved = false;

  constructor(reader: ReadableSource, options: ReadableOptions) {
    super({ objectMode: options.objectMode, highWaterMark: options.highWaterMark });
    this.#reader = reader;
    this.#options = options;
    destroyOn(options.signal, this.#stop.signal, reader.path, this);
  }

  override _read(): void {
    if (this.#pulling || this.#fault !== undefined) return;
    this.#pulling = true;
    void this.#pull();
  }

  /**
   * Pushes until nothing more is wanted. By then, at once, it must be known that nobody pulls: more may be wanted. However
   * quickly it is taken, the event loop has its turns.
   */
  async #pull(): Promise<void> {
    const { timeoutMs, objectMode } = this.#options;
    try {
      while (!this.destroyed) {
        if (this.#clock.isOver()) {
          await turn();
          continue;
        }
        const chunk = this.#next();
        if (chunk === undefined) {
          const more = await this.#reader.ready({ signal: this.#stop.signal, timeoutMs });
          // Of a reader that somebody closed this throws: that is not the end of its channel.
          if (more || !this.#reader.ended) continue;
          this.push(null);
          return;
        }
        // A stream of bytes has no place for a record of none.
        const empty = objectMode !== true && (chunk as Buffer).length === 0;
        if (!empty) {
          this.#starved = false;
          if (!this.push(chunk)) return;
        }
      }
    } catch (error) {
      this.#fault = { error: asError(error, this.#reader.path) };
      this.#failIfTaken();
    } finally {
      this.#pulling = false;
    }
  }

  /** What to push next; undefined where nothing is there. */
  #next(): unknown {
    if (this.#options.objectMode !== true) {
      return this.#reader.poll(this.#copy, 1) === 0 ? undefined : this.#bytes;
    }
    const record = this.#reader.read();
    if (record === undefined || this.#options.values !== true) return record;
    if (record.value !== null && record.value !== undefined) return record.value;
    const path = record.source ?? this.#reader.path;
    throw invalidArgument(
      `Record ${record.record} is ${record.value}, which a stream of values can't carry: leave out values: true`,
      { record: record.record, path },
    );
  }

  readonly #copy: RecordHandler = (bytes, start, end) => {
    this.#bytes = Buffer.from(bytes.subarray(start, end));
  };

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.#starved = chunk === null && size !== 0;
    this.#failIfTaken();
    return chunk;
  }

  /** All that was read before is taken, or more than is left was asked for, and no more will come. */
  #failIfTaken(): void {
    const isTaken = this.readableLength === 0 || this.#starved;
    if (this.#fault !== undefined && isTaken) this.destroy(this.#fault.error);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#stop.abort();
    if (this.#options.close !== false) this.#reader.close();
    callback(error);
  }
}

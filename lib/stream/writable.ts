import { Writable } from 'node:stream';
import { type BatchRecord, type Data, isTurnDue, Refusal, turn, Writer } from '../channel/index.js';
import { invalidArgument } from '../errors.js';
import { show } from '../options.js';
import { asError, checkStreamOptions, destroyOn, type StreamOptions } from './options.js';

export interface WritableOptions extends StreamOptions {}

type Callback = (error?: Error | null) => void;

/**
 * A stream that writes each chunk as one record, and waits for room where readers hold the writer back. Its end closes the
 * writer. In object mode chunks are what `writeBatch` takes.
 */
export function writable<In = Data>(writer: Writer<In>, options: WritableOptions = {}): Writable {
  const own = checkStreamOptions('writable', options);
  if (!(writer instanceof Writer)) throw invalidArgument(`There is no Writer, but ${show(writer)}`);
  return new RecordWritable(writer as Writer<unknown>, own);
}

class RecordWritable extends Writable {
  readonly #writer: Writer<unknown>;
  readonly #options: WritableOptions;
  readonly #stop = new AbortController();
  /** Whether what was written counts once it is on the disk. */
  readonly #syncs: boolean;

  constructor(writer: Writer<unknown>, options: WritableOptions) {
    super({ objectMode: options.objectMode, highWaterMark: options.highWaterMark });
    this.#writer = writer;
    this.#options = options;
    this.#syncs = writer.sync === 'commit';
    destroyOn(options.signal, this.#stop.signal, writer.path, this);
  }

  override _write(chunk: unknown, _encoding: BufferEncoding, callback: Callback): void {
    this.#answer(this.#writeAll([chunk]), callback);
  }

  override _writev(chunks: { chunk: unknown }[], callback: Callback): void {
    this.#answer(this.#writeAll(chunks.map(({ chunk }) => chunk)), callback);
  }

  #answer(writing: Promise<void>, callback: Callback): void {
    writing.then(
      () => callback(),
      (thrown) => callback(asError(thrown, this.#writer.path)),
    );
  }

  /**
   * With as few commits as there is room for: where all don't go in at once, fewer are tried. So what is before one that
   * can't be written goes in, however many came at once.
   */
  async #writeAll(chunks: unknown[]): Promise<void> {
    const writer = this.#writer;
    const wait = { signal: this.#stop.signal, timeoutMs: this.#options.timeoutMs };
    for (let at = 0, most = chunks.length; at < chunks.length && !this.destroyed; ) {
      const batch = chunks.slice(at, at + most) as (Data | BatchRecord)[];
      const taken = this.#tryAll(batch);
      if (taken > 0) {
        at += batch.length;
        most *= 2;
      } else if (batch.length > 1) {
        most = batch.length >> 1;
      } else if (taken === Refusal.BACK_PRESSURE) {
        await writer.ready(wait);
      } else {
        // It was refused for good; this says why.
        writer.writeBatch(batch);
      }
    }
    if (this.#syncs) await writer.flush(wait);
    // Whoever feeds it may have the next chunk at once, and so on without end.
    if (isTurnDue()) await turn();
  }

  /** Throws where it is a single one that can't be written; of several it is found by trying fewer. */
  #tryAll(batch: (Data | BatchRecord)[]): number {
    try {
      return this.#writer.tryWriteBatch(batch);
    } catch (error) {
      if (batch.length === 1) throw error;
      return Refusal.TOO_LARGE;
    }
  }

  override _final(callback: Callback): void {
    if (this.#options.close === false) callback();
    else this.#writer[Symbol.asyncDispose]().then(() => callback(), callback);
  }

  /** The writer stays open: closing it would end its channel for good, as if all had been written. */
  override _destroy(error: Error | null, callback: Callback): void {
    this.#stop.abort();
    callback(error);
  }
}

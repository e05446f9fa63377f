import { MillraceError } from '../../errors.js';
import type { Mapped } from '../file/index.js';
import { RESERVED_BYTES } from '../layout.js';
import type { DescribedRecord } from '../records/index.js';

/** How much a channel takes at once, whatever room there is. */
export class Sizes {
  readonly #channel: Mapped;

  constructor(channel: Mapped) {
    this.#channel = channel;
  }

  /** A batch lies in one piece. */
  get largestBatch(): number {
    const { mode, capacity } = this.#channel.header;
    return mode === 'ring' ? capacity >> 2 : capacity - RESERVED_BYTES;
  }

  /** What a batch takes of the stream, headers counted. */
  batchBytes(records: readonly Uint8Array[] | readonly DescribedRecord[]): number {
    const { frameHeader } = this.#channel.header;
    let bytes = 0;
    for (const { length } of records) bytes += (length + frameHeader + 15) & -16;
    return bytes;
  }

  /** The error that tells what of a batch is too much, if anything. */
  batchTooLarge(records: readonly Uint8Array[] | readonly DescribedRecord[]): MillraceError | undefined {
    const { maxRecord } = this.#channel.header;
    for (const { length } of records) if (length > maxRecord) return this.recordTooLarge(length);
    const bytes = this.batchBytes(records);
    return bytes > this.largestBatch ? this.#tooLarge(bytes, this.largestBatch) : undefined;
  }

  recordTooLarge(size: number): MillraceError {
    return this.#tooLarge(size, this.#channel.header.maxRecord);
  }

  #tooLarge(size: number, max: number): MillraceError {
    const { path } = this.#channel;
    return new MillraceError(
      'ERR_RECORD_TOO_LARGE',
      `${size} bytes are too much for ${path}: it takes at most ${max} at once`,
      { path, size, max },
    );
  }
}

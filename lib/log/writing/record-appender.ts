import {
  areBytes,
  type CompressionSettings,
  DescribedRecord,
  environment,
  isByteArray,
  largestInSegment,
} from '../../channel/index.js';
import { invalidArgument, MillraceError, withFacts } from '../../errors.js';
import { show } from '../../options.js';
import { LARGEST_SEGMENT, type LogSettings } from '../options.js';
import {
  type EncodedRecord,
  type LogRecordInput,
  NO_TIME,
  packAll,
  RecordEncoder,
} from '../records/index.js';
import type { LogWriter } from './log-writer.js';

/** A record going in: described, or its value alone. */
export type Appendable = LogRecordInput | Uint8Array | string;

/** Makes of what a user gives what a log's writer takes. */
export class RecordAppender {
  readonly #path: string;
  readonly #encoder = new RecordEncoder();
  readonly #compression: CompressionSettings | undefined;
  /** The largest payload that fits into any segment. */
  readonly #largest: number;
  #isAppending = false;
  readonly #fill = (bytes: Buffer, at: number): void => this.#write(bytes, at);

  /** `path`: of the log. */
  constructor(path: string, { compression, segment }: LogSettings) {
    this.#path = path;
    this.#compression = compression;
    this.#largest = largestInSegment(segment);
  }

  append(writer: LogWriter, record: Appendable): number {
    this.#begin();
    try {
      if (isByteArray(record)) return writer.append(record, 0, environment.nowUs());
      const encoder = this.#encoder;
      const length = this.#measure(record);
      const timeUs = encoder.timeUs === NO_TIME ? environment.nowUs() : encoder.timeUs;
      return writer.fill(length, encoder.type, timeUs, this.#fill);
    } finally {
      this.#isAppending = false;
    }
  }

  /** All of them or none; returns the offset of the first. One look at the clock is enough for all. */
  appendBatch(writer: LogWriter, given: readonly Appendable[]): number {
    this.#begin();
    try {
      return this.#appendAll(writer, given);
    } finally {
      this.#isAppending = false;
    }
  }

  #appendAll(writer: LogWriter, given: readonly Appendable[]): number {
    if (!Array.isArray(given)) {
      throw invalidArgument(`A batch must be an array, not ${show(given)}`, { path: this.#path });
    }
    // Its elements may be computed, and another time others. There are no holes in this one.
    const records: readonly Appendable[] = [...given];
    const { length } = records;
    if (length === 0) return writer.next;
    const now = environment.nowUs();
    const compression = this.#compression;
    if (compression === undefined && areBytes(records)) return writer.appendBatch(records, length, now, now);
    let maxTimeUs = 0;
    const items = records.map((record, i) => {
      const item = this.#describe(record, writer.next + i, now);
      maxTimeUs = Math.max(maxTimeUs, item.timeUs);
      return item;
    });
    const packed =
      compression === undefined || isNearLastOffset(writer.next + length)
        ? items
        : packAll(items, this.#largest, compression.algorithm, compression.level);
    return writer.appendBatch(packed, length, now, maxTimeUs);
  }

  #measure(record: Appendable): number {
    try {
      return this.#encoder.measure(record);
    } catch (error) {
      throw this.#withPath(error);
    }
  }

  #write(target: Buffer, at: number): void {
    try {
      this.#encoder.write(target, at);
    } catch (error) {
      throw this.#withPath(error);
    }
  }

  #withPath(error: unknown): unknown {
    return error instanceof MillraceError ? withFacts(error, { path: this.#path }) : error;
  }

  /**
   * An element, a field, or how long an array is may be computed as it is looked at; what that appended would come in the
   * midst of its own record.
   */
  #begin(): void {
    if (this.#isAppending) {
      throw new MillraceError(
        'ERR_BUSY',
        `A field of a record that is being appended to ${this.#path} can't append another one to it`,
        { path: this.#path },
      );
    }
    this.#isAppending = true;
  }

  #describe(record: Appendable, offset: number, now: number): EncodedRecord {
    const length = this.#measure(record);
    const { type, timeUs } = this.#encoder;
    const data = Buffer.allocUnsafe(length);
    this.#write(data, 0);
    return new DescribedRecord(data, length, type, offset, timeUs === NO_TIME ? now : timeUs);
  }
}

/**
 * A segment that is begun has as many offsets left as bytes: enough for frames of one record each, but not for compressed
 * batches, which may have more records than bytes.
 */
function isNearLastOffset(next: number): boolean {
  return !Number.isSafeInteger(next + LARGEST_SEGMENT);
}

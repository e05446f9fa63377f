import { invalidArgument } from '../../errors.js';
import { knownOptions, show } from '../../options.js';
import { timeInUs } from '../runtime/index.js';
import type { Encoder } from './codecs.js';
import {
  areBytes,
  type BatchRecord,
  type Data,
  DescribedRecord,
  isByteArray,
  isData,
  lengthOf,
  measure,
  type RecordOptions,
  taken,
} from './data.js';

/** What a batch is made of: without a codec also records that are described; with one, values only. */
export type BatchOf<In> = [In] extends [Data] ? In | BatchRecord : In;

/** Checks what a user says of records, and makes of a batch what the appender takes. */
export class Describer<In> {
  readonly #path: string;
  readonly #timed: boolean;
  readonly #codec: Encoder<In> | undefined;

  constructor(path: string, timed: boolean, codec: Encoder<In> | undefined) {
    this.#path = path;
    this.#timed = timed;
    this.#codec = codec;
  }

  batch(given: readonly BatchOf<In>[]): readonly Uint8Array[] | readonly DescribedRecord[] {
    if (!Array.isArray(given)) {
      throw invalidArgument(`A batch must be an array, not ${show(given)}`, { path: this.#path });
    }
    // Not copied: the appender believes nothing of what is said of them here.
    if (this.#codec === undefined && areBytes(given)) return given;
    const items: DescribedRecord[] = [];
    try {
      // Not by index: each is looked at once, since they may be computed, and another time others.
      for (const record of given) items.push(this.#describe(record));
    } catch (error) {
      this.takeBack(items.length);
      throw error;
    }
    return items;
  }

  /** Tells the codec that so many of those it encoded last did not go in. */
  takeBack(records: number): void {
    for (let i = 0; i < records; i++) this.#codec?.refused?.();
  }

  #describe(record: BatchOf<In>): DescribedRecord {
    if (this.#codec !== undefined) return this.#encoded(this.#codec, record as In);
    if (isData(record)) return this.#plain(taken(record));
    const described = record as BatchRecord | null;
    if (typeof described !== 'object' || described === null || !('data' in described)) {
      throw invalidArgument(
        `A record must be a Uint8Array, a string, an array of these or { data, type, tag }, not ${show(record)}`,
        { path: this.#path },
      );
    }
    knownOptions('A record', described, ['data', 'type', 'tag', 'timestamp']);
    // Once: they may be computed, and another time others.
    const { data: given, type, tag, timestamp } = described;
    const data = taken(given);
    const length = measure(data, this.#path);
    return new DescribedRecord(data, length, checkType(type), this.checkTag(tag), this.checkTime(timestamp));
  }

  #encoded(codec: Encoder<In>, value: In): DescribedRecord {
    const data = codec.encode(value);
    try {
      // A codec may use its buffer again for the next one.
      return this.#plain(copied(data, this.#path));
    } catch (error) {
      codec.refused?.();
      throw error;
    }
  }

  #plain(data: Data): DescribedRecord {
    return new DescribedRecord(data, measure(data, this.#path), 0, 0, undefined);
  }

  checkTag(tag: RecordOptions['tag']): number {
    if (tag === undefined) return 0;
    this.#needsTimestamps('tag');
    if (!Number.isSafeInteger(tag) || tag < 0) {
      throw invalidArgument(`tag must be a whole number from 0 to 2^53 - 1, not ${show(tag)}`);
    }
    return tag;
  }

  /** Undefined: the time at which it is written. */
  checkTime(timestamp: RecordOptions['timestamp']): number | undefined {
    if (timestamp === undefined) return undefined;
    this.#needsTimestamps('timestamp');
    return timeInUs('timestamp', timestamp);
  }

  #needsTimestamps(what: string): void {
    if (this.#timed) return;
    throw invalidArgument(`${this.#path} was made without timestamps: its records have no ${what}`, {
      path: this.#path,
    });
  }
}

export function checkType(type: number | undefined): number {
  if (type === undefined) return 0;
  if (typeof type === 'number' && type >>> 16 === 0 && (type | 0) === type) return type;
  throw invalidArgument(`type must be a whole number from 0 to 65535, not ${show(type)}`);
}

function copied(data: Data, path: string): Data {
  if (isByteArray(data)) {
    lengthOf(data, path);
    return Buffer.from(data);
  }
  return Array.isArray(data) ? [...data].map((part) => copied(part, path) as Uint8Array | string) : data;
}

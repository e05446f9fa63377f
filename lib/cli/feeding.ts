import type { MillraceError } from '../index.js';
import { InputError } from './input.js';

/** What is wrong with a record, or with so many together: all but one of them may go in. */
const OF_RECORDS = ['ERR_INVALID_ARGUMENT', 'ERR_RECORD_TOO_LARGE', 'ERR_CHANNEL_FULL'];

/** Puts the records of an input in, batch by batch, and counts them. What went in before a fault stays. */
export abstract class Feeding<T> {
  /** How many went in. */
  protected count = 0;
  readonly #inWholes: boolean;

  /** `inWholes`: all of a batch or none; else where one of its records is refused, those before it go in. */
  constructor(inWholes: boolean) {
    this.#inWholes = inWholes;
  }

  /** All of them or none. */
  protected abstract put(batch: T[]): Promise<void>;

  /** For whoever does more once a batch is in: what is put in one by one is that batch still. */
  async add(batch: T[]): Promise<void> {
    await this.#add(batch);
  }

  async #add(batch: T[]): Promise<void> {
    try {
      await this.put(batch);
    } catch (error) {
      if (!isOfRecords(error)) throw error;
      if (batch.length === 1 || this.#inWholes) throw this.#explain(error, batch.length);
      for (const record of batch) await this.#add([record]);
      return;
    }
    this.count += batch.length;
  }

  #explain({ code, message }: MillraceError, records: number): InputError {
    const number = this.count + 1;
    const which = records === 1 ? `record ${number}` : `records ${number} to ${number + records - 1}`;
    return new InputError(`${which} of the input: ${message} (${code})`);
  }
}

function isOfRecords(error: unknown): error is MillraceError {
  return OF_RECORDS.includes((error as MillraceError).code);
}

import { isUtf8 } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { MillraceError } from '../index.js';
import { UsageError, type Values, type Verb } from './command.js';
import { plain } from './words.js';

const NEWLINE = 10;
const LENGTH_BYTES = 4;
/** A byte takes no more of them in JSON: \u0000. */
const JSON_TIMES = 6;
/** What a record has in JSON besides its bytes. */
const JSON_BESIDES = 1024;
const BLANK = /^\s*$/;
const NOTHING = Buffer.alloc(0);

/** Cuts what comes in pieces into records. */
export interface Cutter<T> {
  /** Those that are whole with this piece. */
  take(piece: Buffer): Iterable<T>;
  /** Nothing more comes: what is left, if that is a record. */
  end(): T | undefined;
}

/** What no value is larger than. */
export interface Largest {
  bytes: number;
  /** Such as 'a segment of the log'. */
  name: string;
}

/** How a record is made of what was cut. */
export interface Makers<T> {
  ofValue(value: Buffer): T;
  ofJson(text: string): T;
}

/** Of something in the input that is no record: what came before it is one. */
export class InputError extends Error {}

/** What is not yet a whole record. */
class Rest {
  bytes = 0;
  #pieces: Buffer[] = [];

  add(piece: Buffer): void {
    this.bytes += piece.length;
    this.#pieces.push(piece);
  }

  /** All of it, joined. */
  take(): Buffer {
    const [only = NOTHING] = this.#pieces;
    const whole = this.#pieces.length > 1 ? Buffer.concat(this.#pieces) : only;
    this.#pieces = [];
    this.bytes = 0;
    return whole;
  }
}

/** A record a line, unless it makes none; the last one may lack its end. */
class Lines<T> implements Cutter<T> {
  readonly #make: (line: Buffer, number: number) => T | undefined;
  readonly #largest: Largest;
  readonly #rest = new Rest();
  #number = 1;

  constructor(largest: Largest, make: (line: Buffer, number: number) => T | undefined) {
    this.#largest = largest;
    this.#make = make;
  }

  *take(piece: Buffer): Generator<T> {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      this.#rest.add(piece.subarray(start, end));
      const made = this.#line();
      if (made !== undefined) yield made;
      start = end + 1;
    }
    if (start < piece.length) this.#rest.add(piece.subarray(start));
    // Its end may never come.
    if (this.#rest.bytes > this.#largest.bytes) throw this.#tooLong(' and more');
  }

  #line(): T | undefined {
    if (this.#rest.bytes > this.#largest.bytes) throw this.#tooLong('');
    return this.#make(this.#rest.take(), this.#number++);
  }

  #tooLong(andMore: string): MillraceError {
    const { bytes: max, name } = this.#largest;
    const size = this.#rest.bytes;
    const message = `line ${this.#number} has ${plain(size, 'byte')}${andMore}, too many for ${name}: at most ${max}`;
    return new MillraceError('ERR_RECORD_TOO_LARGE', message, { size, max });
  }

  end(): T | undefined {
    return this.#rest.bytes > 0 ? this.#line() : undefined;
  }
}

/** Four bytes of length, the least significant first, and as many bytes. */
class Frames<T> implements Cutter<T> {
  readonly #make: (value: Buffer) => T;
  readonly #largest: Largest;
  readonly #rest = new Rest();
  #number = 1;
  #need = LENGTH_BYTES;
  #isValue = false;

  constructor(largest: Largest, make: (value: Buffer) => T) {
    this.#largest = largest;
    this.#make = make;
  }

  *take(piece: Buffer): Generator<T> {
    let start = 0;
    for (;;) {
      const end = Math.min(piece.length, start + this.#need - this.#rest.bytes);
      this.#rest.add(piece.subarray(start, end));
      start = end;
      if (this.#rest.bytes < this.#need) return;
      const part = this.#rest.take();
      if (this.#isValue) {
        this.#number++;
        this.#need = LENGTH_BYTES;
        yield this.#make(part);
      } else {
        this.#need = this.#check(part.readUInt32LE());
      }
      this.#isValue = !this.#isValue;
    }
  }

  #check(length: number): number {
    const { bytes, name } = this.#largest;
    if (length <= bytes) return length;
    throw new InputError(
      `frame ${this.#number} is said to have ${length} bytes, more than ${name}: is this made of frames?`,
    );
  }

  end(): undefined {
    if (!this.#isValue && this.#rest.bytes === 0) return;
    throw new InputError(`the input ends within frame ${this.#number}`);
  }
}

export type InputFormat = 'lines' | 'frames' | 'json';

export const INPUT_OPTIONS = {
  lines: { type: 'boolean' },
  frames: { type: 'boolean' },
  json: { type: 'boolean' },
} as const;

export function inputFormatOf({ name }: Verb, { lines, frames, json }: Values): InputFormat {
  if (lines === true && frames === true) {
    throw new UsageError(`${name}: one of --lines, --frames, not both`, name);
  }
  if (frames === true) return 'frames';
  return json === true && lines !== true ? 'json' : 'lines';
}

const STANDARD_INPUT = 0;

/** Refuses what Node.js takes for an input that has ended: that of a directory says nothing, and not that it is over. */
export function checkInput({ name }: Verb): void {
  const input = fstatSync(STANDARD_INPUT);
  if (input.isFile() || input.isFIFO() || input.isSocket() || input.isCharacterDevice()) return;
  const what = input.isDirectory() ? 'a directory' : 'neither a file nor a pipe';
  throw new UsageError(`${name}: standard input is ${what}: there is nothing to read`, name);
}

export function cutterFor<T>(
  format: InputFormat,
  largest: Largest,
  { ofValue, ofJson }: Makers<T>,
): Cutter<T> {
  switch (format) {
    case 'lines':
      return new Lines(largest, ofValue);
    case 'frames':
      return new Frames(largest, ofValue);
    case 'json':
      return new Lines(largestInJson(largest), (line, number) => {
        try {
          return ofLine(line, ofJson);
        } catch (error) {
          throw new InputError(`line ${number}: ${(error as Error).message}`);
        }
      });
  }
}

function ofLine<T>(line: Buffer, ofJson: (text: string) => T): T | undefined {
  // What can't be decoded would become something else.
  if (!isUtf8(line)) throw new Error('it is not UTF-8: bytes that are no text are given in base64 or hex');
  const text = line.toString('utf8');
  return BLANK.test(text) ? undefined : ofJson(text);
}

function largestInJson({ bytes, name }: Largest): Largest {
  return { bytes: bytes * JSON_TIMES + JSON_BESIDES, name: `${name} in JSON` };
}

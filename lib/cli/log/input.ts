import type { Appendable, LogRecordInput } from '../../log/index.js';
import { recordOf } from './json-record.js';

const NEWLINE = 10;
const LENGTH_BYTES = 4;
/** A byte takes no more of them in JSON: \u0000. */
const JSON_TIMES = 6;
const NOTHING = Buffer.alloc(0);

/** Cuts what comes in pieces into records. */
export interface Cutter {
  /** Those that are whole with this piece. */
  take(piece: Buffer): Iterable<Appendable>;
  /** Nothing more comes: what is left, if that is a record. */
  end(): Appendable | undefined;
}

/** Of something in the input that is no record: what came before it is one. */
export class InputError extends Error {}

/** What is not yet a whole record. What is longer than a segment never will be one. */
class Rest {
  bytes = 0;
  readonly #most: number;
  #pieces: Buffer[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  add(piece: Buffer, what: string): void {
    this.bytes += piece.length;
    if (this.bytes > this.#most) throw new InputError(`${what} is longer than a segment of the log`);
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

/** A record a line; the last one may lack its end. */
class Lines implements Cutter {
  readonly #make: (line: Buffer, number: number) => Appendable;
  readonly #rest: Rest;
  #number = 1;

  constructor(most: number, make: (line: Buffer, number: number) => Appendable) {
    this.#rest = new Rest(most);
    this.#make = make;
  }

  *take(piece: Buffer): Generator<Appendable> {
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end >= 0; end = piece.indexOf(NEWLINE, start)) {
      this.#add(piece.subarray(start, end));
      yield this.#line();
      start = end + 1;
    }
    if (start < piece.length) this.#add(piece.subarray(start));
  }

  #add(part: Buffer): void {
    this.#rest.add(part, `line ${this.#number}`);
  }

  #line(): Appendable {
    return this.#make(this.#rest.take(), this.#number++);
  }

  end(): Appendable | undefined {
    return this.#rest.bytes > 0 ? this.#line() : undefined;
  }
}

/** Four bytes of length, the least significant first, and as many bytes. */
class Frames implements Cutter {
  readonly #make: (value: Buffer) => Appendable;
  readonly #most: number;
  readonly #rest: Rest;
  #number = 1;
  #need = LENGTH_BYTES;
  #isValue = false;

  constructor(most: number, make: (value: Buffer) => Appendable) {
    this.#rest = new Rest(most);
    this.#most = most;
    this.#make = make;
  }

  *take(piece: Buffer): Generator<Appendable> {
    let start = 0;
    for (;;) {
      const end = Math.min(piece.length, start + this.#need - this.#rest.bytes);
      this.#rest.add(piece.subarray(start, end), `frame ${this.#number}`);
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
    if (length <= this.#most) return length;
    throw new InputError(
      `frame ${this.#number} is said to have ${length} bytes, more than a segment of the log: is this made of frames?`,
    );
  }

  end(): undefined {
    if (!this.#isValue && this.#rest.bytes === 0) return;
    throw new InputError(`the input ends within frame ${this.#number}`);
  }
}

/** What all records have that say nothing else. */
export type Template = Pick<LogRecordInput, 'key' | 'headers'>;

export type InputFormat = 'lines' | 'frames' | 'json';

/** `segment`: its bytes. */
export function cutterFor(format: InputFormat, segment: number, template: Template): Cutter {
  const isPlain = template.key === undefined && template.headers === undefined;
  const described = (value: Buffer): Appendable => (isPlain ? value : { ...template, value });
  switch (format) {
    case 'lines':
      return new Lines(segment, described);
    case 'frames':
      return new Frames(segment, described);
    case 'json':
      return new Lines(segment * JSON_TIMES, (line, number) => {
        try {
          return { ...template, ...recordOf(line.toString('utf8')) };
        } catch (error) {
          throw new InputError(`line ${number}: ${(error as Error).message}`);
        }
      });
  }
}

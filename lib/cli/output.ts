import { fstatSync, writeSync } from 'node:fs';
import type { WriteStream } from 'node:tty';
import { BYTES_A_UNIT, CONTROL, endOf } from './words.js';

const CHUNK_BYTES = 65536;
const NEWLINE = 10;

/**
 * Standard output in larger pieces, no faster than whoever reads it. Whoever stops reading, as `head` does, has
 * seen enough of what is printed as it comes: `flush` ends the process then, without a word. What a verb that does work
 * tells of it in the end is left to `end`: how that came out is in the exit code, whoever reads.
 */
export class Output {
  readonly #stream: WriteStream & { fd: number };
  readonly #isFile: boolean;
  #chunk = Buffer.allocUnsafe(CHUNK_BYTES * 2);
  #used = 0;
  #isEnding = false;

  constructor(stream: WriteStream & { fd: number }) {
    this.#stream = stream;
    this.#isFile = fstatSync(stream.fd).isFile();
    stream.on('error', (error: NodeJS.ErrnoException) => this.#fail(error));
  }

  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** Columns of the terminal; undefined where there is none, or nobody told it its size, which is 0 then. */
  get width(): number | undefined {
    return this.#stream.columns || undefined;
  }

  /** The same of its lines. */
  get height(): number | undefined {
    return this.#stream.rows || undefined;
  }

  /** Takes a line. True: enough is held by now that the caller must `flush`. */
  line(text: string | Buffer): boolean {
    if (typeof text === 'string') {
      this.#reserve(text.length * BYTES_A_UNIT + 1);
      this.#used += this.#chunk.write(text, this.#used);
    } else {
      this.bytes(text);
      this.#reserve(1);
    }
    this.#chunk[this.#used++] = NEWLINE;
    return this.#used >= CHUNK_BYTES;
  }

  /** The same for bytes that are no line. */
  bytes(data: Buffer): boolean {
    this.#reserve(data.length);
    this.#used += data.copy(this.#chunk, this.#used);
    return this.#used >= CHUNK_BYTES;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#chunk.length) return;
    const larger = Buffer.allocUnsafe((this.#used + bytes) * 2);
    this.#chunk.copy(larger, 0, 0, this.#used);
    this.#chunk = larger;
  }

  /** Begins a new picture on a terminal. */
  clear(): void {
    this.#reserve(CLEAR.length);
    this.#used += this.#chunk.write(CLEAR, this.#used);
  }

  /** Resolves once all is handed over to who reads it. */
  async flush(): Promise<void> {
    if (this.#used === 0) return;
    const taken = this.#chunk.subarray(0, this.#used);
    // The stream keeps what it was given until it is written.
    this.#chunk = Buffer.allocUnsafe(CHUNK_BYTES * 2);
    this.#used = 0;
    if (this.#isFile) this.#writeWhole(taken);
    else {
      await new Promise<void>((resolve) =>
        this.#stream.write(taken, (error) => {
          // Where it fails before the end, the process ends.
          if (!error || this.#isEnding) resolve();
        }),
      );
    }
  }

  /**
   * A stream takes a part for the whole where a disk is full. Where that fails before the end, who works has still to say
   * how far it came.
   */
  #writeWhole(bytes: Buffer): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#stream.fd, bytes, at);
    } catch (error) {
      if (!this.#isEnding) throw error;
      this.#fail(error as NodeJS.ErrnoException);
    }
  }

  /** Hands over what is left. Resolves also where nobody takes it: something may still have to be said. */
  end(): Promise<void> {
    this.#isEnding = true;
    return this.flush();
  }

  #fail(error: NodeJS.ErrnoException): void {
    if (error.code !== 'EPIPE') {
      sayError(error);
      process.exitCode = 1;
    }
    if (!this.#isEnding) process.exit();
  }
}

const CLEAR = '\u001b[H\u001b[J';

/** A line on standard error, about the work and not of it. */
export function say(message: string): void {
  sayProgress(undefined);
  process.stderr.write(`millrace: ${oneLine(message)}\n`);
}

const PROGRESS_EVERY_MS = 200;
let progressShown = 0;

/** On a terminal: how far long work has come, on a line of its own that is written over; undefined: away with it. */
export function sayProgress(text: string | undefined): void {
  if (!process.stderr.isTTY) return;
  const now = performance.now();
  if (text === undefined ? progressShown === 0 : now - progressShown < PROGRESS_EVERY_MS) return;
  progressShown = text === undefined ? 0 : now;
  process.stderr.write(`\r\u001b[K${text === undefined ? '' : fitting(text)}`);
}

/** On a line that is not full: of one that wrapped only the last row would be written over. How far it is stands at its end. */
function fitting(text: string): string {
  const columns = process.stderr.columns || Number.POSITIVE_INFINITY;
  return endOf(oneLine(text), columns - 1);
}

export function sayError(error: unknown): void {
  const { message, code } = error as NodeJS.ErrnoException;
  say(code === undefined ? message : `${message} (${code})`);
}

/** A path or a name may hold anything; a line of ours is one line and moves no cursor. */
function oneLine(message: string): string {
  return message.replace(CONTROL, ' ');
}

import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';
import { bytesOf, putBytes } from './put-bytes.js';
import { type HeadersInput, MAX_HEADERS } from './record.js';
import { isBytes, notBytes } from './record-check.js';
import { varintBytes, writeVarint } from './varint.js';

/** The headers of a record on their way into it; reused, so that it costs no memory. */
export class HeaderList {
  /** Names and values in turn; those from `used` on are of earlier records, and empty. */
  readonly #parts: (Uint8Array | string)[] = [];
  readonly #lengths: number[] = [];
  #used = 0;

  get count(): number {
    return this.#used >> 1;
  }

  /** Checks them and takes them on. Returns how many bytes they take, their count included. */
  collect(headers: HeadersInput): number {
    this.clear();
    if (Array.isArray(headers)) this.#collectPairs(headers);
    else this.#collectNamed(headers);
    let bytes = varintBytes(this.count);
    for (let i = 0; i < this.#used; i++) bytes += varintBytes(this.#lengths[i]) + this.#lengths[i];
    return bytes;
  }

  #collectPairs(headers: readonly unknown[]): void {
    for (let i = 0; i < headers.length; i++) {
      const pair = headers[i];
      if (!Array.isArray(pair) || pair.length !== 2) {
        throw invalidArgument(`A header must be a pair of name and value, not ${show(pair)}`);
      }
      this.#add(pair[0], pair[1]);
    }
  }

  #collectNamed(headers: unknown): void {
    if (!isPlainObject(headers)) {
      throw invalidArgument(
        `headers must be an object of values by name, or an array of pairs of name and value, not ${show(headers)}`,
      );
    }
    for (const name of Object.keys(headers)) this.#add(name, headers[name]);
  }

  #add(name: unknown, value: unknown): void {
    if (typeof name !== 'string' || name === '') {
      throw invalidArgument(`The name of a header must be a string that is not empty, not ${show(name)}`);
    }
    if (!isBytes(value)) throw notBytes(`header '${name}'`, value);
    if (this.count === MAX_HEADERS) throw invalidArgument(`A record has at most ${MAX_HEADERS} headers`);
    this.#push(name, bytesOf(name));
    this.#push(value, bytesOf(value));
  }

  #push(part: Uint8Array | string, length: number): void {
    this.#parts[this.#used] = part;
    this.#lengths[this.#used] = length;
    this.#used++;
  }

  /** Returns the place behind them. */
  write(target: Buffer, at: number): number {
    let to = writeVarint(target, at, this.count);
    for (let i = 0; i < this.#used; i++) {
      const length = this.#lengths[i];
      to = writeVarint(target, to, length);
      putBytes(target, to, this.#parts[i], length);
      to += length;
    }
    return to;
  }

  clear(): void {
    for (let i = 0; i < this.#used; i++) this.#parts[i] = '';
    this.#used = 0;
  }
}

/** One whose fields are all there is to it: of a Map, or of the platform's own Headers, nothing would be seen. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

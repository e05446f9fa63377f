const FIRST_BYTES = 1024;

/** A set of whole numbers from 0 on; takes a bit for each up to the largest. */
export class Bits {
  #bytes = new Uint8Array(FIRST_BYTES);

  has(number: number): boolean {
    return (this.#bytes[Math.floor(number / 8)] & (1 << (number & 7))) !== 0;
  }

  add(number: number): void {
    const at = Math.floor(number / 8);
    if (at >= this.#bytes.length) this.#grow(at + 1);
    this.#bytes[at] |= 1 << (number & 7);
  }

  /** Whether one of [from, to) is in it. */
  hasAny(from: number, to: number): boolean {
    for (let number = from; number < to; number++) {
      // Eight at once, where none of them is.
      if (number % 8 === 0 && this.#bytes[number / 8] === 0) number += 7;
      else if (this.has(number)) return number < to;
    }
    return false;
  }

  #grow(bytes: number): void {
    const more = new Uint8Array(Math.max(bytes, this.#bytes.length * 2));
    more.set(this.#bytes);
    this.#bytes = more;
  }
}

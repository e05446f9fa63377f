import { closeSync, fstatSync, readSync } from 'node:fs';
import { History } from './history.js';

export const PAGE = 4096;
const SECTOR = 512;
const ZEROS = Buffer.alloc(PAGE);

/** One file, whatever names it has: its pages and its size, as they were and are. */
export class WatchedFile {
  #descriptor;
  #size = new History(0, 0);
  #pages = [];
  #scratch = Buffer.alloc(0);

  /** Keeps the descriptor open, so that the inode is nobody else's for as long as the file is watched. */
  constructor(descriptor) {
    this.#descriptor = descriptor;
  }

  look(number) {
    const size = this.#read();
    if (size !== this.#size.latest) this.#size.record(number, size);
    const count = Math.max(this.#pages.length, Math.ceil(size / PAGE));
    for (let i = 0; i < count; i++) {
      // What no look has found anything in so far reads as zeros, where the file is long enough to have it.
      this.#pages[i] ??= new History(ZEROS, 0);
      const page = this.#pages[i];
      const from = i * PAGE;
      if (this.#scratch.compare(page.latest, 0, PAGE, from, from + PAGE) !== 0) {
        page.record(number, Buffer.from(this.#scratch.subarray(from, from + PAGE)));
      }
    }
  }

  /** Reads all of it into the scratch, filled up with zeros to whole pages, as many as the file ever had. */
  #read() {
    const { size } = fstatSync(this.#descriptor);
    const bytes = Math.max(this.#pages.length * PAGE, Math.ceil(size / PAGE) * PAGE);
    if (this.#scratch.length < bytes) this.#scratch = Buffer.alloc(bytes);
    let end = 0;
    while (end < size) {
      const read = readSync(this.#descriptor, this.#scratch, end, size - end, end);
      if (read === 0) break;
      end += read;
    }
    this.#scratch.fill(0, end);
    return size;
  }

  /** All that was stored before `look` is on the disk. */
  promise(look) {
    this.#size.promise(look);
    for (const page of this.#pages) page.promise(look);
  }

  /**
   * The bytes [start, end) are on the disk as they were at `look`, in whatever state the rest of their pages is. Nobody
   * else may have stored there meanwhile.
   */
  promiseBytes(start, end, look) {
    for (let i = Math.floor(start / PAGE); i * PAGE < end; i++) {
      const page = this.#pages[i];
      const from = Math.max(0, start - i * PAGE);
      const to = Math.min(PAGE, end - i * PAGE);
      const then = page.at(look);
      page.amendBefore(look, (state) => {
        const amended = Buffer.from(state);
        then.copy(amended, from, from, to);
        return amended;
      });
    }
  }

  /** The pages of which a power cut may leave another state than the promised one. */
  get unsettled() {
    return this.#pages.filter(({ states }) => states.length > 1);
  }

  /** One of the things that this file may be after a power cut. */
  draw(chance) {
    const size = this.#size.at(chance.lookFor(this.#size.changes));
    const bytes = Buffer.alloc(Math.max(this.#pages.length * PAGE, size));
    for (const [i, page] of this.#pages.entries()) {
      const sectors = chance.sectorsOf(page);
      if (sectors.length === 1) sectors[0].copy(bytes, i * PAGE);
      else
        sectors.forEach((state, n) => {
          state.copy(bytes, i * PAGE + n * SECTOR, n * SECTOR, (n + 1) * SECTOR);
        });
    }
    return bytes.subarray(0, size);
  }

  close() {
    closeSync(this.#descriptor);
  }
}

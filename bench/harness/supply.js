import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Writer } from '../../dist/index.js';

/**
 * Linear channels in `folder`, one after another; each is removed when it is put away, and all when the
 * process ends.
 */
export class ChannelSupply {
  #folder;
  #options;
  #made = 0;
  #paths = new Set();

  constructor(folder, options) {
    this.#folder = folder;
    this.#options = { mode: 'linear', ...options };
    process.on('exit', () => this.#paths.forEach(remove));
  }

  async create() {
    const path = join(this.#folder, `linear-${process.pid}-${this.#made++}`);
    this.#paths.add(path);
    return Writer.create(path, this.#options);
  }

  async putAway(writer) {
    await writer[Symbol.asyncDispose]();
    this.#paths.delete(writer.path);
    remove(writer.path);
  }
}

function remove(path) {
  rmSync(path, { force: true });
}

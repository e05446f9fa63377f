import { join } from 'node:path';
import { Reader, Writer } from '../../dist/index.js';

const FRAME_HEADER = 16;
const AT_ONCE = 1024;

/** No log, but what a log is made of: how quickly a record gets into a channel. */
class ChannelStore {
  #writer;
  #frame;
  #reader;
  records = 0;

  constructor(writer, size) {
    this.#writer = writer;
    this.#frame = (FRAME_HEADER + size + 15) & -16;
  }

  append(record) {
    if (this.#writer.tryWrite(record) < 0) throw new Error(`${this.#writer.path} is full`);
    this.records++;
    return true;
  }

  appendBatch(records) {
    if (this.#writer.tryWriteBatch(records) < 0) throw new Error(`${this.#writer.path} is full`);
    this.records += records.length;
    return true;
  }

  room() {}

  settle() {}

  async flush() {}

  get bytes() {
    return this.records * this.#frame;
  }

  readers = {
    poll: async (limit, take) => {
      this.#reader ??= await Reader.open(this.#writer.path);
      this.#reader.seek('oldest');
      for (let left = limit; left > 0; ) left -= this.#reader.poll(take, { limit: Math.min(left, AT_ONCE) });
    },
  };

  async close() {
    await this.#reader?.close();
    await this.#writer[Symbol.asyncDispose]();
  }
}

const opening = (options) => ({
  open: async (folder, { size }) =>
    new ChannelStore(await Writer.create(join(folder, 'channel'), options), size),
});

export const ring = opening({ mode: 'ring' });
export const linear = opening({ mode: 'linear', capacity: '1GiB' });

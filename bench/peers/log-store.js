import { Log } from '../../dist/log/index.js';

const FRAME_HEADER = 32;
const AT_ONCE = 1024;

class LogStore {
  #log;
  #frame;
  #tail;

  constructor(log, size) {
    this.#log = log;
    this.#frame = (FRAME_HEADER + size + 15) & -16;
  }

  append(record) {
    try {
      this.#log.append(record);
      return true;
    } catch (error) {
      return refused(error);
    }
  }

  appendBatch(records) {
    try {
      this.#log.appendBatch(records);
      return true;
    } catch (error) {
      return refused(error);
    }
  }

  room() {
    return this.#log.ready();
  }

  settle() {}

  commit(records) {
    return this.#log.commit(records.length === 1 ? records[0] : records);
  }

  flush() {
    return this.#log.flush();
  }

  get records() {
    return this.#log.next;
  }

  get bytes() {
    return this.records * this.#frame;
  }

  get rollStalls() {
    return this.#log.stats().rollStalls;
  }

  readers = {
    'tail.poll': (limit, take) => {
      this.#tail ??= this.#log.tail();
      this.#tail.seek('earliest');
      for (let left = limit; left > 0; ) left -= this.#tail.poll(take, Math.min(left, AT_ONCE));
    },
    'batches()': async (limit, take) => {
      for await (const batch of this.#log.batches({ limit })) {
        for (const { value } of batch) take(value, 0, value.length);
      }
    },
    'for await': async (limit, take) => {
      for await (const { value } of this.#log.read({ limit })) take(value, 0, value.length);
    },
    'for await, reverse': async (limit, take) => {
      for await (const { value } of this.#log.read({ limit, reverse: true })) take(value, 0, value.length);
    },
  };

  close() {
    return this.#log.close();
  }
}

function refused(error) {
  if (error.code === 'ERR_BACK_PRESSURE') return false;
  throw error;
}

export const log = {
  open: async (folder, { sync, size }) => new LogStore(await Log.open(folder, { sync }), size),
};

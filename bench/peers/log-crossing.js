import { Log } from '../../dist/log/index.js';
import { Source } from '../harness/participant.js';

/** Two logs; each end appends to one, and follows the other by `for await`, or by a tail where `idle` is said. */
class Logs {
  #written;
  #read;
  #source;
  #idle;
  /** Where reading goes on. */
  #from = 'earliest';
  #kept;

  static async create(path, { size, idle }) {
    const logs = new Logs();
    logs.#source = new Source(size);
    logs.#idle = idle;
    logs.#written = await Log.open(path, { sync: 'none' });
    return logs;
  }

  async open(path) {
    // With `true` nobody can ring for it.
    this.#read = await Log.open(path, { readOnly: 'records' });
  }

  send(number) {
    this.#source.number(number);
    this.#written.append(this.#source.bytes);
    return true;
  }

  listen(handler) {
    return this.#idle === undefined ? this.#iterate(handler) : this.#tail(handler);
  }

  async #iterate(handler) {
    for await (const { offset, value } of this.#read.read({ from: this.#from, follow: true })) {
      this.#from = offset + 1;
      if (!handler(value.readInt32LE(), value[value.length - 1])) return;
    }
  }

  async #tail(handler) {
    this.#kept ??= this.#read.tail({ from: 'earliest', idle: this.#idle });
    let more = true;
    const take = (bytes, start, end) => {
      more = handler(bytes.readInt32LE(start), bytes[end - 1]) && more;
    };
    while (more && (await this.#kept.ready())) this.#kept.poll(take);
  }
}

export const log = {
  async front(start, config) {
    const end = await Logs.create(`${config.address}-there`, config);
    const back = await start();
    await end.open(`${config.address}-back`);
    return { back, end };
  },
  async back(config) {
    const end = await Logs.create(`${config.address}-back`, config);
    await end.open(`${config.address}-there`);
    return end;
  },
};

import { Reader, Writer } from '../../dist/index.js';
import { Source } from '../harness/participant.js';

/** So long a blocked thread waits before it says that something is wrong. */
const STUCK_MS = 10_000;

/** Two ring channels; the options are the defaults but for `idle` and `from`. */
class Channels {
  #writer;
  #reader;
  #source;

  static async create(path, { size }) {
    const channels = new Channels();
    channels.#source = new Source(size);
    channels.#writer = await Writer.create(path);
    return channels;
  }

  async open(path, { idle }) {
    this.#reader = await Reader.open(path, { from: 'oldest', idle });
  }

  send(number) {
    this.#source.number(number);
    this.#writer.write(this.#source.bytes);
    return true;
  }

  async listen(handler) {
    for await (const { data } of this.#reader) {
      if (!handler(data.readInt32LE(), data[data.length - 1])) return;
    }
  }

  /** The same on a thread that blocks. */
  exchange(handler) {
    let more = true;
    const take = (bytes, start, end) => {
      more = handler(bytes.readInt32LE(start), bytes[end - 1]) && more;
    };
    while (more) {
      this.#reader.waitSync({ timeoutMs: STUCK_MS });
      this.#reader.poll(take);
    }
  }
}

export const millrace = {
  async front(start, config) {
    const end = await Channels.create(`${config.address}-there`, config);
    const back = await start();
    await end.open(`${config.address}-back`, config);
    return { back, end };
  },
  async back(config) {
    const end = await Channels.create(`${config.address}-back`, config);
    await end.open(`${config.address}-there`, config);
    return end;
  },
};

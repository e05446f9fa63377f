// Ways for small messages to go to and fro between two processes. Each has two ends; the front starts the back.
// An end has
//   send(number)      sends a message of SIZE bytes with that number in it
//   listen(handler)   hands over the number of each that comes, until the handler returns false; resolves then
// or, where the thread blocks, exchange(handler) instead of listen: one call for each message that comes.
import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { Reader, Writer } from '../../dist/index.js';

export const SIZE = 64;
/** So long a blocked thread waits before it says that something is wrong. */
const STUCK_MS = 10_000;

/**
 * Messages of process.send: a string of SIZE characters in JSON; in the serialization `advanced` that, or SIZE
 * bytes.
 */
class Messages {
  #to;
  #make;
  #numberOf;

  constructor(to, form) {
    this.#to = to;
    [this.#make, this.#numberOf] = forms[form];
  }

  send(number) {
    this.#to.send(this.#make(number));
  }

  listen(handler) {
    return new Promise((resolve) => {
      const take = (message) => {
        if (handler(this.#numberOf(message))) return;
        this.#to.off('message', take);
        resolve();
      };
      this.#to.on('message', take);
    });
  }
}

export const forms = {
  text: [(number) => `${number}`.padEnd(SIZE), (text) => Number.parseInt(text, 10)],
  bytes: [
    (number) => {
      const bytes = Buffer.alloc(SIZE, 0x11);
      bytes.writeInt32LE(number);
      return bytes;
    },
    (bytes) => bytes[0] | (bytes[1] << 8) | (bytes[2] << 16) | (bytes[3] << 24),
  ],
};

/** Messages of SIZE bytes over a stream socket. */
class Stream {
  #socket;
  #source = Buffer.alloc(SIZE, 0x11);
  #rest = Buffer.alloc(0);

  constructor(socket) {
    this.#socket = socket;
  }

  /** The bytes may be kept by the socket for a while, but only one message is under way at a time. */
  send(number) {
    this.#source.writeInt32LE(number);
    this.#socket.write(this.#source);
  }

  listen(handler) {
    return new Promise((resolve) => {
      const take = (chunk) => {
        let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
        let more = true;
        for (; more && bytes.length >= SIZE; bytes = bytes.subarray(SIZE))
          more = handler(bytes.readInt32LE());
        this.#rest = bytes;
        if (more) return;
        this.#socket.off('data', take);
        resolve();
      };
      this.#socket.on('data', take);
    });
  }
}

/** Two ring channels; the options are the defaults but for `idle` and `from`. */
class Channels {
  #writer;
  #reader;
  #source = Buffer.alloc(SIZE, 0x11);

  static async create(path) {
    const channels = new Channels();
    channels.#writer = await Writer.create(path);
    return channels;
  }

  async open(path, idle) {
    this.#reader = await Reader.open(path, { from: 'oldest', idle });
  }

  send(number) {
    this.#source.writeInt32LE(number);
    this.#writer.write(this.#source);
  }

  async listen(handler) {
    for await (const { data } of this.#reader) if (!handler(data.readInt32LE())) return;
  }

  /** The same on a thread that blocks. */
  exchange(handler) {
    let more = true;
    const take = (bytes, start) => {
      more = handler(bytes.readInt32LE(start)) && more;
    };
    while (more) {
      this.#reader.waitSync({ timeoutMs: STUCK_MS });
      this.#reader.poll(take);
    }
  }
}

/** `start(options)` starts the back, and resolves with its process once its end is open. */
export const crossings = {
  'process.send': {
    async front(start, _address, { serialization, form }) {
      const process = await start({ serialization });
      return { process, end: new Messages(process.messages, form) };
    },
    back: async (_address, { form }) => new Messages(process, form),
  },
  socket: {
    async front(start, address) {
      const process = await start();
      const socket = connect(address);
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      return { process, end: new Stream(socket) };
    },
    async back(address) {
      const server = createServer();
      await new Promise((resolve) => server.listen(address, resolve));
      let socket;
      server.once('connection', (accepted) => {
        socket = new Stream(accepted);
      });
      // The front connects later; nobody listens before that.
      return { send: (number) => socket.send(number), listen: (handler) => socket.listen(handler) };
    },
  },
  millrace: {
    async front(start, address, { idle }) {
      const end = await Channels.create(`${address}-there`);
      const process = await start();
      await end.open(`${address}-back`, idle);
      return { process, end };
    },
    async back(address, { idle }) {
      const end = await Channels.create(`${address}-back`);
      await end.open(`${address}-there`, idle);
      return end;
    },
  },
};

export function removeCrossing(address) {
  for (const path of [address, `${address}-there`, `${address}-back`]) rmSync(path, { force: true });
}

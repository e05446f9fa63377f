import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { END, Source } from '../harness/participant.js';

const LENGTH_BYTES = 4;

/**
 * A Unix stream socket. A frame is a length and that many bytes. The socket may keep what it is given, so each write
 * has a buffer of its own, for `batch` frames.
 */
class Frames {
  #socket;
  #source;
  #batch;
  #gathered;
  #count = 0;
  #rest = Buffer.alloc(0);

  constructor(socket, { size, batch = 1 }) {
    this.#socket = socket;
    this.#source = new Source(size);
    this.#batch = batch;
  }

  send(number) {
    const { bytes } = this.#source;
    const frame = LENGTH_BYTES + bytes.length;
    this.#source.number(number);
    if (this.#count === 0) this.#gathered = Buffer.allocUnsafe(this.#batch * frame);
    const at = this.#count * frame;
    this.#gathered.writeUInt32LE(bytes.length, at);
    this.#gathered.set(bytes, at + LENGTH_BYTES);
    if (++this.#count < this.#batch && number !== END) return true;
    const whole =
      this.#count === this.#batch ? this.#gathered : this.#gathered.subarray(0, this.#count * frame);
    this.#count = 0;
    return this.#socket.write(whole);
  }

  async room() {
    await once(this.#socket, 'drain');
  }

  listen(handler) {
    return new Promise((resolve) => {
      const take = (chunk) => {
        const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
        let at = 0;
        let more = true;
        while (more && bytes.length - at >= LENGTH_BYTES) {
          const end = at + LENGTH_BYTES + bytes.readUInt32LE(at);
          if (end > bytes.length) break;
          more = handler(bytes.readInt32LE(at + LENGTH_BYTES), bytes[end - 1]);
          at = end;
        }
        this.#rest = bytes.subarray(at);
        if (more) return;
        this.#socket.off('data', take);
        resolve();
      };
      this.#socket.on('data', take);
    });
  }
}

export const socket = {
  async front(start, config) {
    const back = await start();
    const own = connect(config.address);
    await once(own, 'connect');
    return { back, end: new Frames(own, config) };
  },
  async back(config) {
    const server = createServer();
    await new Promise((resolve) => server.listen(config.address, resolve));
    let frames;
    server.once('connection', (accepted) => {
      frames = new Frames(accepted, config);
    });
    // The front connects later; nobody listens before that.
    return { send: (number) => frames.send(number), listen: (handler) => frames.listen(handler) };
  },
};

import { Source } from '../harness/participant.js';

/**
 * ZeroMQ over ipc, as its documentation has it: `await socket.send(…)`, and `for await (const [message] of socket)`.
 * One way push and pull, else a pair. It may keep large buffers until they are sent, so each message has its own.
 */
class Sockets {
  #socket;
  #source;
  #sending;

  constructor(socket, { size }) {
    this.#socket = socket;
    this.#source = new Source(size);
  }

  send(number) {
    this.#source.number(number);
    this.#sending = this.#socket.send(Buffer.from(this.#source.bytes));
    return false;
  }

  room() {
    return this.#sending;
  }

  async listen(handler) {
    for await (const [message] of this.#socket) {
      if (!handler(message.readInt32LE(), message[message.length - 1])) return;
    }
  }
}

export const zeromq = {
  async front(start, config) {
    const { Pair, Push } = await import('zeromq');
    const own = config.oneWay ? new Push() : new Pair();
    await own.bind(`ipc://${config.address}`);
    return { back: await start(), end: new Sockets(own, config) };
  },
  async back(config) {
    const { Pair, Pull } = await import('zeromq');
    const own = config.oneWay ? new Pull() : new Pair();
    own.connect(`ipc://${config.address}`);
    return new Sockets(own, config);
  },
};

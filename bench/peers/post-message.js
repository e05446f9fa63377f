import { parentPort } from 'node:worker_threads';
import { messageForms } from './messages.js';
import { mostUnderWay } from './window.js';

const ACKNOWLEDGEMENTS_A_WINDOW = 4;

/**
 * `postMessage` between a thread and its worker, and the event 'message'. Nothing sets an end to what is under way,
 * so with `oneWay` the receiver now and then answers how many came, and a sender who is too far ahead waits for that.
 */
class Messages {
  #port;
  #form;
  #most;
  #acknowledgeEach;
  #sent = 0;
  #acknowledged = 0;
  #received = 0;
  #tellRoom;

  constructor(port, { form, size, oneWay }) {
    this.#port = port;
    this.#form = messageForms[form](size);
    this.#most = oneWay ? mostUnderWay(size) : Infinity;
    this.#acknowledgeEach = Math.ceil(this.#most / ACKNOWLEDGEMENTS_A_WINDOW);
    if (oneWay) port.on('message', (message) => this.#takeAcknowledgement(message));
  }

  send(number) {
    this.#port.postMessage(this.#form.make(number));
    this.#sent++;
    return this.#hasRoom;
  }

  async room() {
    while (!this.#hasRoom) {
      await new Promise((resolve) => {
        this.#tellRoom = resolve;
      });
    }
  }

  listen(handler) {
    return new Promise((resolve) => {
      const take = (message) => {
        if (++this.#received % this.#acknowledgeEach === 0)
          this.#port.postMessage({ received: this.#received });
        if (handler(this.#form.numberOf(message), this.#form.lastByteOf(message))) return;
        this.#port.off('message', take);
        resolve();
      };
      this.#port.on('message', take);
    });
  }

  get #hasRoom() {
    return this.#sent - this.#acknowledged < this.#most;
  }

  #takeAcknowledgement({ received }) {
    if (received === undefined) return;
    this.#acknowledged = received;
    this.#tellRoom?.();
  }
}

export const postMessage = {
  async front(start, config) {
    const back = await start({ thread: true });
    return { back, end: new Messages(back.messages, config) };
  },
  back: async (config) => new Messages(parentPort, config),
};

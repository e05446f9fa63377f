import { messageForms } from './messages.js';

/**
 * `process.send` and the event 'message'. Once `send` says that too much is under way, one more message tells by
 * its callback when it is gone.
 */
class Messages {
  #to;
  #form;
  #accepted = true;
  #room;

  constructor(to, { form, size }) {
    this.#to = to;
    this.#form = messageForms[form](size);
  }

  send(number) {
    const message = this.#form.make(number);
    if (this.#accepted) {
      this.#accepted = this.#to.send(message);
      return true;
    }
    this.#room = new Promise((resolve, reject) =>
      this.#to.send(message, (error) => (error ? reject(error) : resolve())),
    );
    return false;
  }

  async room() {
    await this.#room;
    this.#accepted = true;
  }

  listen(handler) {
    return new Promise((resolve) => {
      const take = (message) => {
        if (handler(this.#form.numberOf(message), this.#form.lastByteOf(message))) return;
        this.#to.off('message', take);
        resolve();
      };
      this.#to.on('message', take);
    });
  }
}

export const processSend = {
  async front(start, config) {
    const back = await start({ serialization: config.serialization });
    return { back, end: new Messages(back.messages, config) };
  },
  back: async (config) => new Messages(process, config),
};

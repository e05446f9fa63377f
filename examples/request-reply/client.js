/** Turns records that come and go into calls that have results. */
import { json, Reader, Writer } from 'millrace';
import { pathsIn, Reply, Request } from './protocol.js';

export class Client {
  #requests;
  #replies;
  #nextTag = 0;
  /** Requests that nobody has answered yet, by tag. @type {Map<number, { resolve: Function, reject: Function, forget: Function }>} */
  #waiting = new Map();
  /** Why there will be no more answers. @type {Error | undefined} */
  #end;

  /** @param {string} directory where a server is, or will be */
  static async connect(directory) {
    const paths = pathsIn(directory);
    const requests = await Writer.create(paths.requests, { codec: json, timestamps: true });
    const replies = await Reader.open(paths.replies, {
      wait: true,
      from: 'oldest',
      gate: true, // no answer may be lost
      deadAfterMs: 0, // no other server will take over
      codec: json,
    });
    return new Client(requests, replies);
  }

  /**
   * @param {Writer<unknown>} requests
   * @param {Reader<unknown>} replies
   */
  constructor(requests, replies) {
    this.#requests = requests;
    this.#replies = replies;
    void this.#receive();
  }

  get inFlight() {
    return this.#waiting.size;
  }

  /**
   * @param {unknown} value
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<unknown>}
   */
  request(value, { signal } = {}) {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) throw this.#end;
      signal?.throwIfAborted();
      const tag = this.#nextTag++;
      const giveUp = () => this.#giveUp(tag, signal?.reason);
      signal?.addEventListener('abort', giveUp, { once: true });
      const forget = () => signal?.removeEventListener('abort', giveUp);
      this.#waiting.set(tag, { resolve, reject, forget });
      // It may have to wait for room, and be given up before it was written.
      this.#requests.send(value, { type: Request.CALL, tag, signal }).catch((error) => {
        this.#take(tag)?.reject(error);
      });
    });
  }

  close() {
    this.#requests.close();
    this.#replies.close();
  }

  async #receive() {
    try {
      for await (const { type, tag, value } of this.#replies) {
        // What was given up may be answered all the same: the answer was on its way.
        const request = this.#take(tag);
        if (type === Reply.FAILURE) request?.reject(new Error(String(value)));
        else request?.resolve(value);
      }
      this.#failAll(new Error('The connection is closed'));
    } catch (error) {
      this.#failAll(error);
    }
  }

  #take(tag) {
    const request = this.#waiting.get(tag);
    this.#waiting.delete(tag);
    request?.forget();
    return request;
  }

  #giveUp(tag, reason) {
    this.#take(tag)?.reject(reason);
    // So that the server gives it up, too. A server that is gone need not know.
    this.#requests.send(null, { type: Request.CANCEL, tag }).catch(() => {});
  }

  #failAll(error) {
    this.#end = error;
    for (const tag of this.#waiting.keys()) this.#take(tag)?.reject(error);
  }
}

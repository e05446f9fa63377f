import { PinnedProcess } from './process.js';

/**
 * Two processes that do one piece of work together. A side's description:
 * name, kind ('one-way' or 'round-trip'), and front and back, each [command, ...arguments].
 * The front writes (or pings), the back reads (or answers). cleanUp(), if any, is called once both are gone.
 */
export class Side {
  #front;
  #back;
  #cleanUp;

  static async start(description, cpus) {
    const side = new Side();
    side.name = description.name;
    side.kind = description.kind;
    side.#cleanUp = description.cleanUp;
    side.#front = new PinnedProcess(cpus[0], ...split(description.front));
    side.#back = new PinnedProcess(cpus[1], ...split(description.back));
    const both = [side.#front, side.#back];
    try {
      await Promise.all(both.map((process) => process.hear())); // created
      for (const process of both) process.say('open');
      await Promise.all(both.map((process) => process.hear())); // ready
    } catch (error) {
      await side.end();
      throw error;
    }
    return side;
  }

  /** One turn; the other sides are asleep meanwhile. */
  async turn(ms) {
    this.#back.say(`run ${ms}`);
    await this.#back.hear(); // running
    this.#front.say(`run ${ms}`);
    await this.#front.hear();
    const [front, back] = await Promise.all([this.#front.hear(), this.#back.hear()]);
    this.#verify(front, back);
    const endNs = this.kind === 'one-way' ? back.endNs : front.endNs;
    const elapsedNs = endNs - front.startNs;
    return { records: back.records, elapsedNs, perSecond: (back.records / elapsedNs) * 1e9, front, back };
  }

  async end() {
    await Promise.all([this.#front.end(), this.#back.end()]);
    this.#cleanUp?.();
  }

  #verify(front, back) {
    const lost = front.gaps + back.gaps;
    const sent = this.kind === 'one-way' ? front : back;
    const received = this.kind === 'one-way' ? back : front;
    if (lost > 0 || sent.records !== received.records || sent.sum !== received.sum) {
      throw new Error(
        `${this.name} lost or mangled records: ${JSON.stringify(front)} ${JSON.stringify(back)}`,
      );
    }
  }
}

function split([command, ...args]) {
  return [command, args];
}

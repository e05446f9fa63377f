import { fileURLToPath } from 'node:url';
import { PinnedProcess } from './process.js';

const PATIENCE_MS = 20_000;

const threadsProcess = fileURLToPath(new URL('./threads-process.js', import.meta.url));

/**
 * Two processes, or two threads of one, that do one piece of work together. A side's description:
 * name, kind ('one-way' or 'round-trip'), and front and back, each [command, ...arguments], or those in `threads`
 * (see threads-process.js). The front writes (or pings), the back reads (or answers). cleanUp(), if any, is called
 * once both are gone. `mayBeAbsent`: what it needs may not be installed.
 */
export class Side {
  #front;
  #back;
  #processes;
  #cleanUp;

  static async start(description, cpus) {
    const side = new Side();
    side.name = description.name;
    side.kind = description.kind;
    side.#cleanUp = description.cleanUp;
    const both = description.threads
      ? side.#startThreads(description.threads, cpus)
      : side.#startTwo(description, cpus);
    [side.#front, side.#back] = both;
    try {
      await Promise.all(both.map((end) => end.hear())); // created
      for (const end of both) end.say('open');
      await Promise.all(both.map((end) => end.hear())); // ready
    } catch (error) {
      await side.end();
      throw error;
    }
    return side;
  }

  /** One turn, of `most` records where that is said; the other sides are asleep meanwhile. */
  async turn(ms, most = '') {
    this.#back.say(`run ${ms}`);
    await this.#back.hear(); // running
    this.#front.say(`run ${ms} ${most}`);
    await this.#front.hear();
    const patience = ms + PATIENCE_MS;
    const [front, back] = await Promise.all([this.#front.hear(patience), this.#back.hear(patience)]);
    this.#verify(front, back);
    const endNs = this.kind === 'one-way' ? back.endNs : front.endNs;
    const elapsedNs = endNs - front.startNs;
    return { records: back.records, elapsedNs, perSecond: (back.records / elapsedNs) * 1e9, front, back };
  }

  async end() {
    await Promise.all(this.#processes.map((process) => process.end()));
    this.#cleanUp?.();
  }

  #startTwo({ front, back }, cpus) {
    this.#processes = [front, back].map((command, i) => new PinnedProcess(cpus[i], ...split(command)));
    return this.#processes;
  }

  #startThreads({ node = [], ...config }, cpus) {
    const args = [...node, threadsProcess, JSON.stringify({ ...config, cpus })];
    const process = new PinnedProcess(cpus.join(','), globalThis.process.execPath, args, { lines: 2 });
    this.#processes = [process];
    return process.lines;
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

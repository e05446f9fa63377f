import { floorProgram } from './floor.js';
import { PinnedProcess } from './process.js';

const PROBE_MS = 5;

/** Tells how far the two cpus are from each other: nanoseconds one way of a cache line. */
export class Probe {
  #process;

  static async start(cpus) {
    const probe = new Probe();
    probe.#process = new PinnedProcess(cpus[0], floorProgram('probe'), cpus.map(String));
    await probe.#process.hear();
    return probe;
  }

  async oneWayNs() {
    this.#process.say(`run ${PROBE_MS}`);
    return (await this.#process.hear()).oneWayNs;
  }

  async end() {
    await this.#process.end();
  }
}

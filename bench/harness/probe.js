import { floorProgram } from './floor.js';
import { PinnedProcess } from './process.js';

const PROBE_MS = 5;
const FIRST_LOOKS = 20;
/** A core on which sums take so much longer than at best is shared with a stranger. */
const SLOWED_BY = 1.3;

/** Tells how far the two cpus are from each other, and whether they have their cores to themselves. */
export class Probe {
  #process;
  #bestNs = [Infinity, Infinity];

  static async start(cpus) {
    const probe = new Probe();
    probe.#process = new PinnedProcess(cpus[0], floorProgram('probe'), cpus.map(String));
    await probe.#process.hear();
    for (let i = 0; i < FIRST_LOOKS; i++) await probe.look();
    return probe;
  }

  /** `oneWayNs`: nanoseconds one way of a cache line. `alone`: nobody else slowed either core down. */
  async look() {
    this.#process.say(`run ${PROBE_MS}`);
    const { oneWayNs, sumNs } = await this.#process.hear();
    this.#bestNs = this.#bestNs.map((best, i) => Math.min(best, sumNs[i]));
    return { oneWayNs, alone: sumNs.every((ns, i) => ns < this.#bestNs[i] * SLOWED_BY) };
  }

  async end() {
    await this.#process.end();
  }
}

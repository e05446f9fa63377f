import { placements, spread } from './statistics.js';

/** A probe that remembers what it saw: where the cpus were while a trial ran. */
export class RememberingProbe {
  #probe;
  #looks = [];

  constructor(probe) {
    this.#probe = probe;
  }

  async look() {
    const look = await this.#probe.look();
    this.#looks.push(look);
    return look;
  }

  /** `oneWayNs`: of a cache line. `alone`: how many of the looks found both cores without strangers. */
  describe() {
    const ways = this.#looks.map(({ oneWayNs }) => oneWayNs);
    return {
      looks: ways.length,
      alone: this.#looks.filter(({ alone }) => alone).length,
      oneWayNs: spread(ways),
      how: placements(ways).how,
    };
  }
}

export function showPlacement({ looks, alone, oneWayNs: { median, p10, p90 } }) {
  return (
    `a cache line goes one way in ${median.toFixed(0)} ns (${p10.toFixed(0)}..${p90.toFixed(0)});` +
    ` both cores to themselves in ${alone} of ${looks} looks`
  );
}

import { randomOf } from '../../crash/fixtures/plan.js';

/** Random choices, all of them decided by a seed. */
export class Dice {
  #random;

  constructor(seed) {
    this.#random = randomOf(seed);
  }

  /** 0 to `limit` - 1. */
  below(limit) {
    return this.#random(limit);
  }

  chance(percent) {
    return this.#random(1000) < percent * 10;
  }

  pick(...choices) {
    return choices[this.#random(choices.length)];
  }

  /** The first of one of these pairs, each as often as the second says. */
  weighted(pairs) {
    let sum = 0;
    for (const [, weight] of pairs) sum += weight;
    let rest = this.#random(sum);
    for (const [what, weight] of pairs) {
      if (rest < weight) return what;
      rest -= weight;
    }
  }
}

import { setTimeout } from 'node:timers/promises';
import { spread } from './statistics.js';

const WARM_UP_ROUNDS = 3;
/** Between two turns, so that nobody's last work falls into the next one's. */
const PAUSE_MS = 10;

/**
 * Lets all sides take their turns, round after round, there and back again, so that nobody always comes behind
 * the same one. A side has a name, and `turn(round)`, which resolves with what there is to know of it.
 */
export async function takeRounds(sides, { turns, warmUp = WARM_UP_ROUNDS, probe, progress }) {
  const rounds = [];
  for (let round = -warmUp; round < turns; round++) {
    const facts = {};
    const look = await probe?.look();
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      facts[side.name] = await side.turn();
      await setTimeout(PAUSE_MS);
    }
    if (round >= 0) rounds.push({ probe: look, facts });
    progress?.(round + 1, turns);
  }
  return rounds;
}

/** A figure of one side in each round, and its ratio to another's in the same round. */
export class Rounds {
  constructor(rounds, figure) {
    this.rounds = rounds;
    this.figure = figure;
  }

  /** What `name` did, round by round. */
  turns(name) {
    return this.rounds.map(({ facts }) => facts[name]);
  }

  of(name) {
    return this.turns(name).map(this.figure);
  }

  spread(name) {
    return spread(this.of(name));
  }

  ratio(name, base) {
    const under = this.of(base);
    return spread(this.of(name).map((value, i) => value / under[i]));
  }

  /** Who has the least median. */
  least(names) {
    return names.reduce((best, name) => (this.spread(name).median < this.spread(best).median ? name : best));
  }

  greatest(names) {
    return names.reduce((best, name) => (this.spread(name).median > this.spread(best).median ? name : best));
  }
}

import { reason } from './figures.js';
import { takeRounds } from './rounds.js';

/** So long everybody works before it counts: event loops need more turns than rings until their code is compiled. */
const WARM_UP_MS = 400;

/**
 * Lets contenders take turns in rounds. A contender has a name, and `start()`, which resolves with its
 * `turn(ms)` and `end()`. Who can't start is absent, with the reason; all others are ended, whatever happens.
 * `context` is the trial's { probe, progress }.
 */
export async function contest(contenders, { turns, ms, ...context }) {
  const sides = [];
  const absent = {};
  try {
    for (const { name, start } of contenders) {
      try {
        const { turn, end } = await start();
        sides.push({ name, turn: () => turn(ms), end });
      } catch (error) {
        absent[name] = reason(error);
      }
    }
    const warmUp = Math.ceil(WARM_UP_MS / ms);
    return { absent, rounds: await takeRounds(sides, { turns, warmUp, ...context }) };
  } finally {
    await Promise.all(sides.map(({ end }) => end()));
  }
}

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { reason } from './figures.js';
import { parts } from './progress.js';
import { takeRounds } from './rounds.js';

/** So long everybody works before it counts: event loops need more turns than rings until their code is compiled. */
const WARM_UP_MS = 400;

/**
 * Contests, one after the other, each in a folder of its own that is gone afterwards. Each is described by facts that
 * its results have, too, and `contendersIn(folder)`. `context` is that of a trial's run, with turns and ms among its
 * options. Resolves with { ...facts, names, absent, rounds } of each.
 */
export async function holdContests(descriptions, { folder, probe, progress, options: { turns, ms } }) {
  const shares = parts(
    progress,
    descriptions.map(() => 1),
  );
  const held = [];
  for (const [i, { contendersIn, ...facts }] of descriptions.entries()) {
    const own = join(folder, `contest-${i}`);
    mkdirSync(own);
    try {
      const contenders = contendersIn(own);
      const names = contenders.map(({ name }) => name);
      held.push({ ...facts, names, ...(await hold(contenders, { turns, ms, probe, progress: shares[i] })) });
    } finally {
      rmSync(own, { recursive: true, force: true });
    }
    shares[i](1, 1);
  }
  return held;
}

/**
 * Lets contenders take turns in rounds. A contender has a name, and `start()`, which resolves with its
 * `turn(ms)` and `end()`. Who can't start and `mayBeAbsent` is absent, with the reason; of all others that is a
 * failure. All who have started are ended, whatever happens.
 */
async function hold(contenders, { turns, ms, probe, progress }) {
  const sides = [];
  const absent = {};
  try {
    for (const { name, start, mayBeAbsent } of contenders) {
      try {
        const { turn, end } = await start();
        sides.push({ name, turn: () => turn(ms), end });
      } catch (error) {
        if (!mayBeAbsent) throw error;
        absent[name] = reason(error);
      }
    }
    const warmUp = Math.ceil(WARM_UP_MS / ms);
    return { absent, rounds: await takeRounds(sides, { turns, warmUp, probe, progress }) };
  } finally {
    await Promise.all(sides.map(({ end }) => end()));
  }
}

import {
  killAtAbandoning,
  killAtCreation,
  killAtRelieving,
  replaceTogether,
} from '../../crash/fixtures/life-kills.js';
import {
  killAtEnds,
  killAtRandom,
  killAtSplits,
  killAtSteps,
  WRITING_STEPS,
} from '../../crash/fixtures/writer-kills.js';

export const option = 'kills';
export const says = 'writers killed at random times, and one at each step';

export async function run({ count, seed, newPath, attempt }) {
  const progress = (label) => (done) => attempt.progress(`${label}: ${done.kills} killed`);
  for (const mode of ['ring', 'linear']) {
    // In many short lives of a channel, so that a failure stops one of them only.
    for (let killed = 0, life = 0; killed < count; life++) {
      const kills = Math.min(25, count - killed);
      killed += kills;
      const label = `${mode}, life ${life}`;
      await attempt(label, () =>
        killAtRandom({ newPath, mode, kills, seed: seed + life, onProgress: progress(label) }),
      );
    }
    for (const form of Object.keys(WRITING_STEPS[mode])) {
      const label = `${mode}, steps of ${form}`;
      await attempt(label, () => killAtSteps({ newPath, mode, form, seed, onProgress: progress(label) }));
    }
    await attempt(`${mode}, ends`, () =>
      killAtEnds({ newPath, mode, seed, onProgress: progress(`${mode}, ends`) }),
    );
  }
  for (const part of [killAtSplits, killAtCreation, killAtAbandoning, killAtRelieving]) {
    await attempt(part.name, () => part({ newPath, seed, onProgress: progress(part.name) }));
  }
  await attempt(replaceTogether.name, () => replaceTogether({ newPath, seed }));
}

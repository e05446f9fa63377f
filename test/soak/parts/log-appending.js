import { killAtRandom, killAtSteps } from '../../log/fixtures/log-kills.js';

export const option = 'log-kills';
export const says = 'writers of a log killed at random times, and one at each step';

export async function run({ count, seed, newPath, attempt }) {
  const progress = (label) => (done) => attempt.progress(`${label}: ${done.kills} killed`);
  // In many short lives of a log, so that a failure stops one of them only.
  for (let killed = 0, life = 0; killed < count; life++) {
    const kills = Math.min(25, count - killed);
    killed += kills;
    const label = `life ${life}`;
    await attempt(label, () =>
      killAtRandom({ newPath, kills, seed: seed + life, onProgress: progress(label) }),
    );
  }
  await attempt('steps', () => killAtSteps({ newPath, seed, onProgress: progress('steps') }));
}

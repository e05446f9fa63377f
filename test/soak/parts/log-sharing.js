import { killInARow, killSharing, killSharingAtSteps } from '../../log/fixtures/shared-kills.js';

export const option = 'shared-kills';
export const says = 'of four that append to one log some killed at random times, and one at each step';

export async function run({ count, seed, newPath, attempt }) {
  const progress = (label) => (done) => attempt.progress(`${label}: ${done.kills} killed`);
  const syncs = ['none', 'commit'];
  for (let killed = 0, life = 0; killed < count; life++) {
    const kills = Math.min(25, count - killed);
    killed += kills;
    const label = `life ${life}`;
    const options = { newPath, kills, seed: seed + life, sync: syncs[life % syncs.length] };
    await attempt(label, () => killSharing({ ...options, onProgress: progress(label) }));
  }
  for (const sync of syncs) {
    const label = `steps, sync ${sync}`;
    await attempt(label, () => killSharingAtSteps({ newPath, seed, sync, onProgress: progress(label) }));
    await attempt(`in a row, sync ${sync}`, () => killInARow({ newPath, sync }));
  }
}

import { abandonUnderIteration, killUnderIteration, stopWriter } from '../../crash/fixtures/liveness.js';
import { evict, killAtRandom, killAtSteps } from '../../crash/fixtures/reader-kills.js';

export const option = 'readers';
export const says = 'readers killed, one at each step, a tenth as many stopped and evicted';

export async function run({ count, seed, newPath, attempt }) {
  const progress = (label) => (done) => attempt.progress(`${label}: ${done.kills ?? done.evictions}`);
  await attempt('killed', () =>
    killAtRandom({ newPath, kills: count, seed, onProgress: progress('killed') }),
  );
  await attempt('steps', () => killAtSteps({ newPath, seed, onProgress: progress('steps') }));
  const rounds = Math.ceil(count / 10);
  await attempt('evicted', () => evict({ newPath, rounds, seed, onProgress: progress('evicted') }));
  for (const mode of ['ring', 'linear']) {
    for (const part of [stopWriter, killUnderIteration, abandonUnderIteration]) {
      await attempt(`${mode}, ${part.name}`, () => part({ newPath, mode, seed }));
    }
  }
}

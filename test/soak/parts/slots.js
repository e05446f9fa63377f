import { contend } from '../../crash/fixtures/slot-kills.js';

const EVENTS_A_RING = 30;

export const option = 'slots';
export const says =
  'by turns a reader stopped and evicted, one killed, and the writer killed, where more come than there are slots';

export async function run({ count, seed, newPath, attempt }) {
  for (let begun = 0; begun < count; begun += EVENTS_A_RING) {
    const events = Math.min(EVENTS_A_RING, count - begun);
    const label = `events ${begun + 1} to ${begun + events}`;
    const onProgress = ({ stops, kills, writerKills }) =>
      attempt.progress(`${label}: ${stops} stopped, ${kills} killed, ${writerKills} writers killed`);
    await attempt(label, () => contend({ newPath, events, seed: seed + begun, onProgress }));
  }
}

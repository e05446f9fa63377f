import { Child } from '../../crash/fixtures/child.js';
import { sleepAgainstCommit } from '../../ordering/fixtures/sleep-against-commit.js';
import { killWakers, parkAndWake, ROUNDS } from '../../waking/fixtures/parks.js';

export const option = 'parks';
export const says = 'times that a reader sleeps and is woken, and a writer killed for each 2,000 of them';

const IDLE = new URL('../../waking/fixtures/idle-child.js', import.meta.url).href;
const SLEEPERS = ROUNDS.flat().length;
const WAYS = ['waitSync', 'ready'];
/** What loses wakes where it is taken out, by the way that readers sleep. */
const LACKING = [
  ['ready', 'no look after the bit is set, in an event loop'],
  ['waitSync', 'no look after the bit is set, in a blocked thread'],
  ['waitSync', 'no fence'],
  ['ready', 'no fence'],
];
/** Who looks by itself just when it is about to be told finds something, late but not lost. */
const RARELY = 1e-4;
/** By chance: so many must do to see it. */
const SEEN_WITHIN = 200_000;

export async function run({ count, seed, newPath, attempt }) {
  // Half of them with the look that comes in any case, which counts what it finds; and half without it, where each wake-up that is
  // lost, by the other side or in the kernel, is lost for ever.
  const cycles = Math.ceil(count / SLEEPERS / 2);
  for (const sleepers of ROUNDS) {
    const name = sleepers.join(' and ');
    const onProgress = (done) => attempt.progress(`${name}: ${done.cycles} records`);
    await attempt(name, async () => {
      const { answers, ...done } = await parkAndWake({ newPath, seed, cycles, sleepers, onProgress });
      if (done.lost > 0 || done.late + answers.late > RARELY * done.parked) {
        throw new Error(`Found late: ${JSON.stringify({ ...done, answers })}`);
      }
      if (done.parked < cycles / 4) throw new Error(`They hardly slept: ${JSON.stringify(done)}`);
      return { ...done, answersParked: answers.parked, answersLate: answers.late };
    });
    await attempt(`${name}, without a bound`, async () => {
      const given = { newPath, seed: seed + 1, cycles, sleepers, onProgress };
      const { answers, ...done } = await parkAndWake({ ...given, lacking: ['no bound'] });
      return { ...done, answersParked: answers.parked };
    });
  }
  await killSome({ kills: Math.ceil(count / 2000), seed, newPath, attempt });
  await meet({ rounds: Math.ceil(count / 50), seed, newPath, attempt });
  for (const idle of ['park', 'adaptive']) {
    await attempt(`ten readers asleep for 5 s, ${idle}`, async () => {
      const child = new Child(IDLE, { path: newPath(), idle, readers: 10, ms: 5000 });
      const { cpuMs } = await child.expect('done');
      await child.exit;
      // A tenth of a core, for ten that look ten times a second.
      if (cpuMs > 500) throw new Error(`They took ${cpuMs} ms of a cpu`);
      return { cpu: `${cpuMs.toFixed(0)} ms` };
    });
  }
}

/** In many short lives of a channel, so that a failure stops one of them only. */
async function killSome({ kills, seed, newPath, attempt }) {
  for (let killed = 0, life = 0; killed < kills; life++) {
    const some = Math.min(20, kills - killed);
    killed += some;
    const onProgress = (done) => attempt.progress(`life ${life}: ${done.kills} killed`);
    await attempt(`killed, life ${life}`, async () => {
      const given = { newPath, seed: seed + life, cycles: some * 200, kills: some, onProgress };
      const done = await killWakers(given);
      if (done.late > RARELY * done.parked || done.lateAtFirst > some / 4) {
        throw new Error(`Found late: ${JSON.stringify(done)}`);
      }
      return done;
    });
  }
}

/** Writes just when readers lie down: as it is, and with parts of it taken out, which must be seen. */
async function meet({ rounds, seed, newPath, attempt }) {
  for (const how of WAYS) {
    await attempt(`${how}, just when a record is written`, async () => {
      const done = await sleepAgainstCommit({ newPath, how, rounds, seed });
      if (done.late > 0) throw new Error(`Found late: ${JSON.stringify(done)}`);
      return done;
    });
  }
  if (process.arch !== 'x64') return;
  for (const [how, part] of LACKING) {
    await attempt(`would be seen: ${how}, ${part}`, async () => {
      const given = { newPath, how, seed, rounds: SEEN_WITHIN, lacking: [part], enough: 1 };
      const { late, rounds } = await sleepAgainstCommit(given);
      if (late === 0) throw new Error('It was not seen');
      // A text: it is no count of what is right.
      return { late: `after ${rounds} rounds` };
    });
  }
}

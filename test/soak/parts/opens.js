import { dirname } from 'node:path';
import { countCollections } from '../../lifetime/fixtures/allocations.js';
import { cycleHandles } from '../cycles.js';
import { measureEventLoop } from '../event-loop.js';

const RECORDS = 40_000_000;

export const option = 'opens';
export const says = 'opens and closes, collections counted, the event loop watched';

export async function run({ count, seed, newPath, attempt }) {
  await attempt('opens', async () => {
    const report = (opens) => attempt.progress(`${opens} opens`);
    const directory = dirname(newPath());
    const { failures, ...counted } = await cycleHandles({ opens: count, seed, directory, report });
    if (failures.length > 0) throw new Error(JSON.stringify(failures, undefined, 2));
    return counted;
  });
  for (const gate of [true, undefined]) {
    await attempt(`collections in ${RECORDS} records, gate: ${gate}`, async () => {
      const results = await countCollections({ path: newPath(), records: RECORDS, gate });
      const text = JSON.stringify(results);
      if (results.some(({ scavenges, others }) => scavenges + others > 0)) throw new Error(text);
      return Object.fromEntries(results.map(({ what, bytes }) => [what, `${bytes} B`]));
    });
  }
  // A measurement: 5 ms is what is hoped for, on a machine with nothing else to do.
  await attempt('a channel of 1 GiB', () => measureEventLoop({ directory: dirname(newPath()), rounds: 1 }));
}

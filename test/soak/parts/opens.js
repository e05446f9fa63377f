import { countScavenges } from '../../lifetime/fixtures/allocations.js';
import { dropReaders } from '../../lifetime/fixtures/dropped.js';
import { measureHold } from '../../lifetime/fixtures/hold.js';
import { openAndClose } from '../../lifetime/fixtures/opens.js';

const CALLS = 40_000_000;

export const option = 'opens';
export const says = 'opens and closes, readers dropped, scavenges counted, the event loop watched';

export async function run({ count, newPath, attempt }) {
  const onProgress = (done) => attempt.progress(`${done.opens} opens`);
  await attempt('opens', () => openAndClose({ newPath, opens: count, onProgress }));
  await attempt('dropped', () => dropReaders({ newPath, readers: 64 }));
  for (const gate of [true, undefined]) {
    await attempt(`scavenges in ${CALLS} calls, gate: ${gate}`, async () => {
      const counted = await countScavenges({ newPath, calls: CALLS, reader: { gate } });
      if (counted.scavenges + counted.collections > 0) throw new Error(JSON.stringify(counted));
      return counted;
    });
  }
  // A measurement: 5 ms is what is hoped for, on a machine with nothing else to do.
  await attempt('a channel of 1 GiB', () => measureHold({ newPath, capacity: '1GiB' }));
}

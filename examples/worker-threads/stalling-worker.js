/** Stops reading on its way. Since it gates, the writer can't get past it for as long as it lives. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { Reader } from 'millrace';
import { COUNT, channelIn, number, Tally } from './numbers.js';

const reader = await Reader.open(channelIn(workerData.directory), { wait: true, gate: true, codec: number });
parentPort.postMessage({ state: 'reading' });
const tally = new Tally();
for await (const { value } of reader) {
  tally.add(value);
  if (tally.count === COUNT / 2) break;
}
parentPort.postMessage({ state: 'standing', count: tally.count });
// Nobody sends it anything: here it stays, with its reader open, until it is terminated.
await once(parentPort, 'message');

/** The writer, in a worker: makes the channel, and fills it when the readers are there. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { Writer } from 'millrace';
import { CAPACITY, COUNT, channelIn, number } from './numbers.js';

const writer = await Writer.create(channelIn(workerData.directory), { capacity: CAPACITY, codec: number });
await once(parentPort, 'message');
for (let value = 0; value < COUNT; value++) await writer.send(value);
writer.close();
parentPort.postMessage({ state: 'ended', did: `wrote ${COUNT} numbers` });

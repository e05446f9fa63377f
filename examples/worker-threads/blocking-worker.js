/** Blocks its thread while there is nothing to read: a worker that does nothing else may. */
import { parentPort, workerData } from 'node:worker_threads';
import { Reader } from 'millrace';
import { channelIn, Tally } from './numbers.js';

const reader = await Reader.open(channelIn(workerData.directory), { wait: true, gate: true });
parentPort.postMessage({ state: 'reading' });
const tally = new Tally();
while (reader.waitSync()) reader.poll((bytes, start) => tally.add(bytes.readDoubleLE(start)));
reader.close();
parentPort.postMessage({ state: 'ended', did: `read ${tally}` });

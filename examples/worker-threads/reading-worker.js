import { parentPort, workerData } from 'node:worker_threads';
import { readAll } from './read.js';

await readAll(workerData.directory, (message) => parentPort.postMessage(message));

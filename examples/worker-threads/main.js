#!/usr/bin/env node
/**
 * One writer and three readers in worker threads, and one more reader in a process. One of them is terminated.
 * Run it with: node examples/worker-threads/main.js
 */
import { Worker } from 'node:worker_threads';
import { inspect } from 'millrace';
import { directory, heard, start } from '../shared/processes.js';
import { COUNT, channelIn } from './numbers.js';

const writer = startWorker('writer.js');
const stalling = startWorker('stalling-worker.js');
const readers = {
  'a worker': startWorker('reading-worker.js'),
  'a worker that blocks': startWorker('blocking-worker.js'),
  'a process': start(new URL('reading-process.js', import.meta.url)),
};
const others = Object.entries({ 'the writer': writer, ...readers });
const ends = others.map(async ([name, party]) => `${name} ${(await isNow(party, 'ended')).did}`);
const standing = isNow(stalling, 'standing');

await Promise.all([stalling, ...Object.values(readers)].map((reader) => isNow(reader, 'reading')));
writer.postMessage('go');

const { count } = await standing;
const { records } = inspect(channelIn(directory));
console.log(`one reader stands still after ${count} numbers; the writer has come to ${records} of ${COUNT}`);
await stalling.terminate();
console.log('that reader is terminated');

for (const end of await Promise.all(ends)) console.log(end);

/** @param {string} script */
function startWorker(script) {
  return new Worker(new URL(script, import.meta.url), { workerData: { directory } });
}

/** @param {Worker | import('node:child_process').ChildProcess} party @param {string} state */
function isNow(party, state) {
  return heard(party, (message) => message.state === state);
}

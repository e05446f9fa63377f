// What a thread does first: it pins itself. Then it runs its script.
import { spawnSync } from 'node:child_process';
import { readlinkSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

const thread = readlinkSync('/proc/thread-self').split('/').at(-1);
const { status, stderr } = spawnSync('taskset', ['-c', '-p', String(workerData.cpu), thread]);
if (status !== 0) throw new Error(`taskset: ${stderr}`);

await import(workerData.script);

/** What main.js of each example stands on: a directory for its channels, and processes. Both are gone when it ends. */
import { fork } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { shmPath } from 'millrace';

/** In RAM where the machine has some to offer as a file system. */
export const directory = mkdtempSync(join(dirname(shmPath('any')), `millrace-example-${process.pid}-`));

/** @type {Set<import('node:child_process').ChildProcess>} */
const living = new Set();

process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
  // A child that is just dying may still put a file there.
  rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
});

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => process.exit(128 + constants.signals[signal]));
}

/**
 * Starts a process, which imports child.js. If it fails, so does the example.
 * @param {URL} script
 * @param {...string} given
 */
export function start(script, ...given) {
  const child = fork(script, [directory, ...given]);
  living.add(child);
  child.on('exit', (code, signal) => {
    living.delete(child);
    if (code === 0 || child.killed) return;
    console.error(`${basename(script.pathname)} ended with ${signal ?? `exit code ${code}`}`);
    process.exit(1);
  });
  return child;
}

/**
 * Ends a process as the system would: no handler runs, nothing is said.
 * @param {import('node:child_process').ChildProcess} child
 */
export async function kill(child) {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/**
 * The next message from a process that fulfils a condition.
 * @param {import('node:child_process').ChildProcess} child
 * @param {(message: any) => boolean} condition
 */
export async function heard(child, condition) {
  for await (const [message] of on(child, 'message')) {
    if (condition(message)) return message;
  }
}

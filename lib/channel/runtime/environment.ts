import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isSystemError } from '../../native.js';
import { refusedBySystem } from './system.js';

/**
 * What a channel records about the world around it. One object, so that golden files can be made
 * with every fact fixed.
 */
export interface Environment {
  nowUs(): number;
  /** Milliseconds since this machine started, the same clock in every process. */
  bootMs(): number;
  random(bytes: number): Buffer;
  readonly pid: number;
  /** When this process started, in clock ticks since boot: with the pid, a name no later process can have. */
  startTicks(): number;
  bootId(): Buffer;
}

export const environment: Environment = {
  nowUs: () => Date.now() * 1000,
  bootMs: () => Math.floor(performanceMs()),
  random: (bytes) => randomBytes(bytes),
  pid: process.pid,
  startTicks: memo(() => startTicksOf('self')),
  bootId: memo(readBootId),
};

function performanceMs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

function startTicksOf(pid: string): number {
  const stat = saidBy(`/proc/${pid}/stat`);
  // The name in parentheses may hold anything, parentheses too; the fields after the last one are plain.
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
}

function readBootId(): Buffer {
  return Buffer.from(saidBy('/proc/sys/kernel/random/boot_id').trim().replaceAll('-', ''), 'hex');
}

/** What the kernel says in a file of its own. */
function saidBy(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw isSystemError(error) ? refusedBySystem(error, file, 'read') : error;
  }
}

/** Asks once; but for as long as it fails again and again. */
function memo<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

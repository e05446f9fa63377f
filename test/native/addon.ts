import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { binding, type FileHandle, PAGES, type SystemError } from '../../lib/native.js';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));

/** The addon's file, as lib/native.ts finds it. */
export const ADDON: string = createRequire(import.meta.url)('node-gyp-build').path(
  fileURLToPath(new URL('../..', import.meta.url)),
);

/** What a call of the addon throws, or rejects with. */
export async function systemError(work: () => unknown): Promise<SystemError> {
  try {
    await work();
  } catch (error) {
    return error as SystemError;
  }
  throw new Error('It did not fail');
}

/** A file with a name; its handle holds the lock on byte 0. */
export async function namedFile(
  directory: string,
  bytes = 65536,
): Promise<{ path: string; file: FileHandle }> {
  const path = join(directory, 'file');
  const file = await binding().createFile(directory, bytes, 0o600, PAGES.DIRTY);
  binding().linkFile(file, path);
  return { path, file };
}

/** A process or a thread that keeps the lock on a byte of the file until it ends; resolves once it has it. */
export async function holdInProcess(path: string, byte: number): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(FIXTURES, 'hold.cjs'), ADDON, path, String(byte)], {
    stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
  });
  const [word] = await once(child, 'message');
  if (word !== 'held') throw new Error(`The child said ${word}`);
  return child;
}

export async function holdInThread(path: string, byte: number): Promise<Worker> {
  const worker = new Worker(join(FIXTURES, 'hold.cjs'), { argv: [ADDON, path, String(byte)] });
  const [word] = await once(worker, 'message');
  if (word !== 'held') throw new Error(`The worker said ${word}`);
  return worker;
}

/** The descriptors of this process that are open on files of the directory, with a name or without. */
function openIn(directory: string): string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${directory}/`);
    } catch {
      return false; // the one that readdir used itself
    }
  });
}

export function descriptorsIn(directory: string): number {
  return openIn(directory).length;
}

/** The number of the only one. */
export function descriptorOf(directory: string): number {
  const [fd, ...more] = openIn(directory);
  if (fd === undefined || more.length > 0) throw new Error('There is not exactly one');
  return Number(fd);
}

export function mappingsIn(directory: string): number {
  return readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${directory}/`)).length;
}

const LIMIT_MS = 30_000;

/** Looks until it is so; for what another thread of the process does in its own time and tells nobody. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`Not so after ${LIMIT_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Of the mappings of a directory's files, as the kernel has it: the pages that are mapped, and those that the disk lacks. */
export function mappedKilobytes(directory: string): { Rss: number; Dirty: number } {
  const kilobytes = { Rss: 0, Dirty: 0 };
  const mappings = readFileSync('/proc/self/smaps', 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m);
  for (const mapping of mappings.filter((text) => text.includes(`${directory}/`))) {
    for (const [, what, amount] of mapping.matchAll(/^(?:(?:Shared|Private)_)?(Rss|Dirty): +(\d+) kB/gm)) {
      kilobytes[what as 'Rss' | 'Dirty'] += Number(amount);
    }
  }
  return kilobytes;
}

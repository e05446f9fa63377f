import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'millrace-test-';
const BASE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** All files of a run lie in one directory; what a killed run left is removed by the next. */
export default function setup(): () => void {
  for (const name of readdirSync(BASE)) {
    if (name.startsWith(PREFIX) && !existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`)) {
      remove(join(BASE, name));
    }
  }
  const directory = join(BASE, `${PREFIX}${process.pid}-`);
  process.env.MILLRACE_TEST_DIRECTORY = mkdtempSync(directory);
  return () => remove(process.env.MILLRACE_TEST_DIRECTORY as string);
}

/** Removes a run's directory, and the small disks that tests mounted in it and were killed before they took down. */
function remove(directory: string): void {
  for (const mount of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const place = mount.split(' ')[1];
    if (place?.startsWith(`${directory}/`)) spawnSync('umount', ['-l', place]);
  }
  rmSync(directory, { recursive: true, force: true });
}

/** A new, empty directory of this run. */
export function newDirectory(): string {
  const parent = process.env.MILLRACE_TEST_DIRECTORY as string;
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, 'd-'));
}

let channels = 0;

/** A path in this run's directory that no channel has yet. */
export function newPath(): string {
  return join(newDirectory(), `channel-${channels++}`);
}

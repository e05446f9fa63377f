import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'millrace-test-';
const BASE = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** All files of a run lie in one directory; what a killed run left is removed by the next. */
export default function setup(): () => void {
  for (const name of readdirSync(BASE)) {
    if (name.startsWith(PREFIX) && !existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`)) {
      rmSync(join(BASE, name), { recursive: true, force: true });
    }
  }
  const directory = join(BASE, `${PREFIX}${process.pid}-`);
  process.env.MILLRACE_TEST_DIRECTORY = mkdtempSync(directory);
  return () => rmSync(process.env.MILLRACE_TEST_DIRECTORY as string, { recursive: true, force: true });
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

import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';

/** A place for a channel of this name that is in RAM where the machine has one: /dev/shm, else the temporary directory. */
export function shmPath(name: string): string {
  if (typeof name !== 'string' || !/^[A-Za-z0-9._-]{1,200}$/.test(name) || name === '.' || name === '..') {
    throw invalidArgument(
      `A name is 1 to 200 letters, digits, dots, dashes and underscores, not ${show(name)}`,
    );
  }
  return join(ramDirectory(), name);
}

function ramDirectory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK);
    return '/dev/shm';
  } catch {
    return tmpdir();
  }
}

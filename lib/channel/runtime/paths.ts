import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { invalidArgument } from '../../errors.js';
import { show } from '../../options.js';
import { explain } from './system.js';

/** A path that was given, made absolute. */
export function absolutePath(given: unknown): string {
  if (typeof given !== 'string' || given === '') {
    throw invalidArgument(`A path must be a string that is not empty, not ${show(given)}`);
  }
  if (given.includes('\0')) throw invalidArgument(`A path has no NUL in it, as ${show(given)} has`);
  try {
    return resolve(given);
  } catch (error) {
    // The working directory is gone.
    throw explain(error, given, 'find');
  }
}

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

import { readdirSync } from 'node:fs';
import { MillraceError } from '../../index.js';
import { Log, type LogOptions } from '../../log/index.js';
import { asUse, type Verb } from '../command.js';
import { say } from '../output.js';
import { plural } from '../words.js';

/** Opens a log to change it, and tells what was left by who had it before. Where there is none, none is made. */
export async function openToWrite(verb: Verb, path: string, options: LogOptions): Promise<Log> {
  await (await Log.open(path, { readOnly: true })).close();
  return open(verb, path, options);
}

/**
 * The same; makes it where there is none. What is in a log's directory and not the log's is put aside: that must not befall
 * the files of a mistaken path.
 */
export async function openOrMake(verb: Verb, path: string, options: LogOptions): Promise<Log> {
  if (!(await isLog(path)) && hasFiles(path)) {
    throw new MillraceError(
      'ERR_EXISTS',
      `${path} has files in it and is no log: a new log needs a directory of its own`,
    );
  }
  return open(verb, path, options);
}

async function open(verb: Verb, path: string, options: LogOptions): Promise<Log> {
  try {
    const log = await Log.open(path, options);
    tellRecovery(log);
    return log;
  } catch (error) {
    throw asUse(verb, error);
  }
}

async function isLog(path: string): Promise<boolean> {
  try {
    await (await Log.open(path, { readOnly: true })).close();
    return true;
  } catch (error) {
    if ((error as MillraceError).code === 'ERR_NOT_FOUND') return false;
    throw error;
  }
}

function hasFiles(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch (error) {
    // That it is no directory, opening it tells.
    if (['ENOENT', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))) return false;
    throw error;
  }
}

function tellRecovery({ path, recovery }: Log): void {
  const { dropped = 0, setAside = [] } = recovery ?? {};
  if (dropped > 0) {
    say(
      `the machine had gone down: ${plural(dropped, 'byte')} of ${path} that had not reached the disk are gone`,
    );
  }
  for (const { name, path: to, reason } of setAside) say(`${name} was put aside to ${to}: ${reason}`);
}

import { dirname, resolve } from 'node:path';
import { MillraceError } from '../../index.js';
import { Log, type LogOptions } from '../../log/index.js';
import { asUse, type Verb } from '../command.js';
import { isLog, refuseInLog } from '../directory.js';
import { sayDropped } from '../dropped.js';
import { say } from '../output.js';
import { inTurn } from './turn.js';

/** Opens a log to change it, and tells what was left by who had it before. Where there is none, none is made. */
export async function openToWrite(verb: Verb, path: string, options: LogOptions): Promise<Log> {
  await (await Log.open(path, { readOnly: true })).close();
  return openToAppend(verb, path, options);
}

/** The same; makes it where there is none. */
export async function openToAppend(verb: Verb, path: string, options: LogOptions): Promise<Log> {
  if (!isLog(path)) refuseInLog(dirname(resolve(path)), 'another log');
  try {
    const log = await inTurn((limits) => Log.open(path, { ...options, ...limits }), options.signal);
    tellRecovery(log);
    return log;
  } catch (error) {
    throw asUse(verb, besideWriter(path, error));
  }
}

/** That somebody else appends, with what can be done nevertheless on the command line. */
export function besideWriter(path: string, error: unknown): unknown {
  const { code, pid } = error as MillraceError;
  if (code !== 'ERR_WRITER_ACTIVE') return error;
  const where = pid === undefined ? 'another process' : `process ${pid}`;
  return new MillraceError(
    'ERR_WRITER_ACTIVE',
    `The log ${path} is open to append in ${where} already; millrace log read and log tail work beside that`,
  );
}

function tellRecovery({ path, recovery }: Log): void {
  const { dropped = 0, setAside = [] } = recovery ?? {};
  sayDropped(path, dropped);
  for (const { name, path: to, reason } of setAside) say(`${name} was put aside to ${to}: ${reason}`);
}

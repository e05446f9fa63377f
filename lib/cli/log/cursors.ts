import { type CursorInfo, Log } from '../../log/index.js';
import { inUse, UsageError, type Values, type Verb } from '../command.js';
import { type Output, say, sayError } from '../output.js';
import { table, toJson } from '../words.js';
import { refuseChannel } from './channel-instead.js';
import { placeInLog } from './place.js';
import { told } from './told.js';

export const cursors: Verb = {
  name: 'log cursors',
  summary: 'list, set or delete the named cursors of a log',
  help: `millrace log cursors DIRECTORY [--json]
millrace log cursors DIRECTORY set NAME PLACE [--force] [--json]
millrace log cursors DIRECTORY delete NAME [--json]

Lists the named cursors of a log: the next offset that each is to read, how many offsets there are from there on, and how many
of them are gone because the log keeps no more. Exits with 1 where one is damaged, or the end of the log is, and so no lag is
known. Listing changes nothing; set and delete work beside a live writer, too, and what they did is on the disk when they are
done.

  set       moves a cursor, or makes it: to earliest, latest, an offset, or a time as millrace log read --from has it
  delete    what reads under this name begins anew then
  --force   set it back, too, or anew where it is damaged
  --json    an object a line

Examples
  millrace log cursors /var/lib/app/events
  millrace log cursors /var/lib/app/events set billing latest
  millrace log cursors /var/lib/app/events set billing 1000 --force
  millrace log cursors /var/lib/app/events delete billing`,
  options: { force: { type: 'boolean' }, json: { type: 'boolean' } },
  async run(values, [path, action, ...rest], output) {
    if (path === undefined) throw wrong('which log?');
    if (values.force === true && action !== 'set') throw wrong('--force is for set');
    refuseChannel(path, 'stat');
    switch (action) {
      case undefined:
        return list(path, values, output);
      case 'set':
        if (rest.length !== 2) throw wrong('set takes a NAME and a PLACE');
        return set(path, rest[0], rest[1], values, output);
      case 'delete':
        if (rest.length !== 1) throw wrong('delete takes a NAME');
        return remove(path, rest[0], values, output);
      default:
        throw wrong(`set or delete, not '${action}'`);
    }
  },
};

function wrong(message: string): UsageError {
  return new UsageError(`log cursors: ${message}`, 'log cursors');
}

/** A cursor, and what of the log it would still have to read that is not there any more. */
export interface CursorLag extends CursorInfo {
  gone: number;
}

export function cursorsOf(log: Log): CursorLag[] {
  const { earliest } = log;
  return log
    .cursors()
    .map((cursor) => ({ ...cursor, gone: Math.max(0, earliest - (cursor.offset ?? earliest)) }));
}

export function areSound(found: readonly CursorLag[]): boolean {
  return found.every(({ damaged }) => damaged !== true);
}

export function cursorTable(found: readonly CursorLag[]): string[] {
  const rows = found.map(({ name, offset, lag, gone, damaged }) => [
    [name, ...(damaged ? ['(damaged)'] : [])].join(' ').trim(),
    offset === undefined ? '(damaged)' : String(offset),
    lag === undefined ? '-' : String(lag),
    String(gone),
  ]);
  return table(['CURSOR', 'OFFSET', 'LAG', 'GONE'], rows, ['OFFSET', 'LAG', 'GONE']);
}

async function list(path: string, values: Values, output: Output): Promise<boolean> {
  await using log = await Log.open(path, { readOnly: true });
  const found = cursorsOf(log);
  const lines = values.json === true ? found.map((one) => toJson(one)) : cursorTable(found);
  for (const line of lines) output.line(line);
  await output.flush();
  const { fault } = told(() => log.next);
  if (fault !== undefined) sayError(fault);
  return fault === undefined && areSound(found);
}

async function set(
  path: string,
  name: string,
  place: string,
  values: Values,
  output: Output,
): Promise<boolean> {
  const from = placeInLog(cursors, place);
  await using log = await Log.open(path, { readOnly: 'records' });
  const cursor = inUse(cursors, () => log.cursor(name));
  using tail = log.tail({ from });
  const { offset } = tail;
  try {
    await cursor.set(offset, { force: values.force === true });
  } catch (error) {
    const { current } = error as { current?: number };
    if (current === undefined) throw error;
    say(`the cursor '${name}' stands at ${current}; only --force sets it back to ${offset}`);
    return false;
  }
  await cursor.flush();
  output.line(values.json === true ? toJson({ name, offset }) : `${name} is set to ${offset}`);
  return true;
}

async function remove(path: string, name: string, values: Values, output: Output): Promise<boolean> {
  await using log = await Log.open(path, { readOnly: 'records' });
  const cursor = inUse(cursors, () => log.cursor(name));
  const deleted = await cursor.delete();
  await cursor.flush();
  if (values.json === true) output.line(toJson({ name, deleted }));
  else if (deleted) output.line(`${name} is deleted`);
  else say(`there is no cursor '${name}' in ${log.path}`);
  return deleted;
}

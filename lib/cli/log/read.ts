import { Log } from '../../log/index.js';
import { countOption, inUse, sizeOption, UsageError, type Values, type Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { withProgress } from '../progress.js';
import { logPath } from './channel-instead.js';
import { placeInLog } from './place.js';
import { printRecords } from './print.js';
import { FORMAT_HELP, FORMAT_OPTIONS, printerFor } from './printer.js';

export const read: Verb = {
  name: 'log read',
  summary: 'print the records of a log',
  help: `millrace log read DIRECTORY [--from PLACE] [--limit N] [--max-bytes SIZE] [--reverse | --follow] [--cursor NAME]
                  [--durable] [--values|--frames|--json] [--text|--hex|--base64]

Prints a line for each record: its offset, time, key (or -), headers if it has any, and value. What is damaged is said
in its place, and what follows it is read; then the exit code is 1. Nothing in the log changes, but with --cursor.

  --from PLACE    where to begin: earliest (the default), latest (the default with --follow and --reverse), an offset, a
                  time such as 2026-11-21 or 2026-11-21T05:00:00Z, or @ and milliseconds since 1970; UTC unless it says its zone
  --limit N       no more than N records
  --max-bytes SIZE
                  no more bytes of keys and values than that, such as 64KiB; but one record at least
  --reverse       last record first
  -f, --follow    go on with what is appended, until Ctrl-C
  --cursor NAME   begin where the named cursor stands (at the earliest record, if it is new), and move it behind what was
                  printed; also beside a live writer. Damage ends it
  --durable       only what is on the disk for sure
${FORMAT_HELP}

Examples
  millrace log read /var/lib/app/events --limit 20
  millrace log read /var/lib/app/events --from 2026-11-21T05:00:00Z --follow
  millrace log read /var/lib/app/events --reverse --limit 1 --json
  millrace log read /var/lib/app/events --cursor billing --limit 1000 --values | ./bill`,
  options: {
    from: { type: 'string' },
    limit: { type: 'string' },
    'max-bytes': { type: 'string' },
    reverse: { type: 'boolean' },
    follow: { type: 'boolean', short: 'f' },
    cursor: { type: 'string' },
    durable: { type: 'boolean' },
    ...FORMAT_OPTIONS,
  },
  async run(values, paths, output) {
    const path = logPath(read, paths, 'dump');
    const printer = printerFor(read, values, output);
    const asked = whatOf(values);
    const canWait = asked.follow || asked.cursor !== undefined;
    const what = { ...asked, signal: canWait ? interruption() : undefined };
    await using log = await Log.open(path, { readOnly: what.cursor === undefined ? true : 'records' });
    if (what.cursor !== undefined) inUse(read, () => log.cursor(what.cursor as string));
    return await withProgress(log.path, (onProgress) => {
      // Records on a terminal tell by themselves how far it is.
      const isShown = !output.isTerminal && !what.follow;
      return printRecords(log, what, { printer, output, onProgress: isShown ? onProgress : undefined });
    });
  },
};

function whatOf(values: Values) {
  const reverse = values.reverse === true;
  for (const other of ['follow', 'cursor', 'durable']) {
    if (!reverse || values[other] === undefined) continue;
    throw new UsageError(`log read: --reverse goes without --${other}`, 'log read');
  }
  return {
    from: values.from === undefined ? undefined : placeInLog(read, String(values.from)),
    limit: countOption(read, values, 'limit', 1, undefined),
    maxBytes: sizeOption(read, values, 'max-bytes'),
    reverse,
    follow: values.follow === true,
    cursor: values.cursor as string | undefined,
    durableOnly: values.durable === true,
  };
}

import { Log, type LogRecord } from '../../log/index.js';
import { countOption, type Verb } from '../command.js';
import { interruption } from '../interruption.js';
import { type Output, sayError } from '../output.js';
import { logPath } from './channel-instead.js';
import { printRecords } from './print.js';
import { FORMAT_HELP, FORMAT_OPTIONS, type Gap, type Printer, printerFor } from './printer.js';
import { told } from './told.js';

export const tail: Verb = {
  name: 'log tail',
  summary: 'print the last records of a log, and those that come',
  help: `millrace log tail DIRECTORY [-n N] [--durable] [--values|--frames|--json] [--text|--hex|--base64]

Prints the last records, as millrace log read does, and goes on with what is appended, until Ctrl-C: also where the
log's writer goes and another one comes. Where damage hides the end of the log it waits for nothing. Nothing in the log
changes, and its writer does not notice.

  -n, --lines N   how many records (10)
  -f, --follow    it does that without, too
  --durable       of those that come, only what is on the disk for sure
${FORMAT_HELP}

Examples
  millrace log tail /var/lib/app/events
  millrace log tail -n 0 /var/lib/app/events --json | jq .value`,
  options: {
    lines: { type: 'string', short: 'n' },
    follow: { type: 'boolean', short: 'f' },
    durable: { type: 'boolean' },
    ...FORMAT_OPTIONS,
  },
  async run(values, paths, output) {
    const path = logPath(tail, paths, 'tail');
    const lines = countOption(tail, values, 'lines', 0, 10);
    const printer = printerFor(tail, values, output);
    const signal = interruption();
    await using log = await Log.open(path, { readOnly: true });
    const last = await lastOf(log, lines, output);
    await print(last.found, printer, output);
    if (last.end === undefined) return false;
    const what = { from: last.end, follow: true, durableOnly: values.durable === true, signal };
    return (await printRecords(log, what, { printer, output })) && last.sound;
  },
};

type Found = { record: LogRecord } | { gap: Gap };

interface Last {
  /** In the order of the log. */
  found: Found[];
  /** What comes then; undefined where damage hides it. */
  end: number | undefined;
  sound: boolean;
}

async function lastOf(log: Log, lines: number, output: Output): Promise<Last> {
  const found: Found[] = [];
  const printer: Printer = {
    record(record) {
      found.push({ record });
      return false;
    },
    gap: (gap) => void found.push({ gap: forwards(gap, log) }),
  };
  let sound = false;
  // What is appended from here on comes then at the latest.
  const { value: end, fault } = told(() => log.next);
  if (fault !== undefined) sayError(fault);
  try {
    sound = await printRecords(log, { reverse: true, limit: lines }, { printer, output });
  } catch (error) {
    sayError(error);
  }
  const newest = found.find((one) => 'record' in one);
  const behind = (newest?.record.offset ?? -1) + 1;
  return { found: found.reverse(), end: end === undefined ? end : Math.max(end, behind), sound };
}

/** What could not be read backwards. */
function forwards({ code, from, next }: Gap, log: Log): Gap {
  return {
    code,
    from: next === undefined ? log.earliest : next + 1,
    next: from === undefined ? undefined : from + 1,
  };
}

async function print(found: Found[], printer: Printer, output: Output): Promise<void> {
  for (const one of found) {
    if ('gap' in one) printer.gap(one.gap);
    else if (printer.record(one.record)) await output.flush();
  }
  await output.flush();
}

import { asOfSegment } from '../../channel/index.js';
import { inspect } from '../../index.js';
import { Log, type SegmentInfo } from '../../log/index.js';
import type { Verb } from '../command.js';
import { sayError } from '../output.js';
import { size, table, time, toJson } from '../words.js';
import { logPath } from './channel-instead.js';
import { faultOf, told, type Untold } from './told.js';

export const segments: Verb = {
  name: 'log segments',
  summary: 'list the files that a log is made of',
  help: `millrace log segments DIRECTORY [--json]

Lists the segments of a log: the offset that each begins with, how many records there are where that can be told without
reading them (else -: compaction took some away, or batches are compressed), what the file takes of the disk, its state (sealed,
or open: what is appended goes there), when it was made, and how often it was written anew. Nothing in the log changes. Exits
with 1 where the header of one can't be read, or it stands where another one belongs.

  --json    an object a line

Examples
  millrace log segments /var/lib/app/events
  millrace log segments /var/lib/app/events --json | jq -s 'map(.bytes) | add'`,
  options: { json: { type: 'boolean' } },
  async run(values, paths, output) {
    const path = logPath(segments, paths, 'stat');
    await using log = await Log.open(path, { readOnly: true });
    const found = describeAll(log);
    for (const line of values.json === true ? found.map((one) => toJson(one)) : asTable(found)) {
      if (output.line(line)) await output.flush();
    }
    await output.flush();
    for (const { fault } of found) if (fault !== undefined) sayError(fault);
    return found.every(({ fault }) => fault === undefined);
  },
};

interface Described {
  base: number;
  /** Undefined where only reading it could tell. */
  records?: number;
  bytes: number;
  /** Undefined where it could not be looked at. */
  state?: 'sealed' | 'open' | 'damaged' | 'misplaced';
  /** Microseconds since 1970. */
  created?: number;
  generation?: number;
  path: string;
  fault?: Untold;
}

function describeAll(log: Log): Described[] {
  const infos = log.segments();
  const { value: end, fault } = told(() => log.next);
  const found = infos
    .map((info, i) => describe(info, infos[i + 1]?.base ?? end))
    .filter((one) => one !== undefined);
  const last = found.at(-1);
  if (last !== undefined) last.fault ??= fault;
  return found;
}

/** Undefined where it was removed meanwhile. */
function describe({ base, path, bytes }: SegmentInfo, end: number | undefined): Described | undefined {
  try {
    const { status, records, created, metadata } = inspect(path);
    const { base: own, generation } = (metadata.log ?? {}) as { base?: number; generation?: number };
    if (own !== base) {
      const whose =
        own === undefined ? 'is no segment of a log' : `is the one of record ${own}, under a wrong name`;
      const message = `The segment ${path} ${whose}`;
      return { base, bytes, state: 'misplaced', path, fault: { code: 'ERR_FORMAT', message } };
    }
    return {
      base,
      // Compaction leaves offsets out, and batches that are compressed are one record to the channel.
      records: base + records === end ? records : undefined,
      bytes,
      state: status === 'sealed' ? 'sealed' : 'open',
      created,
      generation,
      path,
    };
  } catch (error) {
    const fault = faultOf(asOfSegment(error, path));
    if (fault.code === 'ERR_NOT_FOUND') return undefined;
    const isDamaged = fault.code === 'ERR_FORMAT' || fault.code === 'ERR_TRUNCATED';
    return { base, bytes, state: isDamaged ? 'damaged' : undefined, path, fault };
  }
}

function asTable(found: Described[]): string[] {
  const head = ['BASE', 'RECORDS', 'BYTES', 'STATE', 'CREATED', 'GENERATION'];
  const rows = found.map(({ base, records, bytes, state, created, generation }) => [
    String(base),
    String(records ?? '-'),
    size(bytes),
    state ?? '-',
    created === undefined ? '-' : time(created),
    String(generation ?? '-'),
  ]);
  return table(head, rows, ['BASE', 'RECORDS', 'BYTES', 'GENERATION']);
}

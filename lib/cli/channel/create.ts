import { type ChannelInfo, inspect, Writer, type WriterOptions } from '../../index.js';
import {
  choiceOption,
  countOption,
  fileModeOption,
  onePath,
  sizeOption,
  syncOption,
  UsageError,
  type Values,
  type Verb,
} from '../command.js';
import { size, toJson, visible } from '../words.js';
import { advised } from './advice.js';
import { refuseLog } from './log-instead.js';
import { checkNewPlace } from './new-place.js';

export const create: Verb = {
  name: 'create',
  summary: 'make a channel, for somebody to write',
  help: `millrace create PATH [--size SIZE] [--mode ring|linear] [--max-record SIZE] [--readers N] [--timestamps]
                [--checksum none|crc32c] [--sync none|commit|MS] [--metadata JSON] [--heartbeat MS] [--stalled-after MS]
                [--file-mode MODE] [--replace] [--json]

Makes a channel and its file, all of it allocated, and leaves it: whoever comes first goes on with it, by millrace write or, in
a program, Writer.resume. Until then it shows as one whose writer is dead: it can be read, but who follows it gives up after a
second, unless that waits, as millrace tail -f --wait does. A ring, or a channel without checksums, can't be gone on with after
a restart of the machine.

  --size SIZE     bytes for records, headers counted (8MiB): of a ring a power of two from 64KiB to 1GiB, of a linear channel
                  a multiple of 4KiB from 16KiB to 1GiB
  --mode MODE     ring: it wraps for ever (the default); linear: it fills once and keeps every record
  --max-record SIZE
                  the largest payload; at most, and by default, an eighth of a ring, a quarter of a linear channel
  --readers N     how many readers may register (64)
  --timestamps    each record carries a time and a tag
  --checksum WHICH
                  crc32c or none; by default crc32c on linear channels that lie on a disk or are synced
  --sync MODE     when what is written to a linear channel reaches the disk: MS after it was written, before more is taken
                  (commit), or whenever the system likes (none, the default)
  --metadata JSON
                  an object for whoever opens the channel
  --heartbeat MS, --stalled-after MS
                  how often a writer shows that it lives (250), and after how long without that it is called stalled: at least
                  twice that (2000, or four times that where that is more)
  --file-mode MODE
                  permissions of the file, such as 640 (600), less the umask
  --replace       take the place of a dead or ended channel of this name; who reads that one reads it to its end
  --json          an object: what was made

Examples
  millrace create /dev/shm/orders --size 1MiB
  millrace create /var/lib/app/journal --mode linear --size 64MiB --sync 100
  millrace create /dev/shm/orders --timestamps --metadata '{"unit":"EUR"}' --replace`,
  options: {
    size: { type: 'string' },
    mode: { type: 'string' },
    'max-record': { type: 'string' },
    readers: { type: 'string' },
    timestamps: { type: 'boolean' },
    checksum: { type: 'string' },
    sync: { type: 'string' },
    metadata: { type: 'string' },
    heartbeat: { type: 'string' },
    'stalled-after': { type: 'string' },
    'file-mode': { type: 'string' },
    replace: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const path = onePath(create, paths);
    const options = optionsOf(values);
    refuseLog(path, 'append');
    checkNewPlace(path);
    // Its end would be the end of the stream: it stays open, and this process is soon gone.
    await Writer.create(path, options).catch((error: unknown) => {
      throw advised(create, error, {
        ERR_EXISTS: `millrace write ${path} goes on with it where its writer is dead, and --replace takes its place`,
        ERR_WRITER_ACTIVE: 'it can be replaced once that one has ended',
        ERR_NOT_FOUND: 'make its directory first',
      });
    });
    const made = madeAt(path);
    output.line(
      values.json === true
        ? toJson(made)
        : `made ${visible(made.path)}: ${made.mode}, ${size(made.capacity)}, records of ${size(made.maxRecord)} at most`,
    );
    return true;
  },
};

function optionsOf(values: Values): WriterOptions {
  return {
    capacity: sizeOption(create, values, 'size'),
    mode: choiceOption(create, values, 'mode', ['ring', 'linear']),
    maxRecord: sizeOption(create, values, 'max-record'),
    readers: countOption(create, values, 'readers', 0, undefined),
    timestamps: values.timestamps === true,
    checksum: choiceOption(create, values, 'checksum', ['none', 'crc32c']),
    sync: syncOption(create, values),
    metadata: metadataOf(values),
    ...signsOfLife(values),
    fileMode: fileModeOption(create, values),
    replace: values.replace === true,
  };
}

const USUAL_HEARTBEAT_MS = 250;
const LEAST_BEATS = 2;

function signsOfLife(values: Values): Pick<WriterOptions, 'heartbeatMs' | 'stalledAfterMs'> {
  const heartbeatMs = countOption(create, values, 'heartbeat', 1, undefined) ?? USUAL_HEARTBEAT_MS;
  const stalledAfterMs = countOption(create, values, 'stalled-after', 1, undefined);
  if (stalledAfterMs === undefined || stalledAfterMs >= LEAST_BEATS * heartbeatMs) {
    return { heartbeatMs, stalledAfterMs };
  }
  throw new UsageError(
    `create: --stalled-after must be at least twice --heartbeat, which is ${heartbeatMs}, not ${stalledAfterMs}: ` +
      'a writer that lives would seem to be stalled',
    create.name,
  );
}

function metadataOf({ metadata }: Values): Record<string, unknown> | undefined {
  if (metadata === undefined) return undefined;
  const given = parsed(String(metadata));
  // The library says what else is wrong with it; null it would take for none.
  if (given !== undefined && given !== null) return given as Record<string, unknown>;
  throw new UsageError(
    `create: --metadata takes an object in JSON, such as '{"unit":"EUR"}', not '${metadata}'`,
    create.name,
  );
}

/** Undefined where it is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const FACTS_OF_MADE = [
  'path',
  'mode',
  'capacity',
  'fileBytes',
  'maxRecord',
  'readerSlots',
  'timestamps',
  'checksum',
  'sync',
  'metadata',
  'channelId',
] as const satisfies readonly (keyof ChannelInfo)[];

/** What it was made as. Its state is not: that changes as this process ends. */
function madeAt(path: string): Pick<ChannelInfo, (typeof FACTS_OF_MADE)[number]> {
  const info = inspect(path);
  const facts = FACTS_OF_MADE.map((name) => [name, info[name]]);
  return Object.fromEntries(facts);
}

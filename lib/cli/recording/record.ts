import { Reader } from '../../index.js';
import { placeInChannel, refuseLog, withAdvice } from '../channel/index.js';
import { countOption, syncOption, twoPaths, type Values, type Verb } from '../command.js';
import { isLog } from '../directory.js';
import { interruption, isInterruption } from '../interruption.js';
import { openToAppend } from '../log/index.js';
import { type Output, sayError, sayProgress } from '../output.js';
import { toJson } from '../words.js';
import { Recorder } from './recorder.js';

export const record: Verb = {
  name: 'record',
  summary: 'keep what goes through a channel in a log, to be replayed',
  help: `millrace record CHANNEL DIRECTORY [--from PLACE] [--limit N] [--gate] [--wait] [--follow] [--sync none|commit|MS] [--json]

Appends each record of a channel to the log in a directory, which is made where there is none: until the channel ends, its
writer dies (exit code 1), or Ctrl-C. Then it tells how many there were, and how many were lost. Run again on the same two, it
goes on where it stopped, however that was: no record is missing that is still there, and none comes twice.

The channel's writer does not notice. What it overwrites before it could be recorded is counted, in the log, too. The log must
have one writer: no other millrace record or log append. A record's bytes are the value, its time is its time; what else it has
are headers, where it is not 0: millrace.type, millrace.tag, and millrace.lost, how many are missing before it. The last one
of each batch has millrace.next, where to go on: the channel's id, and position and number of the next record.

  --from PLACE    where to begin in a channel that the log does not end with records of: oldest (the default), latest, a
                  position, record:N, a time such as 2026-11-21T05:00:00Z, or @ and milliseconds since 1970; in others it goes
                  on where it stopped, and says so
  --limit N       no more than N records
  --gate          have the writer of a ring wait rather than overwrite what is not recorded yet, as long as this runs
  --wait          wait for the channel, where there is none yet, and, where it has no writer, for one that goes on with it
  -f, --follow    go on until Ctrl-C: where the writer died with the one that resumes the channel, and with the channel that
                  takes its place
  --sync MODE     when it reaches the disk: MS after it was recorded (100), before more is taken (commit), or whenever the
                  system likes (none)
  --json          what is told in the end is an object: recorded, lost, first and last, which are offsets

Examples
  millrace record /dev/shm/orders /var/lib/app/orders
  millrace record /dev/shm/orders /var/lib/app/orders --wait --follow --gate --sync 1000
  millrace record /dev/shm/orders sample --from latest --limit 1000
  millrace replay sample /dev/shm/again`,
  options: {
    from: { type: 'string' },
    limit: { type: 'string' },
    gate: { type: 'boolean' },
    wait: { type: 'boolean' },
    follow: { type: 'boolean', short: 'f' },
    sync: { type: 'string' },
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const [path, directory] = twoPaths(record, paths, 'CHANNEL', 'DIRECTORY');
    const limit = countOption(record, values, 'limit', 1, Number.POSITIVE_INFINITY);
    const from = values.from === undefined ? undefined : placeInChannel(record, String(values.from));
    const sync = syncOption(record, values);
    refuseLog(path, 'read');
    const stop = interruption();
    try {
      using reader = await openToRecord(path, values, stop);
      // Before a log is made for nothing.
      if (!isLog(directory)) reader.seek(from ?? 'oldest');
      // Where others append, nobody knows what of it is behind the last batch.
      const open = (segment: number) =>
        openToAppend(record, directory, { segment, sync, writers: 'exclusive' });
      const recorder = await Recorder.open(reader, open, { limit, commits: sync === 'commit' });
      const failures: unknown[] = [];
      let sound = true;
      try {
        await recorder.goOn(from, stop);
        sound = await recorder.run(stop);
      } catch (error) {
        if (!isInterruption(error)) failures.push(withAdvice(error, ADVICE));
      }
      await recorder.close().catch((error: unknown) => {
        // Unless closing is what failed before.
        if (!failures.includes(error)) failures.push(error);
      });
      for (const failure of failures) sayError(failure);
      tell(recorder, values, output);
      return sound && failures.length === 0;
    } catch (error) {
      // It waited for a channel, and was to wait no longer.
      if (!isInterruption(error)) throw error;
      tell(NOTHING, values, output);
      return true;
    }
  },
};

/** By default unseen by the writer, and nothing in the channel changes. */
async function openToRecord(
  path: string,
  { gate, wait, follow }: Values,
  signal: AbortSignal,
): Promise<Reader> {
  const isGate = gate === true;
  const opening = Reader.open(path, {
    from: 'oldest',
    gate: isGate,
    register: isGate,
    name: isGate ? 'millrace record' : undefined,
    onLost: 'skip',
    verify: true,
    wait: wait === true,
    follow: follow === true,
    onDeath: follow === true || wait === true ? 'wait' : 'throw',
    signal,
  });
  return opening.catch((error: unknown) => {
    throw withAdvice(error, ADVICE);
  });
}

const ADVICE = {
  ERR_NOT_FOUND: '--wait waits for it',
  ERR_WRITER_DEAD: '--wait waits for one that goes on with it',
};

type Told = Pick<Recorder, 'summary' | 'text'>;

const NOTHING: Told = {
  summary: { recorded: 0, lost: 0, first: undefined, last: undefined },
  text: 'recorded nothing',
};

function tell({ summary, text }: Told, { json }: Values, output: Output): void {
  sayProgress(undefined);
  output.line(json === true ? toJson(summary) : text);
}

import { MillraceError, Writer, type WriterOptions } from '../../index.js';
import { Log } from '../../log/index.js';
import { advised, checkNewPlace } from '../channel/index.js';
import {
  choiceOption,
  countOption,
  sizeOption,
  twoPaths,
  UsageError,
  type Values,
  type Verb,
} from '../command.js';
import { isChannel } from '../directory.js';
import { interruption, isInterruption } from '../interruption.js';
import { placeInLog } from '../log/index.js';
import { say, sayError } from '../output.js';
import { withProgress } from '../progress.js';
import { toJson } from '../words.js';
import { endOf, hasRecords, Player } from './player.js';

export const replay: Verb = {
  name: 'replay',
  summary: 'write what a log holds into a new channel, at its pace or another',
  help: `millrace replay DIRECTORY CHANNEL [--speed N|max] [--from PLACE] [--to PLACE] [--limit N] [--now] [--readers N]
                [--size SIZE] [--mode ring|linear] [--replace] [--json]

Makes a channel and writes the records of a log into it, as far apart as their times are, and ends it: then its readers end,
too. Ctrl-C ends it sooner (exit code 1). What millrace record made gets its types, tags and times back; of any other log the
values are the records, with their times. Keys and other headers are left out, which is said once. Damage in the log is told,
and what follows it is replayed; then the exit code is 1. Where there is nothing to replay, not even damage, no channel is
made, and the exit code is 1, too. Readers hold a ring back as they hold back any writer. Where something fails, what went in
before stays, and is told; then the channel is not ended but left, its writer dead to those who read it, and the exit code is 1.

  --speed N       so many times as fast as it was, such as 2 or 0.5 (1), or max: as fast as it goes
  --from PLACE    where to begin: earliest (the default), latest, an offset, a time such as 2026-11-21T05:00:00Z, or @ and
                  milliseconds since 1970
  --to PLACE      where to end, before that record: a place as --from has it (latest)
  --limit N       no more than N records
  --now           the records' times are when they are written, not those that they had
  --readers N     begin when so many have opened the channel, so that none of them misses anything; millrace dump, tail, and
                  record without --gate are not counted, which no writer sees
  --size SIZE     capacity of the channel (8MiB); a linear one must have room for all
  --mode MODE     ring (the default) or linear
  --replace       take the place of a channel that ended, or whose writer died
  --json          what is told in the end is an object: replayed, first and last, which are offsets

Examples
  millrace replay /var/lib/app/orders /dev/shm/again
  millrace replay /var/lib/app/orders /dev/shm/again --speed max --readers 1
  millrace replay /var/lib/app/orders /dev/shm/again --from 2026-11-21T05:00 --to 2026-11-21T06:00 --speed 10 --now`,
  options: {
    speed: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    limit: { type: 'string' },
    now: { type: 'boolean' },
    readers: { type: 'string' },
    size: { type: 'string' },
    mode: { type: 'string' },
    replace: { type: 'boolean' },
    json: { type: 'boolean' },
  },
  async run(values, paths, output) {
    const [directory, path] = twoPaths(replay, paths, 'DIRECTORY', 'CHANNEL');
    const speed = speedOf(values);
    const limit = countOption(replay, values, 'limit', 1, Number.POSITIVE_INFINITY);
    const readers = countOption(replay, values, 'readers', 0, 0);
    const from = placeInLog(replay, String(values.from ?? 'earliest'));
    const to = placeInLog(replay, String(values.to ?? 'latest'));
    const options = channelOf(values, readers);
    refuseChannel(directory);
    checkNewPlace(path);
    const stop = interruption();
    await using log = await Log.open(directory, { readOnly: true });
    // Before a channel is made for nothing.
    using tail = log.tail({ from });
    const end = endOf(log, to);
    if (!hasRecords(tail, end)) {
      say(
        `${log.path} has no records${rangeText(values)}: there is nothing to replay, and no channel is made`,
      );
      return false;
    }
    const writer = await createChannel(path, options);
    const player = new Player(log, tail, writer, { end, limit, speed, isNow: values.now === true });
    const failures: unknown[] = [];
    try {
      await player.waitForReaders(readers, stop);
      await withProgress(log.path, (onProgress) => player.run(stop, onProgress));
    } catch (error) {
      if (!isInterruption(error)) failures.push(error);
    }
    // An end says that all was written.
    if (failures.length === 0) writer.close();
    // Whoever looks sees how far it is without having to walk there.
    else writer.heartbeat();
    player.tellLost();
    for (const failure of failures) sayError(failure);
    output.line(values.json === true ? toJson(player.summary) : player.text);
    return player.isSound && failures.length === 0 && !stop.aborted;
  },
};

function rangeText({ from, to }: Values): string {
  return `${from === undefined ? '' : ` from ${from} on`}${to === undefined ? '' : ` before ${to}`}`;
}

/** Where it is no recording that was named, but what one is made of. */
function refuseChannel(directory: string): void {
  if (!isChannel(directory)) return;
  const message = `${directory} is a channel, and what is replayed is a log: millrace record ${directory} DIRECTORY makes one of it`;
  throw new MillraceError('ERR_FORMAT', message, { path: directory });
}

function speedOf({ speed = '1' }: Values): number {
  if (speed === 'max') return Number.POSITIVE_INFINITY;
  if (/^\d+(\.\d+)?$/.test(String(speed)) && Number(speed) > 0) return Number(speed);
  throw new UsageError(`replay: --speed takes a number above 0, or max, not '${speed}'`, 'replay');
}

/** How many readers may register unless more are waited for. */
const READERS = 64;

function channelOf(values: Values, readers: number): WriterOptions {
  return {
    mode: choiceOption(replay, values, 'mode', ['ring', 'linear']),
    capacity: sizeOption(replay, values, 'size'),
    timestamps: true,
    readers: Math.max(READERS, readers),
    replace: values.replace === true,
  };
}

async function createChannel(path: string, options: WriterOptions): Promise<Writer> {
  try {
    return await Writer.create(path, options);
  } catch (error) {
    throw advised(replay, error, {
      ERR_EXISTS: '--replace takes the place of a channel that ended, or whose writer died',
      ERR_WRITER_ACTIVE: 'it can be replaced once that one has ended',
      ERR_NOT_FOUND: 'make its directory first',
    });
  }
}

import { must } from './stream.js';

/** How many records in a row are read backwards, or looked for one by one, at most. */
const SOME = 20;

/**
 * Reads all that is there; each record must be the next one of the stream. Returns how many there are, the reader, and
 * the error that stood in the way, if any.
 */
export async function readRemains(trial) {
  const { library, stream } = trial;
  const { reader, error } = await opened(trial);
  if (reader === undefined) return { count: 0, error };
  const found = { count: 0, reader, error: undefined };
  try {
    for (let record = reader.read(); record !== undefined; record = reader.read()) {
      stream.check(found.count, record);
      found.count++;
    }
  } catch (error) {
    found.error = typed(library, error);
  }
  return found;
}

async function opened({ library, dice, path, stream, ram }) {
  // What was closed is checked on a disk only, unless one asks for it: in RAM nothing outlives the machine.
  const verify = (ram && stream.ending) || dice.pick(undefined, true);
  const options = { verify, idle: dice.pick('spin', 'adaptive') };
  if (dice.chance(30)) options.register = false;
  try {
    return { reader: await library.Reader.open(path, options) };
  } catch (error) {
    return { error: typed(library, error) };
  }
}

/** What a program can act on; anything else is a failure of its own. */
export function typed({ MillraceError }, error) {
  if (!(error instanceof MillraceError)) throw error;
  return error;
}

/** Goes to records by number, position and time, and backwards: marks that lie must not show. */
export function lookAround(trial, reader, count) {
  const { dice, stream, timestamps } = trial;
  const back = reader.position;
  let index = count;
  for (const record of reader.backwards()) {
    stream.check(--index, record);
    if (count - index === SOME) break;
  }
  must(index === Math.max(0, count - SOME), () => `Backwards there are ${count - index} of ${count} records`);
  for (let n = dice.below(6); n > 0 && count > 0; n--) {
    const wanted = dice.below(count);
    reader.seek(dice.chance(50) ? { record: stream.numberOf(wanted) } : stream.records[wanted].position);
    const record = reader.read();
    must(record !== undefined, () => `Record ${wanted} of ${count} is not there where one goes to it`);
    stream.check(wanted, record);
  }
  if (timestamps && count > 0 && dice.chance(50)) seekTime(trial, reader, count);
  reader.seek(back);
  must(
    reader.read() === undefined,
    'Where there was nothing yet, there is something after having gone about',
  );
}

/** The first record of a time or later. */
function seekTime({ dice, stream }, reader, count) {
  reader.seek('oldest');
  const times = reader.readBatch(count).map(({ timestamp }) => timestamp);
  const us = times[dice.below(count)] + dice.below(3) - 1;
  const wanted = times.findIndex((time) => time >= us);
  reader.seek({ time: { us } });
  const record = reader.read();
  if (wanted < 0)
    must(record === undefined, () => `There is a record of ${us} or later, at ${record.position}`);
  else stream.check(wanted, record ?? {});
}

/** What a power cut left, held against what was promised. */
export function compareWithPromises(trial, { count, reader, error }) {
  const { promised, stream, level } = trial;
  const least = stream.countBelow(promised.end);
  must(count >= least, () => {
    const how = error === undefined ? '' : `, then ${error.code}: ${error.message}`;
    return `${count} records are left, ${least} were acknowledged up to ${promised.end}${how}`;
  });
  // Of one that was synced before it got its name, no name is without it; others are there once they were flushed.
  if (!promised.created && level === 'none') return;
  const open = !stream.ending;
  // Where nothing but an end that nobody acknowledged can be torn, this may be said.
  if (error !== undefined) {
    if (open || promised.ended) throw new Error(`It can't be read: ${error.code}`, { cause: error });
    return;
  }
  const { status, ended, durablePosition, position } = reader;
  const whole = ended && count === stream.count;
  must(
    !promised.ended || whole,
    () => `Of an end that was acknowledged ${count} records are left, ${status}`,
  );
  must(!open || stream.records[count - 1]?.goesOn !== true, () => `Half a batch is left, up to ${position}`);
  must(!open || (status === 'dead' && !ended), () => `A dead writer's channel is ${status}`);
  must(
    durablePosition <= position,
    () => `${durablePosition} is said to be on the disk, and ${position} is there`,
  );
}

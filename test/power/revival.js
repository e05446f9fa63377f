import { existsSync, readFileSync } from 'node:fs';
import { DATA_OFFSET_OFFSET, INCARNATION_OFFSET } from '../../dist/channel/layout.js';
import { someLength } from './operations.js';
import { MOST_LOSSES } from './power-trial.js';
import { compareWithPromises, lookAround, readRemains, typed } from './remains.js';
import { must } from './stream.js';

/** The machine is switched on again. Says whether there is a writer that is to work on. */
export async function comeBack(trial) {
  for (;;) {
    await trial.switchOnAgain();
    if (!existsSync(trial.path)) {
      must(!trial.promised.created, 'There is no channel, though it was said to be there');
      trial.count('never there');
      return false;
    }
    const found = await readRemains(trial);
    trial.note('found', found.count, 'of', trial.stream.count, found.error?.code ?? found.reader.status);
    compareWithPromises(trial, found);
    const over = await isOver(trial, found);
    if (over) return false;
    if (await goOn(trial, found)) return trial.losses < MOST_LOSSES;
    if (trial.left === undefined) return false;
  }
}

/** Whether nobody ever writes here again; then nobody may. */
async function isOver(trial, { reader, error }) {
  const { machine, library } = trial;
  if (error === undefined && !reader.ended) return false;
  trial.count(error === undefined ? 'found ended' : `found ${error.code}`);
  const resumed = await machine.drive(library.Writer.resume(trial.path));
  if (resumed.value !== undefined && !trial.promised.created) return true;
  must(resumed.error !== undefined, 'What has ended or is damaged was resumed');
  const { code } = typed(library, resumed.error);
  must(error !== undefined || code === 'ERR_ENDED', () => `What has ended can't be resumed: ${code}`);
  return true;
}

/** Somebody goes on with it; false where that was given up, or the power went meanwhile. */
async function goOn(trial, found) {
  const { dice, stream, library } = trial;
  lookAround(trial, found.reader, found.count);
  library.inspect(trial.path);
  trial.count('records kept', found.count);
  trial.count('records dropped', stream.count - found.count);
  stream.cut(found.count);
  trial.ghosts = findGhosts(trial);
  // It lies on the disk now, and was read.
  trial.promise(stream.end ?? 0);
  trial.reader = found.reader;
  trial.read = found.count;
  if (dice.chance(5)) return abandon(trial, found);
  const writer = await heal(trial);
  if (writer === undefined) return false;
  trial.promised.created = true;
  trial.promise(writer.durablePosition);
  const { after, records, position } = writer.recovery;
  must(after === 'machine' && records === found.count && position === writer.position, () => {
    return `${records} records were recovered, up to ${position}; ${found.count} were read, up to ${stream.end}`;
  });
  must(writer.position >= (stream.end ?? 0), () => `It goes on at ${writer.position}, not ${stream.end}`);
  const { limit, tail, basePosition, capacity } = library.inspect(trial.path);
  must(tail === position && limit === basePosition + capacity, () => `The header says ${tail} of ${limit}`);
  must(found.reader.read() === undefined && found.reader.status === 'alive', 'A reader sees no new life');
  lookAround(trial, found.reader, found.count);
  if (dice.chance(30) && trial.losses < MOST_LOSSES && (await lure(trial))) return false;
  if (dice.chance(70)) appendFirst(trial);
  return true;
}

/** A place where the next record could end and a record begins that must never be seen again, though it is whole. */
function findGhosts({ library, path, stream, base }) {
  const bytes = readFileSync(path);
  const [dataOffset, incarnation] = [DATA_OFFSET_OFFSET, INCARNATION_OFFSET].map((at) =>
    bytes.readInt32LE(at),
  );
  const isWhole = ({ position, next }) => {
    const [start, end] = [position, next].map((at) => dataOffset + at - base);
    return library.native.checkFrames(bytes, start, end, (position / 16) | 0, incarnation, end) === end;
  };
  return stream.dropped.filter(isWhole).map(({ position }) => position);
}

/**
 * Writes up to a ghost, and the power goes while that is on its way to the disk: had the ghost not been cleared away for
 * good, it would stand behind the new records. True if there is one to reach.
 */
async function lure(trial) {
  const { machine, writer, stream } = trial;
  const place = placeToReach(trial);
  if (place === undefined) return false;
  trial.note('lure up to', place);
  trial.count('lures');
  for (let left = place - writer.position; left > 0; left = place - writer.position) {
    const most = stream.sizeOf(trial.maxRecord);
    const need = left <= most ? left : Math.min(most, left - trial.header);
    const data = stream.payload(need - trial.header);
    stream.add(writer.write(data), { data });
  }
  trial.ask(writer.flush(), () => {});
  await machine.quiet();
  trial.cut();
  return true;
}

/** Preferably where a sector begins: what lies on both sides is not of one moment then. */
function placeToReach({ dice, ghosts, writer, header, base }) {
  const from = writer.position + header;
  const places = ghosts.filter((position) => position >= from);
  const atSectors = places.filter((position) => (position - base) % 512 === 0);
  return atSectors.length > 0 ? dice.pick(...atSectors) : places[dice.below(places.length)];
}

async function abandon(trial, { count }) {
  const { library, stream } = trial;
  trial.note('abandon');
  trial.count('abandoned');
  library.declareAbandoned(trial.path);
  must(trial.reader.read() === undefined && trial.reader.ended, 'An abandoned channel has no end');
  const again = await library.Reader.open(trial.path, { verify: true });
  const records = again.readBatch(100_000);
  must(records.length === count && again.ended, () => `${records.length} records are left of ${count}`);
  for (const [index, record] of records.entries()) stream.check(index, record);
  return false;
}

/** Resumes it, perhaps more than once: the power may go on the way, or a process die. */
async function heal(trial) {
  const { dice, machine, library, level } = trial;
  for (let deaths = 0; ; ) {
    const before = machine.files.length;
    if (dice.chance(20)) trial.stepsLeft = 1 + dice.below(10);
    const [powerGoes, dies] = [dice.chance(20), deaths < 3 && dice.chance(20)];
    const { value, error } = await machine.drive(library.Writer.resume(trial.path), () => {
      return !dies && trial.passHold(powerGoes);
    });
    trial.stepsLeft = undefined;
    if (trial.left !== undefined) trial.count('losses while healing');
    if (trial.left !== undefined) return undefined;
    if (value !== undefined) {
      trial.count('healed');
      trial.note('healed', JSON.stringify(value.recovery));
      trial.begin(value, machine.files.slice(before));
      return value;
    }
    if (error !== undefined) {
      typed(library, error);
      if (trial.promised.created || level !== 'none') throw error;
      trial.count(`refused ${error.code}`);
      return undefined;
    }
    deaths++;
    trial.count('process deaths while healing');
    machine.kill(machine.files.slice(before));
    await machine.quiet();
  }
}

/** The first record of a new life, seen by who was there before. */
function appendFirst(trial) {
  const { writer, stream } = trial;
  const data = stream.payload(someLength(trial));
  const before = writer.position;
  if (writer.tryWrite(data, 7) < 0) return;
  stream.add(before, { data, type: 7 });
  trial.readOn();
}

/** All is well in the end: the channel takes more, and ends. */
export async function finish(trial) {
  const { machine, library, writer, stream } = trial;
  appendFirst(trial);
  const closed = await machine.drive(writer[Symbol.asyncDispose]());
  if (closed.error !== undefined) throw closed.error;
  const reader = await library.Reader.open(trial.path, { verify: true });
  const records = reader.readBatch(100_000);
  for (const [index, record] of records.entries()) stream.check(index, record);
  must(
    records.length === stream.count && reader.ended,
    () => `${records.length} of ${stream.count} in the end`,
  );
  trial.count('finished');
}

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { must } from './stream.js';

const MANY = 100_000;

/** The machine is switched on, again or for the first time. Says whether there is a log that is to work on. */
export async function comeBack(trial) {
  for (;;) {
    if (trial.left !== undefined) await trial.switchOnAgain();
    await verifyBefore(trial);
    await trial.open({ powerMayGo: trial.losses > 0 });
    if (trial.left === undefined) break;
  }
  const { log, promised, values } = trial;
  const { recovery } = log;
  const found = log.next;
  trial.note('found', found, 'of', values.length, JSON.stringify(recovery));
  must(found >= promised, () => `${found} records are left, and ${promised} were on the disk`);
  must(found <= values.length, () => `${found} records are left of ${values.length}`);
  must(log.earliest === trial.earliest || promised === 0, () => `The log begins at ${log.earliest}`);
  trial.read = trial.earliest = log.earliest;
  const left = readAll(log);
  must(left.length === found - log.earliest, () => `${left.length} records can be read up to ${found}`);
  compare(trial, left);
  const { foretold = found } = trial;
  must(foretold === found, () => `It goes on at ${found}, and was said to at ${foretold}`);
  await verifyAfter(trial, found);
  trial.count('records kept', found);
  trial.count('records dropped', values.length - found);
  trial.count('set aside', recovery.setAside.length);
  trial.count(`after ${recovery.after}`);
  values.length = found;
  trial.noteDurable();
  goOn(trial);
  return true;
}

/** Before anybody opens it, it says where the log will go on. */
async function verifyBefore(trial) {
  const { machine, library, dice } = trial;
  trial.foretold = undefined;
  if (trial.losses === 0 || !existsSync(join(machine.directory, 'log.lock')) || !dice.chance(50)) return;
  const { value, error } = await machine.drive(library.Log.verify(machine.directory));
  if (error !== undefined) throw error;
  must(value.sound, () => `It is not sound: ${JSON.stringify(value.faults)}`);
  trial.foretold = value.cutOffAt ?? value.next;
  trial.count('foretold');
  if (value.cutOffAt !== undefined) trial.count('cut off');
}

async function verifyAfter({ machine, log }, next) {
  const { value, error } = await machine.drive(log.verify());
  if (error !== undefined) throw error;
  must(value.sound && value.next === next && value.cutOffAt === undefined, () => JSON.stringify(value));
}

function readAll(log) {
  const tail = log.tail({ from: 'earliest' });
  const records = [];
  // What stands in the way of one is said by the next call.
  for (let more = tail.readBatch(MANY); more.length > 0; more = tail.readBatch(MANY)) records.push(...more);
  tail.close();
  return records;
}

function compare({ values, earliest }, records) {
  for (const [i, { offset, value }] of records.entries()) {
    must(
      offset === earliest + i && value.equals(values[offset]),
      () => `Record ${earliest + i} is ${offset} and not itself`,
    );
  }
}

/** The next record is appended and read. */
function goOn(trial) {
  const { log, values } = trial;
  const value = trial.value();
  const offset = log.append(value);
  must(offset === values.length, () => `The record behind ${values.length} got offset ${offset}`);
  values.push(value);
  const tail = log.tail({ from: offset });
  const read = tail.read();
  tail.close();
  must(read?.offset === offset && read.value.equals(value), 'The first record of a new life is not read');
}

/** All is well in the end: the log takes more, and what it has is read backwards, too. */
export async function finish(trial) {
  const { machine, log, values } = trial;
  goOn(trial);
  compare(trial, readAll(log));
  const backwards = await machine.drive(collect(log.read({ reverse: true })));
  if (backwards.error !== undefined) throw backwards.error;
  compare(trial, backwards.value.reverse());
  must(
    backwards.value.length === values.length - trial.earliest,
    () => `Backwards there are ${backwards.value.length}`,
  );
  const closed = await machine.drive(log.close());
  if (closed.error !== undefined) throw closed.error;
  trial.log = undefined;
  trial.count('finished');
}

async function collect(iteration) {
  const all = [];
  for await (const one of iteration) all.push(one);
  return all;
}

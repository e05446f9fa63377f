import { beatTimers, letAllEnd, look } from './operations.js';
import { must } from './stream.js';

/** What is done to a log between two power cuts, with how often. */
const OPERATIONS = [
  [append, 30],
  [appendBatch, 10],
  [appendMany, 8],
  [commit, 12],
  [flush, 6],
  [beatTimers, 6],
  [look, 8],
  [letSyncEnd, 14],
  [letAllEnd, 6],
  [readOn, 3],
  [readDurable, 3],
  [rewrite, 3],
  [closeAndOpen, 2],
];
/** Where no sync is to be under way before the power goes. */
const UNSYNCED = [
  [append, 30],
  [appendBatch, 10],
  [appendMany, 8],
  [look, 10],
  [readOn, 1],
];

export function operate(trial) {
  const operation = trial.dice.weighted(trial.unsynced ? UNSYNCED : OPERATIONS);
  trial.note(operation.name);
  return operation(trial);
}

/** They were appended by what was just done. */
function appended(trial, offset, values) {
  must(offset === trial.values.length, () => `Record ${trial.values.length} got offset ${offset}`);
  trial.values.push(...values);
  trial.count('appended', values.length);
}

function append(trial) {
  const value = trial.value();
  appended(trial, trial.log.append(value), [value]);
}

function appendBatch(trial) {
  const values = Array.from({ length: 2 + trial.dice.below(4) }, () => trial.value());
  const bytes = values.reduce((sum, { length }) => sum + length + 48, 0);
  if (bytes > trial.options.segment - 64) return;
  appended(trial, trial.log.appendBatch(values), values);
}

/** So many that segments are sealed. */
function appendMany(trial) {
  for (let bytes = trial.dice.below(trial.options.segment * 3); bytes > 0; ) {
    const value = trial.value();
    appended(trial, trial.log.append(value), [value]);
    bytes -= value.length + 40;
  }
}

function commit(trial) {
  const value = trial.value();
  const offset = trial.values.length;
  trial.ask(trial.log.commit(value), ({ value: given, error }) => {
    if (error !== undefined) throw error;
    must(given === offset, () => `Record ${offset} was committed as ${given}`);
    trial.promise(offset + 1);
    trial.count('acknowledged commits');
  });
  return commits(trial, value, offset);
}

/** It goes in with the next turns of the event loop, and only its disk is waited for. */
async function commits(trial, value, offset) {
  await trial.machine.quiet();
  if (trial.left !== undefined) {
    trial.values.push(value);
    return;
  }
  must(trial.log.next === offset + 1, () => `Behind record ${offset} the next one is ${trial.log.next}`);
  appended(trial, offset, [value]);
}

export function flush(trial) {
  const end = trial.values.length;
  trial.ask(trial.log.flush(), ({ value, error }) => {
    if (error !== undefined) throw error;
    must(value >= end, () => `A flush of ${end} records says that ${value} are on the disk`);
    trial.promise(value);
    trial.count('acknowledged flushes');
  });
}

function letSyncEnd({ machine, dice }) {
  if (machine.held.length > 0) dice.pick(...machine.held).release();
}

/** A reader that is open all along sees all that was appended, and nothing else. */
export function readOn(trial) {
  trial.tail ??= trial.log.tail({ from: 'earliest' });
  for (const { offset, value } of trial.tail.readBatch(100_000)) {
    must(
      offset === trial.read && value.equals(trial.values[offset]),
      () => `Record ${trial.read} is not itself`,
    );
    trial.read++;
  }
  must(trial.read === trial.values.length, () => `${trial.read} of ${trial.values.length} records are read`);
}

/** What is handed out as being on the disk is promised by that; and nothing is kept back that is said to be there. */
function readDurable(trial) {
  trial.noteDurable();
  const tail = trial.log.tail({ from: 'earliest', durableOnly: true });
  tail.readBatch(100_000);
  const { offset } = tail;
  tail.close();
  must(offset >= trial.promised, () => `${offset} records are handed out of ${trial.promised} on the disk`);
  trial.promise(offset);
}

/** As compaction does it, which leaves what is not on the disk alone, but all is kept. */
async function rewrite(trial) {
  const { dice, log, machine, library } = trial;
  const { durable } = log;
  const segments = log.segments();
  const synced = segments.filter((_, i) => segments[i + 1]?.base <= durable);
  if (synced.length === 0) return;
  const { path } = synced[dice.below(synced.length)];
  const rewriting = library.rewriteSegment(path, dice.chance(50) ? {} : { keep: () => true });
  const { error } = await machine.drive(rewriting, () => trial.passHold(dice.chance(10)));
  if (trial.left !== undefined) return;
  if (error !== undefined) throw error;
  trial.count('rewritten segments');
}

async function closeAndOpen(trial) {
  const { machine, dice, log } = trial;
  trial.noteDurable();
  trial.forget();
  const { error } = await machine.drive(log.close(), () => trial.passHold(dice.chance(5)));
  if (trial.left !== undefined) return;
  if (error !== undefined) throw error;
  if (trial.options.sync !== 'none') trial.promise(trial.values.length);
  const deaths = await trial.open({ powerMayGo: dice.chance(30) });
  if (trial.left !== undefined) return;
  must(
    deaths > 0 || trial.log.recovery.after === 'close',
    () => `After a close it says '${trial.log.recovery.after}'`,
  );
  must(trial.log.next === trial.values.length, () => `${trial.log.next} of ${trial.values.length} are left`);
}

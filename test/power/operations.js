import { must } from './stream.js';

/** What is done to a channel between two power cuts, with how often. A claim that is open stands in the way of some. */
const OPERATIONS = [
  [write, 30],
  [writeBatch, 9],
  [openClaim, 6],
  [send, 12],
  [flush, 9],
  [beatTimers, 6],
  [heartbeat, 3],
  [look, 8],
  [letSyncEnd, 14],
  [letAllEnd, 4],
  [readOn, 2],
];
/** Where no sync is to be under way before the power goes. */
const UNSYNCED = [
  [write, 30],
  [writeBatch, 9],
  [openClaim, 4],
  [heartbeat, 3],
  [look, 10],
];
const WHILE_CLAIMED = [
  [fillClaim, 10],
  [commitClaim, 8],
  [abortClaim, 3],
  [flush, 2],
  [beatTimers, 2],
  [heartbeat, 2],
  [look, 6],
  [letSyncEnd, 5],
];
/** Once a sync has failed, or the channel was ended. */
const WHEN_OVER = [
  [look, 5],
  [letSyncEnd, 5],
  [refused, 2],
];

export function operate(trial) {
  const open = trial.writer.state === 'open' && !trial.failed;
  const usual = trial.unsynced ? UNSYNCED : OPERATIONS;
  const choices = !open ? WHEN_OVER : trial.claim === undefined ? usual : WHILE_CLAIMED;
  const operation = trial.dice.weighted(choices);
  trial.note(operation.name);
  return operation(trial);
}

const LENGTHS = {
  mixed: (dice) =>
    dice.weighted([
      [dice.below(9), 10],
      [8 + dice.below(300), 60],
      [dice.below(2000), 20],
      [dice.below(8193), 10],
    ]),
  even: (_, header) => 64 - header,
  // Frames that end where sectors and pages do: what was dropped starts where what comes anew ends, and may be torn off it.
  aligned: (dice, header) => dice.pick(32, 64, 64, 128, 256, 512, 1024, 4096) - header,
  pages: (dice, header) => dice.pick(1024, 2048, 4096, 4096) - header,
};
export const SIZINGS = Object.keys(LENGTHS);

/** The length of a payload, as the case has them; or so that the record ends where a ghost begins. */
export function someLength({ dice, sizing, header, maxRecord, ghosts, writer }) {
  const from = writer.position + header;
  const lengths = ghosts.map((position) => position - from);
  const possible = lengths.filter((length) => length >= 0 && length <= maxRecord);
  if (possible.length > 0 && dice.chance(30)) return dice.pick(...possible);
  return Math.min(maxRecord, LENGTHS[sizing](dice, header));
}

/** A record, and how it is said of it. */
function someRecord(trial) {
  const { dice, stream, timestamps } = trial;
  const record = { data: stream.payload(someLength(trial)), type: dice.pick(0, dice.below(65536)) };
  if (!timestamps) return record;
  record.tag = dice.pick(0, dice.below(2 ** 31), 2 ** 53 - 1);
  if (dice.chance(70)) record.time = trial.clock.us + dice.below(2000) - 1000;
  return record;
}

function optionsOf({ type, tag, time }) {
  const options = { type };
  if (tag !== undefined) options.tag = tag;
  if (time !== undefined) options.timestamp = { us: time };
  return options;
}

/** Does what a full channel, and nothing else, refuses. True if it was done. */
function unlessFull(trial, work) {
  try {
    work();
    return true;
  } catch (error) {
    if (error.code !== 'ERR_CHANNEL_FULL') throw error;
    trial.full = true;
    return false;
  }
}

/** They were committed by what was just done, from where the writer stood before. */
function committed(trial, before, records) {
  const { stream, writer } = trial;
  let at = before;
  for (const [i, record] of records.entries()) {
    at = stream.add(at, { ...record, goesOn: i < records.length - 1 });
  }
  trial.count('written', records.length);
  must(writer.position === at, () => `The writer is at ${writer.position} instead of ${at}`);
}

function write(trial) {
  const { dice, writer } = trial;
  const record = someRecord(trial);
  const before = writer.position;
  const given = dice.chance(30) && record.tag === undefined ? record.type : optionsOf(record);
  const done = unlessFull(trial, () => {
    const position = writer.write(record.data, given);
    must(position === before, () => `A record went to ${position} instead of ${before}`);
  });
  if (done) committed(trial, before, [record]);
}

function writeBatch(trial) {
  const { dice, writer, stream } = trial;
  const plain = dice.chance(30);
  const records = Array.from({ length: 1 + dice.below(12) }, () =>
    plain ? { data: stream.payload(someLength(trial)) } : someRecord(trial),
  );
  const before = writer.position;
  const given = plain
    ? records.map(({ data }) => data)
    : records.map((record) => ({ data: record.data, ...optionsOf(record) }));
  try {
    if (unlessFull(trial, () => writer.writeBatch(given))) committed(trial, before, records);
  } catch (error) {
    if (error.code !== 'ERR_RECORD_TOO_LARGE') throw error;
  }
}

function openClaim(trial) {
  const { dice, writer } = trial;
  const length = someLength(trial);
  const type = dice.below(65536);
  const open = writer.claim(length, type);
  if (open === undefined) trial.full = true;
  else trial.claim = { open, length, type, data: trial.stream.payload(length), before: writer.position };
}

function fillClaim({ dice, claim }) {
  const { open, data } = claim;
  const from = dice.below(data.length + 1);
  data.copy(open.bytes, open.start + from, from, from + dice.below(data.length - from + 1));
}

function commitClaim(trial) {
  const { dice, claim } = trial;
  const used = dice.pick(claim.length, dice.below(claim.length + 1));
  const data = claim.data.subarray(0, used);
  claim.open.bytes.set(data, claim.open.start);
  claim.open.commit(used);
  trial.claim = undefined;
  committed(trial, claim.before, [{ data, type: claim.type }]);
}

function abortClaim(trial) {
  trial.claim.open.abort();
  trial.claim = undefined;
}

function send(trial) {
  const { writer, level } = trial;
  const record = someRecord(trial);
  const before = writer.position;
  const sent = writer.send(record.data, optionsOf(record));
  // It goes in at once, and only its disk is waited for.
  const next = writer.position;
  const full = next === before;
  if (full) trial.full = true;
  else committed(trial, before, [record]);
  trial.ask(sent, ({ value, error }) => {
    if (full) return must(error?.code === 'ERR_CHANNEL_FULL', 'What does not fit was sent');
    if (error !== undefined) return trial.mayFail(error);
    must(value === before, () => `What was sent went to ${value} instead of ${before}`);
    if (level !== 'commit') return;
    trial.promise(next);
    trial.count('acknowledged sends');
  });
}

export function flush(trial) {
  const { writer } = trial;
  const end = writer.position;
  trial.ask(writer.flush(), ({ value, error }) => {
    if (error !== undefined) return trial.mayFail(error);
    must(value >= end, () => `A flush at ${end} says that ${value} is on the disk`);
    trial.promise(value);
    trial.promised.created = true;
    trial.count('acknowledged flushes');
  });
}

export function beatTimers({ machine }) {
  for (const { beat } of machine.timers) beat();
}

function heartbeat({ writer }) {
  writer.heartbeat();
}

export function look({ machine }) {
  machine.disk.look();
}

function letSyncEnd(trial) {
  const { machine, dice } = trial;
  if (machine.held.length === 0 || trial.unsynced) return;
  const hold = dice.pick(...machine.held);
  if (!dice.chance(trial.failing)) return hold.release();
  trial.failed = true;
  hold.fail();
  return machine.quiet();
}

/** Until nothing is left to be synced for anybody. */
export async function letAllEnd({ machine, unsynced }) {
  if (unsynced) return;
  await machine.quiet();
  while (machine.held.length > 0) {
    machine.held[0].release();
    await machine.quiet();
  }
}

function readOn(trial) {
  trial.readOn();
}

function refused(trial) {
  try {
    trial.writer.write('x');
  } catch (error) {
    return trial.mayFail(error);
  }
  throw new Error('A writer that is over wrote something');
}

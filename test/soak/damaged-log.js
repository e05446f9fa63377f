/** A log that is put down again and again, damaged anew each time, and what must hold of it however that was. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Log } from '../../dist/log/index.js';
import { codeOf, count, Wrong } from './cases.js';

const CURSOR = { name: 'reader', offset: 3 };

/** A closed log with records of all kinds, as the bytes of its files; `grow` appends them. */
export async function makeLog(path, options, grow) {
  mkdirSync(path, { recursive: true });
  const log = await Log.open(path, options);
  grow(log);
  await log.cursor(CURSOR.name).set(CURSOR.offset);
  const { next } = log;
  const bases = log.segments().map(({ base }) => base);
  await log.close();
  const files = new Map(filesIn(path).map((name) => [name, readFileSync(join(path, name))]));
  const { records } = await readAll(path);
  if (records.size !== next) throw new Error(`${records.size} of ${next} records can be read`);
  return { path, files, records, bases, next };
}

function filesIn(path) {
  return readdirSync(path)
    .filter((name) => statSync(join(path, name)).isFile())
    .sort();
}

/** Puts it down as it was; `change` may give other bytes for a file. */
export function putDown({ path, files }, change) {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), change(name, bytes));
}

/**
 * All that can be read, past what can't: offsets with what they have, the places that were passed over, and the cursors as
 * far as they can be told.
 */
async function readAll(path) {
  const records = new Map();
  const gaps = [];
  let log;
  try {
    log = await Log.open(path, { readOnly: true });
  } catch (error) {
    count(`to read: ${codeOf(error)}`);
    return { records, gaps: [[0, undefined]], cursors: [] };
  }
  try {
    for (let from = log.earliest; from !== undefined; ) from = await readFrom(log, from, records, gaps);
    return { records, gaps, cursors: cursorsOf(log) };
  } finally {
    await log.close();
  }
}

function cursorsOf(log) {
  try {
    return log.cursors();
  } catch (error) {
    count(`cursors: ${codeOf(error)}`);
    return [];
  }
}

/** Undefined at the end, and where nobody can tell where to go on. */
async function readFrom(log, from, records, gaps) {
  try {
    for await (const record of log.read({ from })) {
      if (records.has(record.offset)) throw new Wrong(`record ${record.offset} was read twice`);
      records.set(record.offset, asText(record));
    }
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    const gap = code === 'ERR_GAP' ? [error.from, error.to] : [error.offset ?? from, error.nextOffset];
    gaps.push(gap);
    if (gap[1] === undefined) return undefined;
    if (gap[1] <= from) throw new Wrong(`it goes on at ${gap[1]}, before ${from}`);
    return gap[1];
  }
}

function asText({ offset, timestamp, key, value, headers }) {
  const named = headers?.map(([name, data]) => [name, `${data}`]);
  return JSON.stringify([offset, timestamp, key?.toString(), value?.toString(), named]);
}

/**
 * Looks at it as it lies there, opens it, repairs it where that is refused, appends, and repairs it again: never is a record
 * there that was not, or none where nothing says so; and in the end only those of `hit` may be gone.
 */
export async function tryLog(log, hit, noticed) {
  const { path } = log;
  const { sound } = await Log.verify(path);
  count(sound ? 'sound' : 'faults found');
  if (noticed && sound) throw new Wrong('it was not noticed');
  await readTruly(log, 'as it lies there', true);
  const [opened, offset] = await appendTo(path);
  if (offset < log.next) throw new Wrong(`offset ${offset} was given again: there were ${log.next}`);
  if (opened === 'opened' && offset !== log.next) throw new Wrong(`${offset} follows ${log.next - 1}`);
  await readTruly(log, 'with one more', opened === 'opened', offset);
  await Log.repair(path);
  const again = await Log.verify(path);
  if (!again.sound) throw new Wrong(`repaired, and not sound: ${JSON.stringify(again.faults)}`);
  const { records, gaps } = await readTruly(log, 'repaired', false, offset);
  if (gaps.length > 0) throw new Wrong(`repaired, and not to be read at ${gaps[0]}`);
  const gone = [...log.records.keys()].filter((known) => !records.has(known) && !hit.has(known));
  if (gone.length > 0) throw new Wrong(`repaired, and ${gone.length} records are gone, from ${gone[0]} on`);
  return opened;
}

/** How opening it went, and was made to go, and the offset of what was appended then. */
async function appendTo(path) {
  try {
    return ['opened', await append(await Log.open(path))];
  } catch (error) {
    const code = codeOf(error);
    await Log.repair(path);
    return [code, await append(await Log.open(path))];
  }
}

async function append(log) {
  try {
    return log.append('one more');
  } finally {
    await log.close();
  }
}

/** `isTold`: what can't be read has to be said; repairing has said it, and who reads passes over it. */
async function readTruly({ path, records, next }, when, isTold, more) {
  const found = await readAll(path);
  for (const [offset, text] of found.records) {
    if (offset !== more && records.get(offset) !== text) {
      throw new Wrong(`${when}: record ${offset} is ${text} and not ${records.get(offset)}`);
    }
  }
  if (more !== undefined && !found.records.has(more) && !found.gaps.some(([, to]) => to === undefined)) {
    throw new Wrong(`${when}: what was appended can't be read`);
  }
  const isInGap = (offset) => found.gaps.some(([from, to = next]) => from <= offset && offset < to);
  const untold = [...records.keys()].filter((offset) => !found.records.has(offset) && !isInGap(offset));
  if (isTold && untold.length > 0) throw new Wrong(`${when}: ${untold[0]} is missing, and nothing says so`);
  checkCursors(found.cursors, when);
  return found;
}

/** It stands where it stood, or nobody can tell. */
function checkCursors(cursors, when) {
  for (const { name, offset } of cursors) {
    const isOurs = name === undefined || name === CURSOR.name;
    if (!isOurs || (offset !== undefined && offset !== CURSOR.offset)) {
      throw new Wrong(`${when}: the cursor ${name} stands at ${offset}`);
    }
  }
}

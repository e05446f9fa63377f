import { MillraceError, Reader } from '../../../dist/index.js';
import { must } from './model.js';
import { seek, standing } from './seeking.js';
import { writeBatch, writeOne } from './writing.js';

const HALT = new Error('Enough for now');

/** How a ring's readers stand to its writer. In a linear channel nobody is ever in the way, nor overtaken. */
const KINDS = {
  gating: { gate: true },
  evictable: { gate: { evictAfterMs: 80 } },
  observing: { gate: false },
  skipping: { gate: false, onLost: 'skip' },
};

/** With how often each comes up. */
export const READING = [
  [poll, 60],
  [readBatch, 15],
  [seek, 5],
  [readBackwards, 3],
  [closeReader, 1],
  [look, 16],
];

export async function openReader(trial) {
  const { dice, model, path } = trial;
  const kind = model.ring ? dice.pick('gating', 'gating', 'evictable', 'observing', 'skipping') : 'gating';
  const options = {
    ...KINDS[kind],
    from: dice.pick('oldest', 'latest'),
    idle: dice.pick('spin', 'adaptive'),
  };
  if (kind === 'observing' && dice.chance(30)) options.register = false;
  const reader = await Reader.open(path, options);
  const known = {
    name: `${kind} ${trial.opened++}`,
    kind,
    reader,
    lost: 0,
    read: 0,
    next: 0,
    sleepsUntil: 0,
  };
  known.next = standing(trial, known);
  trial.readers.push(known);
  trial.note('open', known.name, 'at', known.next);
}

function closeReader(trial, known) {
  known.reader.close();
  trial.forget(known);
  trial.note('close', known.name);
}

/** Inside a handler: the record must be the next one of the model, but for what the reader says it lost. */
function checkHandled(trial, known, bytes, start, end, type) {
  const { model } = trial;
  const { reader } = known;
  noteSkipped(trial, known);
  const index = standing(trial, known);
  must(index === known.next, () => `${known.name} was handed record ${index} instead of ${known.next}`);
  model.check(index, {
    position: reader.recordPosition,
    bytes: bytes.subarray(start, end),
    type,
    tag: reader.recordTag,
    time: reader.recordTimestamp,
  });
  known.next++;
  known.read++;
  trial.count('read');
}

/** One that skips what it lost is not told: it says how many, and stands behind them. */
function noteSkipped(trial, known) {
  const { lost } = known.reader;
  if (known.kind !== 'skipping' || lost === known.lost) return;
  known.next += lost - known.lost;
  known.lost = lost;
  trial.count('overtaken');
}

/** What a reader is told that could not go on. */
function checkFault(trial, known, error) {
  if (!(error instanceof MillraceError)) throw error;
  if (error.code === 'ERR_OVERTAKEN') checkLoss(trial, known, error);
  else if (error.code === 'ERR_EVICTED') joinAgain(trial, known);
  else throw error;
}

function checkLoss(trial, known, { from, lost }) {
  const { model, watch } = trial;
  const { reader } = known;
  trial.note('overtaken', known.name, 'lost', lost);
  trial.count('overtaken');
  must(known.kind === 'observing', () => `${known.name} was overtaken`);
  must(watch.limit - from > model.capacity, () => `${known.name} was not overtaken at ${from}`);
  known.next += lost;
  known.lost += lost;
  must(reader.lost === known.lost, () => `${known.name} lost ${reader.lost}, told of ${known.lost}`);
  const index = standing(trial, known);
  must(index === known.next, () => `${known.name} goes on at ${index} instead of ${known.next}`);
}

function joinAgain(trial, known) {
  trial.note('evicted', known.name);
  trial.count('evicted');
  must(known.kind === 'evictable', () => `${known.name} was evicted`);
  known.reader.seek(trial.dice.pick('oldest', 'latest'));
  known.next = standing(trial, known);
}

/** What a handler does beside looking at its record, and at which of them. */
function someMischief({ dice, claim }) {
  return {
    throwAt: dice.chance(10) ? dice.below(10) : -1,
    closeAt: dice.chance(2) ? dice.below(5) : -1,
    writeAt: claim === undefined && dice.chance(15) ? dice.below(6) : -1,
    keepsUp: claim === undefined && dice.chance(1),
  };
}

export function poll(trial, known) {
  const { dice, model } = trial;
  const { reader } = known;
  const limit = dice.pick(undefined, 1, 2, 5, 50, 1000);
  const options = dice.chance(50) ? limit : { limit, copy: dice.chance(30) };
  const mischief = someMischief(trial);
  const there = model.records.length;
  let handled = 0;
  let bytesHandled = 0;
  try {
    const count = reader.poll((bytes, start, end, type) => {
      if (handled === mischief.throwAt) throw HALT;
      checkHandled(trial, known, bytes, start, end, type);
      must(reader.ended === false, () => `${known.name} has ended inside a handler`);
      if (handled === mischief.writeAt) writeInHandler(trial, bytes.subarray(start, end));
      if (mischief.keepsUp) {
        writeOne(trial);
        // A poll ends, however quick the writer is.
        must(bytesHandled <= 2 * model.capacity, () => `${known.name} polls for ever`);
      }
      if (handled === mischief.closeAt) reader.close();
      handled++;
      bytesHandled += model.frameOf(end - start);
    }, options);
    trial.note('poll', known.name, count, 'to', known.next);
    noteSkipped(trial, known);
    const within = limit === undefined || count <= limit;
    must(count === handled && within, () => `poll gave ${count} for ${handled} of ${limit}`);
    // One that was overtaken may first hand out what it had copied before; and no poll goes on for more than a lap,
    // of which up to a half is PADs.
    const lap = bytesHandled >= model.capacity / 2;
    const all = count === limit || mischief.closeAt >= 0 || known.next >= there || lap;
    must(all, () => `${known.name} finds nothing at ${known.next} of ${there}`);
  } catch (error) {
    trial.note('poll', known.name, 'threw', error.code ?? error.message, 'at', known.next);
    if (error !== HALT) checkFault(trial, known, error);
  }
  // It was closed from inside only if it came so far.
  if (mischief.closeAt >= 0 && handled > mischief.closeAt) closeReader(trial, known);
  else checkStats(known);
}

/** The record that the handler was lent must stay what it is, whatever is written meanwhile. */
function writeInHandler(trial, lent) {
  const before = Buffer.from(lent);
  trial.count('inHandlers');
  for (let left = 1 + trial.dice.below(40); left > 0; left--) trial.dice.pick(writeOne, writeBatch)(trial);
  must(before.equals(lent), 'What the handler was lent changed within its call');
}

function checkStats({ name, reader, read }) {
  const { records } = reader.stats();
  must(records === read, () => `${name} says it read ${records} records instead of ${read}`);
}

function readBatch(trial, known) {
  const { dice, model } = trial;
  const { reader } = known;
  const skips = known.kind === 'skipping';
  try {
    const first = known.next;
    const batch = reader.readBatch(dice.pick(1, 1, 3, 100));
    for (const { record, position, data, type, tag, timestamp } of batch) {
      const index = record - model.baseRecord;
      const due = index === known.next || (skips && index > known.next);
      must(due, () => `${known.name} read record ${index} instead of ${known.next}`);
      model.check(index, { position, bytes: data, type, tag, time: timestamp });
      known.next = index + 1;
    }
    known.read += batch.length;
    trial.count('read', batch.length);
    trial.note('read', known.name, batch.length, 'to', known.next);
    if (skips) {
      known.next = standing(trial, known);
      known.lost += known.next - first - batch.length;
      must(reader.lost === known.lost, () => `${known.name} lost ${reader.lost} instead of ${known.lost}`);
    }
  } catch (error) {
    checkFault(trial, known, error);
  }
  checkStats(known);
}

function readBackwards(trial, known) {
  const { model } = trial;
  let index = standing(trial, known);
  let left = 50;
  for (const { record, position, data, type, tag, timestamp } of known.reader.backwards()) {
    index--;
    must(record - model.baseRecord === index, () => `Backwards, record ${record} follows ${index + 1}`);
    model.check(index, { position, bytes: data, type, tag, time: timestamp });
    if (--left === 0) break;
  }
}

function look(_trial, { name, reader }) {
  must(reader.ended === false, () => `${name} has ended while the writer lives`);
  must(reader.lag >= 0, () => `${name} has a lag of ${reader.lag}`);
}

/** After the end: everyone reads all there is, and knows whether it was the end. */
export function readToEnd(trial, known, isEnd) {
  const { model } = trial;
  const { reader } = known;
  for (let polls = 0, progress = true; progress; polls++) {
    must(polls < 100, () => `${known.name} never comes to the end`);
    const { next } = known;
    try {
      const count = reader.poll((bytes, start, end, type) => {
        checkHandled(trial, known, bytes, start, end, type);
        must(reader.ended === false, () => `${known.name} has ended before its last record is read`);
      });
      noteSkipped(trial, known);
      progress = count > 0 || known.next > next;
    } catch (error) {
      checkFault(trial, known, error);
    }
  }
  must(known.next === model.records.length, () => `${known.name} ends at ${known.next}`);
  must(reader.ended === isEnd, () => `${known.name} has ended: ${reader.ended} instead of ${isEnd}`);
  checkStats(known);
  reader.close();
}

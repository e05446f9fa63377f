import { grantingSteps } from './granting.js';
import { resumption } from './resumption.js';
import { choose, ORDERED, PLAIN, store, when } from './steps.js';
import { wakingSteps } from './waking.js';
import { bodyAt, bodyOf, lengthAt, REGISTRATION, ROOM_SEQUENCE, secondBodyOf, TAIL } from './words.js';

/** Registers of a writer. RECORD is the first: how many records it has written. */
export const RECORD = 0;
export const AT = 1;
export const GRANTED = 2;
/** The limit word as this writer stored or found it, and the tail likewise. */
export const LIMIT_WORD = 3;
export const PUBLISHED = 4;
export const LIFE = 5;
export const WANT = 6;
export const SEQUENCE = 7;
/** The sequence at which the slots were listed, and which of them were gating. All sequences are kept as 1 more than seen. */
export const LISTED = 8;
export const GATING_SLOTS = 9;
export const SLOT = 10;
export const LEAST = 11;
export const TO_GRANT = 12;
/** How much of the batch is filled, in frames and units. */
const FILLED = 13;
const FILLED_UNITS = 14;
export const AFTER_WAKING = 15;
export const WHO = 16;
/** Of a writer that sleeps for room: the sequence that it saw, and whether it has raised its flag. */
export const ROOM_SEEN = 17;
export const ARMED = 18;
/** Which reader in the way is dealt with, and the state word that its slot had. */
export const RELIEVED = 19;
export const STATE_SEEN = 23;
/** Of arming.js. */
export const ARMED_AT = 20;
export const NOW = 21;
export const FENCED = 22;

/** What follows a wake, in AFTER_WAKING. */
export const NEXT_RECORD = 0;
export const ASK_AGAIN = 1;
/** Only of a defect. */
const COMMIT = 2;

/**
 * The writer of a ring. `scenario.records` are the lengths of its records in units, by life; a record is an array where
 * it is a batch. Of the 64 bytes that are kept free behind each record the model has one unit.
 */
export function writerProgram(scenario, machine) {
  const { units, defects } = scenario;
  const unit = (position) => position % units;
  const batches = scenario.records.map((life) => life.map((record) => [record].flat()));
  const batchOf = (r) => batches[r[LIFE]][r[RECORD]];
  const lapLeft = (position) => units - unit(position);
  const sum = (lengths) => lengths.reduce((total, length) => total + length, 0);

  // appender.ts #place, #grantedBytes: whether the next record fits, and if not why.
  const next = (r) => {
    const records = scenario.records[r[LIFE]];
    if (r[RECORD] === records.length) return 'done';
    if (unit(r[AT]) === 0 && r[PUBLISHED] !== r[AT] && !defects.has('tail not published'))
      return 'publish lap';
    const need = sum(batchOf(r));
    const pad = need > lapLeft(r[AT]) ? lapLeft(r[AT]) : 0;
    r[WANT] = r[AT] + pad + need + (defects.has('no room for the 0 behind') ? 0 : 1);
    if (r[WANT] > r[GRANTED]) {
      return r[PUBLISHED] === r[AT] || defects.has('tail not published') ? 'load sequence' : 'publish';
    }
    r[WANT] = 0;
    return pad > 0 ? 'pad body' : fillNext(r);
  };
  const fillNext = (r) => (batchOf(r)[r[FILLED]] === 2 ? 'second length' : 'body');
  const filling = (r) => r[AT] + r[FILLED_UNITS];
  const lengthOf = (r) => batchOf(r)[r[FILLED]];
  const isBatch = (r) => batchOf(r).length > 1;

  const afterBehind = (r) => {
    if (!isBatch(r)) {
      if (defects.has('tail before the commit')) return 'publish early';
      if (!defects.has('bits looked at before the commit')) return 'commit';
      r[AFTER_WAKING] = COMMIT;
      return waking.first;
    }
    if (r[FILLED] > 0) return 'inner length';
    return defects.has('first of a batch committed first') ? 'commit first' : filled(r);
  };
  const filled = (r) => {
    r[FILLED_UNITS] += lengthOf(r);
    r[FILLED]++;
    if (r[FILLED] < batchOf(r).length) return fillNext(r);
    if (defects.has('first of a batch committed first')) return committed(r);
    return defects.has('tail within a batch') ? 'publish early' : 'commit';
  };
  const committed = (r) => {
    for (const length of batchOf(r)) {
      machine.commitFrame(r[AT], length, bodyOf(r[AT], r[LIFE], false));
      r[AT] += length;
    }
    r[RECORD]++;
    r[FILLED] = r[FILLED_UNITS] = 0;
    r[AFTER_WAKING] = NEXT_RECORD;
    return scenario.waking && !defects.has('bits looked at before the commit') ? waking.first : goOn(r);
  };
  /** appender.ts #commit: publishes if it is due, which may be behind each record. */
  const goOn = (r) =>
    scenario.publishes && r[PUBLISHED] !== r[AT] && !defects.has('tail before the commit')
      ? 'publish'
      : next(r);

  const granting = grantingSteps(scenario, machine, next);
  const waking = wakingSteps(scenario, (r) => {
    if (r[AFTER_WAKING] === COMMIT) return 'commit';
    return r[AFTER_WAKING] === ASK_AGAIN ? granting.askAgain(r) : goOn(r);
  });
  const commitOrder = defects.has('commit plain') ? PLAIN : ORDERED;
  const steps = {
    'publish lap': store(
      'appender.ts #wrap: publisher.ts publish, step 61',
      ORDERED,
      TAIL,
      (r) => r[AT],
      published,
    ),
    publish: store(
      'appender.ts #place, #commit: publisher.ts publish, step 61',
      defects.has('tail plain') ? PLAIN : ORDERED,
      TAIL,
      (r) => r[AT],
      published,
    ),
    'publish early': store(
      'a defect',
      ORDERED,
      TAIL,
      (r) => filling(r) + (isBatch(r) ? 0 : lengthOf(r)),
      (r, tail) => {
        r[PUBLISHED] = tail;
        return 'commit';
      },
    ),
    // PAD.
    'pad body': store(
      'appender.ts #padLap: header',
      PLAIN,
      (r) => bodyAt(unit(r[AT])),
      (r) => bodyOf(r[AT], r[LIFE], true),
      defects.has('no 0 behind a PAD') ? 'pad length' : 'pad behind',
    ),
    'pad behind': store(
      'appender.ts #padLap: 0 at the start of the data',
      PLAIN,
      lengthAt(0),
      0,
      'pad length',
    ),
    'pad length': store(
      'appender.ts #padLap, step 5',
      commitOrder,
      (r) => lengthAt(unit(r[AT])),
      (r) => lapLeft(r[AT]),
      (r, length) => {
        machine.commitFrame(r[AT], length, bodyOf(r[AT], r[LIFE], true));
        r[AT] += length;
        return next(r);
      },
    ),

    // A record, or the records of a batch.
    'second length': store(
      'appender.ts append: payload, where an earlier lap may have had a length',
      PLAIN,
      (r) => lengthAt(unit(filling(r) + 1)),
      1,
      'second body',
    ),
    'second body': store(
      'appender.ts append: payload',
      PLAIN,
      (r) => bodyAt(unit(filling(r) + 1)),
      (r) => secondBodyOf(filling(r), r[LIFE]),
      'body',
    ),
    body: store(
      'appender.ts append, #fill: payload and header',
      PLAIN,
      (r) => bodyAt(unit(filling(r))),
      (r) => bodyOf(filling(r), r[LIFE], false),
      (r) => (defects.has('no 0 behind') ? afterBehind(r) : 'behind'),
    ),
    behind: store(
      'appender.ts #fill, step 60',
      PLAIN,
      (r) => lengthAt(unit(filling(r) + lengthOf(r))),
      0,
      afterBehind,
    ),
    'inner length': store(
      'appender.ts #fillBatch, step 62',
      PLAIN,
      (r) => lengthAt(unit(filling(r))),
      lengthOf,
      filled,
    ),
    'commit first': store(
      'a defect: before the others are filled',
      ORDERED,
      (r) => lengthAt(unit(r[AT])),
      lengthOf,
      filled,
    ),
    commit: store(
      'appender.ts #commit, step 1; of a batch: appendBatch, step 7',
      commitOrder,
      (r) => lengthAt(unit(r[AT])),
      (r) => batchOf(r)[0],
      committed,
    ),
    ...waking.steps,
    ...granting.steps,

    ...resumption(scenario, machine, next),
    done: when('all is written, and the writer lives', () => false, 'done'),
  };
  const sequences = [
    [SEQUENCE, REGISTRATION],
    [LISTED, REGISTRATION],
    [ROOM_SEEN, ROOM_SEQUENCE],
    [ARMED_AT, ROOM_SEQUENCE],
    [NOW, ROOM_SEQUENCE],
  ];
  return {
    first: 'start',
    positionOf: (r) => r[AT],
    sequences,
    steps: { start: choose('', 1, next), ...steps },
  };

  function published(r) {
    r[PUBLISHED] = r[AT];
    return next(r);
  }
}

import { joiningSteps } from './joining.js';
import { waitingSteps } from './sleeping.js';
import { ATOMIC, choose, fence, load, ORDERED, PLAIN, store } from './steps.js';
import { roomSteps } from './waking.js';
import {
  bodyAt,
  EVICTED,
  isPad,
  isStampedFor,
  LIMIT,
  lengthAt,
  secondBodyOf,
  slotPosition,
  slotState,
  stateOf,
  TAIL,
  WAKE_SEQUENCE,
} from './words.js';

/** Registers of a reader. */
export const POSITION = 0;
export const PUBLISHED = 1;
const KNOWN_TAIL = 2;
const SPAN = 3;
const COPIED = 4;
/** Of a frame that the end of the last region cut: its length. */
const NEED = 5;
/** What the guard is asked for. */
const DOUBT = 6;
export const WAKE_SEEN = 7;
const LAND_LIMIT = 8;
const LANDED_FOR = 9;
const LENGTH = 10;
const REJOINED = 11;
const HANDED = 12;
const COPY = 14;
/** Of arming.js. */
export const ARMED = 18;
export const NOW = 19;
export const FENCED = 20;
/** What the writer owes it, unless it has evicted it: REGISTERED, its slot; JOINED, not to pass it either. */
export const HELD = 22;
export const REGISTERED = 1;
export const JOINED = 2;
/** A region is at most so many units, but for a frame that needs more. */
const CHUNK = 2;

const A_COPY = 0;
const NOTHING = 1;
const BROKEN = 2;
const AFTER_SLEEP_CHECK = 3;

const OVERTAKEN = 1;
const JOINING = 2;
const AGAIN = 3;

/**
 * One reader, `kind` 'gating', in place or, where it is `evictable`, by guarded copies; or 'observing', by guarded copies too.
 * `publishEvery`: after so many units it publishes its position within a poll.
 */
export function readerProgram(scenario, machine, number) {
  const { units, defects } = scenario;
  const reader = scenario.readers[number];
  const { kind, evictable, comes, late, leavesAfter, publishEvery = 1, rejoins = 0 } = reader;
  const slot = machine.slots.of(number);
  const observing = kind === 'observing';
  const guarded = observing || evictable === true;
  const unit = (position) => position % units;
  const lapLeft = (r) => units - unit(r[POSITION]);
  const unpublished = (r) => r[POSITION] - r[PUBLISHED];

  // cursor.ts #look
  const look = (r) => {
    r[WAKE_SEEN] = 0;
    if (leavesAfter !== undefined && r[HANDED] >= leavesAfter) return joining.leave(r);
    if (!observing && unpublished(r) >= publishEvery) return 'publish';
    return r[KNOWN_TAIL] > r[POSITION] && r[KNOWN_TAIL] - r[POSITION] >= r[NEED] ? region(r) : 'tail';
  };
  const region = (r) => {
    const known = r[KNOWN_TAIL] - r[POSITION];
    if (r[KNOWN_TAIL] <= r[POSITION]) {
      r[KNOWN_TAIL] = r[POSITION];
      return 'length';
    }
    const committed = known > units ? lapLeft(r) : Math.min(known, lapLeft(r));
    if (r[NEED] > committed) return doubt(r, BROKEN);
    r[SPAN] = Math.min(committed, Math.max(r[NEED], CHUNK));
    return guarded ? 'copy' : 'frame length';
  };
  const doubt = (r, what) => {
    clearCopy(r);
    r[DOUBT] = what;
    if (!guarded) return judged(r);
    if (what === NOTHING && defects.has('nothing yet unchecked')) return judged(r);
    if (defects.has('copy unchecked') && what === A_COPY) return judged(r);
    return guardFirst;
  };
  const fenceless = machine.isSequential || defects.has('check without fence');
  const guardFirst = fenceless ? 'check' : 'fence';
  const clearCopy = (r) => {
    r[NEED] = r[SPAN] = r[COPIED] = r[LENGTH] = 0;
    r.fill(0, COPY, COPY + 2 * CHUNK);
  };
  /** The guard says that all of it is as it was committed, or there is no guard. */
  const judged = (r) => {
    const what = r[DOUBT];
    r[DOUBT] = A_COPY;
    if (what === A_COPY) return walkCopy(r);
    if (what === BROKEN) return machine.fail(`finds the channel damaged at ${r[POSITION]}`);
    if (what === AFTER_SLEEP_CHECK) return waiting.afterGuard(r);
    if (observing || unpublished(r) === 0 || defects.has('position not published before waiting')) {
      return waiting.first(r);
    }
    return 'publish and wait';
  };

  // cursor.ts poll and #passUnusual, over the frames of a copy.
  const walkCopy = (r) => {
    let at = 0;
    let need = 0;
    while (at < r[SPAN] && machine.violation === undefined) {
      const length = r[COPY + 2 * at];
      const body = r[COPY + 2 * at + 1];
      if (length === 0 || length > lapLeft(r) || !isStampedFor(body, r[POSITION])) {
        return machine.fail(`finds the channel damaged at ${r[POSITION]}`);
      }
      if (at + length > r[SPAN] && !isPad(body)) {
        need = length;
        break;
      }
      hand(r, length, body, length === 2 ? r[COPY + 2 * at + 3] : 0);
      at += length;
    }
    clearCopy(r);
    r[NEED] = need;
    return look(r);
  };
  const hand = (r, length, body, second) => {
    if (machine.judge(r[POSITION], length, body) !== undefined) return;
    if (
      length === 2 &&
      !isPad(body) &&
      second !== secondBodyOf(r[POSITION], machine.isResumed(r[POSITION]) ? 1 : 0)
    ) {
      machine.fail(`hands out foreign bytes for the record at ${r[POSITION]}`);
    }
    r[POSITION] += length;
    if (leavesAfter !== undefined && !isPad(body)) r[HANDED]++;
  };
  /** In place: cursor.ts poll over the mapping itself. */
  const handFrame = (r, body, second) => {
    const length = r[LENGTH];
    hand(r, length, body, second);
    r[LENGTH] = 0;
    r[SPAN] = Math.max(0, r[SPAN] - length);
    return r[SPAN] > 0 ? 'frame length' : look(r);
  };
  const expected = (r) => (scenario.lateLoads ? bodyExpected(r) : undefined);
  const bodyExpected = (r) =>
    machine.lengthOf(r[POSITION]) === 2 && r[LENGTH] === 2
      ? secondBodyOf(r[POSITION], machine.isResumed(r[POSITION]) ? 1 : 0)
      : undefined;

  // guard.ts lost, reader.ts #land, seek.ts #bounds and oldest
  const land = (r, why) => {
    clearCopy(r);
    r[LANDED_FOR] = why;
    return defects.has('tail loaded before limit') ? 'land: early tail' : 'land: limit';
  };
  /** What still stands is [limit - capacity, tail). */
  const bounded = (r, tail) => {
    if (r[LAND_LIMIT] - tail > units) {
      return machine.fail(`finds no place that stands: limit ${r[LAND_LIMIT]}, tail ${tail}`);
    }
    if (r[LAND_LIMIT] <= units) return landed(r, 0);
    r[KNOWN_TAIL] = tail;
    return 'land: mark';
  };
  const landed = (r, place) => {
    const why = r[LANDED_FOR];
    r[LAND_LIMIT] = r[LANDED_FOR] = r[DOUBT] = 0;
    if (why === OVERTAKEN && place <= r[POSITION])
      return machine.fail(`is overtaken, and sent back to ${place}`);
    r[POSITION] = r[KNOWN_TAIL] = r[PUBLISHED] = place;
    if (why === OVERTAKEN) return look(r);
    return why === JOINING ? 'join: position' : 'join: moved';
  };
  const evicted = (r) => {
    clearCopy(r);
    r[DOUBT] = 0;
    if (r[REJOINED] >= rejoins) return leavesAfter === undefined ? 'done' : joining.leave(r);
    r[REJOINED]++;
    return land(r, JOINING);
  };
  const isOvertaken = (r, limit) => limit - r[POSITION] > units;
  const check = observing
    ? load('guard.ts OvertakenGuard', ATOMIC, LIMIT, (r, limit) =>
        isOvertaken(r, limit) ? land(r, OVERTAKEN) : judged(r),
      )
    : load('guard.ts EvictedGuard', ATOMIC, slotState(slot), (r, state) =>
        stateOf(state) === EVICTED ? evicted(r) : judged(r),
      );

  const waiting = waitingSteps(scenario, machine, {
    slot,
    sleeps: reader.sleeps,
    observing,
    guarded,
    look,
    isOvertaken,
    land: (r) => land(r, OVERTAKEN),
    evicted,
  });
  const publish = (then) => ({
    ...store(
      'cursor.ts publishAgain, step 23',
      positionOrder(scenario),
      slotPosition(slot),
      (r) => r[POSITION],
      (r) => {
        r[PUBLISHED] = r[POSITION];
        if (scenario.room === undefined) return then(r);
        r[LANDED_FOR] = then === look ? 0 : 1;
        return room.first;
      },
    ),
  });
  const afterRoom = (r) => {
    const waits = r[LANDED_FOR] === 1;
    r[LANDED_FOR] = 0;
    if (r[HANDED] === 255) return 'leave: unlock';
    return waits ? waiting.first(r) : look(r);
  };

  const joined = (r) =>
    scenario.room === undefined || defects.has('who joins wakes nobody') ? look(r) : 'room: fence';
  const room = roomSteps(scenario, afterRoom);
  const joining = joiningSteps(scenario, machine, {
    ...reader,
    slot,
    land: (r) => land(r, JOINING),
    landAgain: (r) => land(r, AGAIN),
    isOvertaken,
    joined,
    afterLeaving,
  });

  const steps = {
    tail: load('cursor.ts #look', ORDERED, TAIL, (r, tail) => {
      r[KNOWN_TAIL] = Math.max(tail, r[POSITION]);
      return region(r);
    }),
    length: load(
      'cursor.ts #lookAtLength',
      lengthOrder(scenario),
      (r) => lengthAt(unit(r[POSITION])),
      (r, length) => {
        if (length === 0) return doubt(r, NOTHING);
        if (length > lapLeft(r)) return doubt(r, BROKEN);
        r[SPAN] = Math.min(length, CHUNK);
        return guarded ? 'copy' : 'frame length';
      },
    ),

    // In place.
    'frame length': load(
      'cursor.ts poll',
      PLAIN,
      (r) => lengthAt(unit(r[POSITION])),
      (r, length) => {
        if (length === 0 || length > lapLeft(r)) return doubt(r, BROKEN);
        r[LENGTH] = length;
        return 'frame body';
      },
    ),
    'frame body': load(
      'cursor.ts poll, and the handler',
      PLAIN,
      (r) => bodyAt(unit(r[POSITION])),
      (r, body) => {
        if (!isStampedFor(body, r[POSITION])) return doubt(r, BROKEN);
        if (r[LENGTH] !== 2 || isPad(body)) return handFrame(r, body, 0);
        r[COPY] = body;
        return 'frame payload';
      },
    ),
    'frame payload': {
      ...load(
        'the handler',
        PLAIN,
        (r) => bodyAt(unit(r[POSITION] + 1)),
        (r, second) => {
          const body = r[COPY];
          r[COPY] = 0;
          return handFrame(r, body, second);
        },
      ),
      late: expected,
    },

    // By a guarded copy.
    copy: load(
      'cursor.ts #copyRegion',
      PLAIN,
      (r) => (r[COPIED] % 2 === 0 ? lengthAt : bodyAt)(unit(r[POSITION] + (r[COPIED] >> 1))),
      (r, word) => {
        r[COPY + r[COPIED]] = word;
        r[COPIED]++;
        if (r[COPIED] < 2 * r[SPAN]) return 'copy';
        r[COPIED] = 0;
        if (defects.has('copy unchecked')) return judged(r);
        return guardFirst;
      },
    ),
    fence: fence('guard.ts fence', 'check'),
    check,

    publish: publish(look),
    'publish and wait': publish(waiting.first),
    ...room.steps,
    ...waiting.steps,

    // A place that still stands.
    'land: limit': load('seek.ts #bounds', ATOMIC, LIMIT, (r, limit) => {
      r[LAND_LIMIT] = limit;
      return defects.has('tail loaded before limit') ? bounded(r, r[KNOWN_TAIL]) : 'land: tail';
    }),
    'land: tail': load('seek.ts #bounds', ATOMIC, TAIL, bounded),
    'land: early tail': load('a defect', ATOMIC, TAIL, (r, tail) => {
      r[KNOWN_TAIL] = tail;
      return 'land: limit';
    }),
    'land: mark': choose(
      'seek.ts oldest: the oldest mark that stands, or none does',
      (r) => (machine.oldestFrame(r[LAND_LIMIT] - units, r[KNOWN_TAIL]) === undefined ? 1 : 2),
      (r, way) =>
        landed(r, way === 0 ? r[KNOWN_TAIL] : machine.oldestFrame(r[LAND_LIMIT] - units, r[KNOWN_TAIL])),
    ),

    ...joining.steps,
    start: choose('', 1, (r) => {
      if (comes) return joining.first;
      return late ? land(r, JOINING) : look(r);
    }),
    done: choose('', 0, () => 'done'),
  };
  const sequences = [
    [WAKE_SEEN, WAKE_SEQUENCE],
    [ARMED, WAKE_SEQUENCE],
    [NOW, WAKE_SEQUENCE],
  ];
  function afterLeaving(r) {
    if (scenario.room === undefined || defects.has('who leaves wakes nobody')) return 'leave: unlock';
    r[HANDED] = 255;
    return 'room: look';
  }
  const begin = (r, from) => {
    r[POSITION] = r[PUBLISHED] = r[KNOWN_TAIL] = from;
    r[HELD] = observing || late || comes ? 0 : JOINED;
  };
  return { first: 'start', begin, positionOf: (r) => r[POSITION], sequences, steps };
}

function positionOrder({ defects }) {
  return defects.has('position plain') ? PLAIN : ORDERED;
}

function lengthOrder({ defects }) {
  return defects.has('length plain') ? PLAIN : ORDERED;
}

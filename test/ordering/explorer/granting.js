import { armingSteps } from './arming.js';
import { relievingSteps } from './relieving.js';
import { ATOMIC, act, load, ORDERED, PLAIN, store, when } from './steps.js';
import {
  BELL,
  GATING,
  LIMIT,
  REGISTRATION,
  ROOM_SEQUENCE,
  ROOM_WANTED,
  slotPosition,
  slotState,
  stateOf,
} from './words.js';
import {
  AFTER_WAKING,
  ARMED,
  ARMED_AT,
  ASK_AGAIN,
  AT,
  FENCED,
  GATING_SLOTS,
  GRANTED,
  LEAST,
  LIMIT_WORD,
  LISTED,
  NOW,
  ROOM_SEEN,
  SEQUENCE,
  SLOT,
  TO_GRANT,
  WANT,
} from './writer.js';

/**
 * The writer's slow path, from `load sequence` on, where WANT is more than was granted: it counts its readers, raises limit,
 * and looks whether readers came meanwhile; or it does something about who stands in the way, or waits. `onGranted` follows.
 */
export function grantingSteps(scenario, machine, onGranted) {
  const { units, readers, defects } = scenario;
  const slots = machine.slots.all.length;

  // flow.ts grant, #greatestLag: where the last of the gating readers stands.
  const nextPosition = (r) => {
    while (r[SLOT] < slots && (r[GATING_SLOTS] & (1 << r[SLOT])) === 0) r[SLOT]++;
    if (r[SLOT] < slots) return 'load position';
    r[SLOT] = 0;
    // In units from the place on: without gating readers, its own place is the floor.
    const floor = r[GATING_SLOTS] === 0 ? r[AT] : Math.min(r[AT], r[LEAST]);
    r[LEAST] = 0;
    const granted = Math.min(floor + units, r[WANT] + scenario.step);
    if (granted < r[WANT]) {
      r[SEQUENCE] = 0;
      return relieving.refused(r);
    }
    r[TO_GRANT] = granted;
    return 'raise limit';
  };
  const grant = (r) => {
    machine.slots.judgeGrant(r[TO_GRANT]);
    r[GRANTED] = r[TO_GRANT];
    r[TO_GRANT] = r[SEQUENCE] = r[ARMED] = r[ROOM_SEEN] = 0;
    return onGranted(r);
  };
  const isInTheWay = (r, slot) =>
    (r[GATING_SLOTS] & (1 << slot)) !== 0 && machine.state[slotPosition(slot)] + units < r[WANT];
  /** flow.ts #relieve: one that is in the way is GATING no more, also where nobody raised the sequence. */
  const hasLetGo = (r) =>
    machine.state[REGISTRATION] + 1 !== r[LISTED] ||
    (!defects.has('states not looked at') &&
      machine.slots.all.some((slot) => isInTheWay(r, slot) && machine.slots.stateOf(slot) !== GATING));
  const isDeadInTheWay = (r) =>
    !defects.has('nobody is freed') &&
    machine.slots.all.some(
      (slot) =>
        isInTheWay(r, slot) && machine.slots.stateOf(slot) === GATING && !machine.slots.isLocked(slot),
    );
  const waitForRoom = (r) => {
    if (scenario.room === undefined) return 'wait for room';
    if (r[ARMED] === 0) {
      // sleeper.ts listen: before it makes known that it sleeps.
      if (scenario.room === BELL) machine.listen(0);
      return scenario.room === BELL ? arming.first : 'room: sequence';
    }
    r[ARMED] = 0;
    return 'room: sleep';
  };
  const askAgain = (r) => {
    r[AFTER_WAKING] = 0;
    return 'load sequence';
  };
  const limitOrder = defects.has('limit plain')
    ? PLAIN
    : defects.has('limit without fence')
      ? ORDERED
      : ATOMIC;

  const arming = armingSteps(scenario, 'room', {
    sleepers: ROOM_WANTED,
    sequence: ROOM_SEQUENCE,
    kind: scenario.room,
    wakers: readers.map((_, slot) => slot + 1),
    registers: { ARMED: ARMED_AT, NOW, FENCED },
    onArmed: (r) => {
      r[ARMED] = 1;
      return 'load sequence';
    },
  });
  const relieving = relievingSteps(scenario, machine, { isInTheWay, waitForRoom, evicted });
  const steps = {
    'load sequence': load('flow.ts grant', ATOMIC, REGISTRATION, (r, sequence) => {
      r[SEQUENCE] = sequence + 1;
      r[LEAST] = 255;
      r[SLOT] = 0;
      if (r[LISTED] === sequence + 1) return nextPosition(r);
      r[LISTED] = sequence + 1;
      r[GATING_SLOTS] = 0;
      return slots === 0 ? nextPosition(r) : 'list';
    }),
    list: load(
      'flow.ts #list',
      ATOMIC,
      (r) => slotState(r[SLOT]),
      (r, state) => {
        if (stateOf(state) === GATING) r[GATING_SLOTS] |= 1 << r[SLOT];
        r[SLOT]++;
        if (r[SLOT] < slots) return 'list';
        r[SLOT] = 0;
        return nextPosition(r);
      },
    ),
    'load position': load(
      'flow.ts #greatestLag',
      ATOMIC,
      (r) => slotPosition(r[SLOT]),
      (r, position) => {
        r[LEAST] = Math.min(r[LEAST], position);
        r[SLOT]++;
        return nextPosition(r);
      },
    ),
    'raise limit': store('flow.ts #raiseLimit, step 30', limitOrder, LIMIT, raised, (r, limit) => {
      r[LIMIT_WORD] = limit;
      return defects.has('sequence not looked at again') ? grant(r) : 'look at sequence again';
    }),
    'look at sequence again': load('flow.ts grant, step 31', ATOMIC, REGISTRATION, (r, sequence) =>
      sequence + 1 === r[SEQUENCE] ? grant(r) : 'load sequence',
    ),
    'wait for room': when(
      'writer.ts ready: the writer looks again and again',
      (r) => hasLetGo(r) || isDeadInTheWay(r) || !machine.slots.all.some((slot) => isInTheWay(r, slot)),
      (r) => {
        if (hasLetGo(r)) r[LISTED] = 0;
        return 'load sequence';
      },
    ),

    ...relieving.steps,

    // Asleep for want of room.
    'room: sequence': load('sleeper.ts block', ATOMIC, ROOM_SEQUENCE, (r, sequence) => {
      r[ROOM_SEEN] = sequence + 1;
      return defects.has('room sequence loaded last') ? 'room: sleep' : arming.first;
    }),
    ...arming.steps,
    'room: sleep': act('sleeper.ts block', (_machine, thread, r) => {
      if (scenario.room === BELL) return machine.heard(thread) ? 'load sequence' : undefined;
      if (machine.state[ROOM_SEQUENCE] + 1 !== r[ROOM_SEEN]) return woken(r);
      machine.fallAsleep(thread);
      return 'room: asleep';
    }),
    'room: asleep': act('sleeper.ts block', (_machine, thread, r) =>
      machine.isAsleep(thread) ? undefined : woken(r),
    ),
  };
  return { steps, askAgain };

  function woken(r) {
    r[ROOM_SEEN] = 0;
    return 'load sequence';
  }

  function evicted(r) {
    r[AFTER_WAKING] = ASK_AGAIN;
    return scenario.waking && !defects.has('eviction wakes nobody') ? 'wake: look' : askAgain(r);
  }

  /** flow.ts #raiseLimit: the word never goes down. */
  function raised(r) {
    return Math.max(r[TO_GRANT], r[LIMIT_WORD]);
  }
}

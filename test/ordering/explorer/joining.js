import { WRITER } from './machine.js';
import { HELD, JOINED, POSITION, REGISTERED } from './reader.js';
import { ATOMIC, act, change, load, ORDERED, PLAIN, store } from './steps.js';
import {
  CLAIMING,
  EVICTED,
  FREE,
  GATING,
  LIMIT,
  nextState,
  REGISTRATION,
  slotPatience,
  slotPosition,
  slotState,
  stateOf,
} from './words.js';

/**
 * How a reader comes to a slot and goes again: takes the one whose lock it gets, whatever state that was left in; registers in
 * it, also again after it was evicted; leaves it, or dies in it. Who gets no lock tries again and again.
 */
export function joiningSteps(scenario, machine, reader) {
  const { slot, evictable, comesBack, land, landAgain, isOvertaken, joined, afterLeaving } = reader;
  const { defects } = scenario;
  const fillsBeforeLock = defects.has('filled in before the lock');
  const fillsLast = defects.has('filled in when registered');
  const unlocksFirst = defects.has('unlocked before it is free');
  const first = fillsBeforeLock ? 'claim: patience' : 'claim: lock';
  const filled = (r) => {
    if (fillsBeforeLock) return 'claim: lock';
    return fillsLast ? 'join: sequence' : land(r);
  };
  const claimed = (r) => (fillsBeforeLock || fillsLast ? land(r) : 'claim: patience');
  const registered = (r) => {
    r[HELD] = REGISTERED;
    if (defects.has('registration without fence')) return 'join: sequence stored';
    return fillsLast ? 'claim: patience' : 'join: sequence';
  };

  const steps = {
    'claim: lock': act('table.ts lockSlot, step 24', (_machine, thread, r) => {
      const { slots } = machine;
      if (slots.isLockedBy(WRITER, slot)) return machine.fail('is refused a slot that no living reader has');
      const isGivenAway = defects.has('slot of the evicted given away') && slots.stateOf(slot) === EVICTED;
      if (!slots.tryLock(thread, slot) && !isGivenAway) return undefined;
      return defects.has('taken as it was left') ? claimed(r) : 'claim: state';
    }),
    'claim: state': change(
      'table.ts takeSlot: changeSlot, step 25',
      slotState(slot),
      (word) => nextState(word, CLAIMING),
      (r, word) =>
        stateOf(word) === GATING && !defects.has('the end of a hold not counted')
          ? 'claim: count'
          : claimed(r),
    ),
    'claim: count': change(
      'table.ts takeSlot, behind step 25',
      REGISTRATION,
      (sequence) => sequence + 1,
      claimed,
    ),
    'claim: patience': store(
      'table.ts takeSlot',
      PLAIN,
      slotPatience(slot),
      evictable === true ? 1 : 0,
      filled,
    ),

    'join: position': store(
      'registration.ts gateFrom',
      ATOMIC,
      slotPosition(slot),
      (r) => r[POSITION],
      'join: state',
    ),
    'join: state': change(
      'registration.ts gateFrom: table.ts changeSlot',
      slotState(slot),
      (word) => (stateOf(word) === GATING ? word : nextState(word, GATING)),
      registered,
    ),
    'join: sequence stored': store(
      'a defect',
      ORDERED,
      REGISTRATION,
      () => machine.state[REGISTRATION] + 1,
      'join: limit',
    ),
    'join: sequence': change(
      'registration.ts gateFrom, step 20',
      REGISTRATION,
      (sequence) => sequence + 1,
      (r) => (defects.has('limit ignored by who joins') ? stands(r) : 'join: limit'),
    ),
    'join: limit': load('registration.ts gateFrom, step 21', ATOMIC, LIMIT, (r, limit) =>
      isOvertaken(r, limit) ? landAgain(r) : stands(r),
    ),
    'join: moved': store(
      'registration.ts gateFrom',
      ATOMIC,
      slotPosition(slot),
      (r) => r[POSITION],
      'join: limit',
    ),

    'leave: state': change(
      'table.ts releaseSlot, step 27',
      slotState(slot),
      (word) => nextState(word, FREE),
      (r) => (defects.has('who leaves does not raise the sequence') ? afterLeaving(r) : 'leave: sequence'),
    ),
    'leave: sequence': change(
      'table.ts releaseSlot, step 28',
      REGISTRATION,
      (sequence) => sequence + 1,
      (r) => (unlocksFirst ? 'done' : afterLeaving(r)),
    ),
    'leave: unlock': act('table.ts releaseSlot', (_machine, thread) => {
      machine.slots.unlock(thread, slot);
      return unlocksFirst ? 'leave: state' : 'done';
    }),
    dies: act('the kernel drops the lock', (_machine, thread) => {
      machine.slots.unlock(thread, slot);
      return comesBack === true ? first : 'done';
    }),
  };
  return { first, leave, steps };

  function leave(r) {
    r[HELD] = 0;
    return unlocksFirst ? 'leave: unlock' : 'leave: state';
  }

  function stands(r) {
    // Unless it was evicted meanwhile.
    if (r[HELD] === REGISTERED) r[HELD] = JOINED;
    return joined(r);
  }
}

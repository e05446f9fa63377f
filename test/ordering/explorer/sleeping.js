import { armingSteps } from './arming.js';
import { ARMED, FENCED, NOW, POSITION, WAKE_SEEN } from './reader.js';
import { ATOMIC, act, change, load, when } from './steps.js';
import { BELL, EVICTED, LIMIT, lengthAt, slotState, stateOf, WAITERS, WAKE_SEQUENCE } from './words.js';

/**
 * How a reader waits that found nothing: `sleeps` undefined, it looks again and again; FUTEX, a thread of its own sleeps in
 * the kernel; BELL, an event loop goes on to other things until somebody rings.
 */
export function waitingSteps(scenario, machine, reader) {
  const { units, defects } = scenario;
  const { slot, sleeps, observing, guarded, look, isOvertaken, land, evicted } = reader;
  const isFutex = sleeps !== BELL;
  const isCount = defects.has('waiters a count');
  const sequenceLast = defects.has('wake sequence loaded after the flag');
  const recheck = () => (defects.has('no look before sleeping') ? 'park: sleep' : 'park: look');
  const lookAgain = (r) => {
    r[WAKE_SEEN] = 0;
    return isCount ? 'park: count down' : look(r);
  };

  const arming = armingSteps(scenario, 'park', {
    sleepers: WAITERS,
    sequence: WAKE_SEQUENCE,
    kind: sleeps,
    wakers: [0],
    registers: { ARMED, NOW, FENCED },
    onArmed: () => (isFutex && sequenceLast ? 'park: sequence' : recheck()),
  });
  const steps = {
    'look again': when(
      'a reader that looks again and again',
      (r, state) =>
        state[lengthAt(r[POSITION] % units)] !== 0 ||
        (guarded && !defects.has('nothing yet unchecked') && isLost(r, state)),
      look,
    ),
    'park: listen': act('sleeper.ts', (_machine, thread) => {
      machine.listen(thread);
      return defects.has('listens after the look') ? 'park: sleep' : arming.first;
    }),
    'park: sequence': load('sleeper.ts', ATOMIC, WAKE_SEQUENCE, (r, sequence) => {
      r[WAKE_SEEN] = sequence + 1;
      return sequenceLast ? recheck() : arming.first;
    }),
    ...arming.steps,
    'park: look': load(
      'sleeper.ts',
      ATOMIC,
      (r) => lengthAt(r[POSITION] % units),
      (r, length) => {
        if (length !== 0) return lookAgain(r);
        return guarded && !defects.has('no guard before sleeping') ? 'park: guard' : lastly();
      },
    ),
    'park: guard': observing
      ? load('sleeper.ts', ATOMIC, LIMIT, (r, limit) => (isOvertaken(r, limit) ? land(r) : lastly()))
      : load('sleeper.ts', ATOMIC, slotState(slot), (r, state) =>
          stateOf(state) === EVICTED ? evicted(r) : lastly(),
        ),
    'park: sleep': act('sleeper.ts', (_machine, thread, r) => {
      if (!isFutex) return machine.heard(thread) ? lookAgain(r) : undefined;
      if (machine.state[WAKE_SEQUENCE] + 1 !== r[WAKE_SEEN]) return lookAgain(r);
      r[WAKE_SEEN] = 0;
      machine.fallAsleep(thread);
      return 'asleep';
    }),
    asleep: act('sleeper.ts', (_machine, thread, r) => (machine.isAsleep(thread) ? undefined : lookAgain(r))),
    'park: count down': change('a defect', WAITERS, (count) => count - 1, look),
  };
  const lastly = () => (defects.has('listens after the look') && !isFutex ? 'park: listen' : 'park: sleep');
  const first = () => {
    if (sleeps === undefined) return 'look again';
    if (!isFutex) return defects.has('listens after the look') ? arming.first : 'park: listen';
    return sequenceLast ? arming.first : 'park: sequence';
  };
  return { steps, first };

  function isLost(r, state) {
    return observing ? isOvertaken(r, state[LIMIT]) : stateOf(state[slotState(slot)]) === EVICTED;
  }
}

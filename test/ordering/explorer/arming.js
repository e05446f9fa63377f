import { ATOMIC, act, change, load } from './steps.js';

/**
 * How a sleeper makes known that it sleeps: lib/channel/waiting/sleeper.ts #arm. Behind it is one more look, and then sleep. On x64 its
 * system call is also the fence of whoever wakes: each of those makes one, at some moment of its own before the call ends. (So
 * do all others; but that they are left out only lets them do more.)
 *
 * `registers`: ARMED is the sequence at which the bit was set last; NOW and FENCED (a bit for each thread) are of the arming
 * that goes on.
 */
export function armingSteps(scenario, name, alarm) {
  const { sleepers, sequence, kind, wakers, registers, onArmed } = alarm;
  const all = wakers.reduce((bits, thread) => bits | (1 << thread), 0);
  const { ARMED, NOW, FENCED } = registers;
  const isCount = scenario.defects.has('waiters a count');
  const fencesOthers = scenario.model === 'TSO' && !scenario.defects.has('no fence by who sleeps');
  const armed = (r) => {
    r[ARMED] = r[NOW];
    r[NOW] = r[FENCED] = 0;
    return onArmed(r);
  };
  const steps = {
    [`${name}: arm`]: load('sleeper.ts #arm', ATOMIC, sequence, (r, now) => {
      r[NOW] = now + 1;
      return r[ARMED] === r[NOW] && !isCount ? `${name}: does it stand` : `${name}: flag`;
    }),
    [`${name}: does it stand`]: load('sleeper.ts #arm', ATOMIC, sleepers, (r, who) => {
      if ((who & kind) === 0) return `${name}: flag`;
      r[NOW] = 0;
      return onArmed(r);
    }),
    [`${name}: flag`]: change(
      'sleeper.ts #arm, step 93',
      sleepers,
      (who) => (isCount ? who + 1 : who | kind),
      (r) => (fencesOthers ? `${name}: fence others` : armed(r)),
    ),
    [`${name}: fence others`]: act('sleeper.ts #arm, step 94: wake.cc FenceOthers', (machine, _thread, r) => {
      const { memory } = machine;
      const next = wakers.filter((waker) => (r[FENCED] & (1 << waker)) === 0 && memory.isDrained(waker));
      if (next.length === 0) return undefined;
      memory.choices = next.length;
      r[FENCED] |= 1 << next[memory.choice];
      return r[FENCED] === all ? armed(r) : `${name}: fence others`;
    }),
  };
  return { first: `${name}: arm`, steps };
}

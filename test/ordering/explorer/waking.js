import { ATOMIC, act, change, fence, load, PLAIN, store } from './steps.js';
import { BELL, FUTEX, ROOM_SEQUENCE, ROOM_WANTED, WAITERS, WAKE_SEQUENCE } from './words.js';

/** Which kinds of sleepers a wake is for: a register of a writer, and one of a reader. */
const WHO = 16;
const KINDS = 21;

/**
 * What a writer does behind each commit, batch and eviction: wakes those that sleep. WAITERS has a bit for each kind of
 * sleeper; it is a flag and no count, so that nothing is left of one that died.
 */
export function wakingSteps(scenario, then) {
  const { defects } = scenario;
  const isCount = defects.has('waiters a count');
  const wake = (r) => {
    if (defects.has('sequence without the wake')) return over(r);
    if ((r[WHO] & FUTEX) !== 0) return 'wake: futex';
    return (r[WHO] & BELL) !== 0 ? 'wake: bell' : over(r);
  };
  const over = (r) => {
    r[WHO] = 0;
    return then(r);
  };
  let afterLook = 'wake: take';
  if (defects.has('flag cleared after the bump')) afterLook = 'wake: sequence';
  if (defects.has('flag loaded and zeroed')) afterLook = 'wake: zero';
  const steps = {
    'wake: glance': load('appender.ts #commit, behind step 2', PLAIN, WAITERS, (r, who) =>
      who === 0 ? over(r) : 'wake: fence',
    ),
    'wake: fence': fence('waking.ts wakeSleepers', 'wake: look'),
    'wake: look': load('waking.ts wakeSleepers', ATOMIC, WAITERS, (r, who) => {
      if (who === 0) return over(r);
      r[WHO] = isCount ? FUTEX : who;
      return afterLook;
    }),
    'wake: take': change(
      'waking.ts wake, exchange',
      WAITERS,
      () => 0,
      (r, who) => {
        r[WHO] = isCount ? FUTEX : who;
        if (defects.has('flag cleared after the bump') || defects.has('wake without the sequence'))
          return wake(r);
        return 'wake: sequence';
      },
    ),
    'wake: zero': store('a defect', ATOMIC, WAITERS, 0, 'wake: sequence'),
    'wake: sequence': change(
      'waking.ts wake, step 90',
      WAKE_SEQUENCE,
      (sequence) => sequence + 1,
      (r) => (defects.has('flag cleared after the bump') ? 'wake: take' : wake(r)),
    ),
    'wake: futex': act('waking.ts wake, step 91', (machine, _thread, r) => {
      machine.wakeFutex(1, machine.threads.length);
      return (r[WHO] & BELL) !== 0 ? 'wake: bell' : over(r);
    }),
    'wake: bell': act('waking.ts wake, step 91', (machine, _thread, r) => {
      machine.ring(1, machine.threads.length);
      return over(r);
    }),
  };
  return { first: firstLook(scenario, 'wake'), steps };
}

/**
 * On x64 a plain look comes first, whose fence is the sleeper's; elsewhere whoever looks fences itself, and at once
 * (appender.ts #fencesItself). With no reordering a second look finds nothing new.
 */
function firstLook({ model }, name) {
  return { SC: `${name}: look`, TSO: `${name}: glance`, ARM: `${name}: fence` }[model];
}

/** What a reader does behind each position that it published: wakes a writer that sleeps for want of room. */
export function roomSteps(scenario, then) {
  const steps = {
    'room: glance': load('cursor.ts publishAgain, behind step 23', PLAIN, ROOM_WANTED, (r, who) =>
      who === 0 ? then(r) : 'room: fence',
    ),
    'room: fence': fence('waking.ts wakeSleepers', 'room: look'),
    'room: look': load('waking.ts wakeSleepers', ATOMIC, ROOM_WANTED, (r, who) =>
      who === 0 ? then(r) : 'room: take',
    ),
    'room: take': change(
      'waking.ts wake, exchange',
      ROOM_WANTED,
      () => 0,
      (r, who) => {
        r[KINDS] = who;
        return 'room: bump';
      },
    ),
    'room: bump': change('waking.ts wake, step 90', ROOM_SEQUENCE, (sequence) => sequence + 1, 'room: wake'),
    // The writer sleeps in one way only, so that one step wakes it.
    'room: wake': act('waking.ts wake, step 91', (machine, _thread, r) => {
      if ((r[KINDS] & FUTEX) !== 0) machine.wakeFutex(0, 1);
      if ((r[KINDS] & BELL) !== 0) machine.ring(0, 1);
      r[KINDS] = 0;
      return then(r);
    }),
  };
  return { first: firstLook(scenario, 'room'), steps };
}

import { ATOMIC, act, change, load, ofItsOwn, PLAIN, store, when } from './steps.js';
import { bodyAt, isStampedFor, LIMIT, lengthAt, TAIL, WAITERS, WAKE_SEQUENCE } from './words.js';
import { AT, GRANTED, LIFE, LIMIT_WORD, PUBLISHED } from './writer.js';

const LENGTH = 12;

/** A new writer over a dead one's channel: finds the end of what was committed, and goes on there with nothing granted. */
export function resumption(scenario, machine, next) {
  const { units, defects } = scenario;
  const walkOn = (r) => {
    if (r[AT] > r[LIMIT_WORD]) return machine.fail(`resume finds an end past limit, at ${r[AT]}`);
    return 'resume: length';
  };
  const found = (r) => {
    if (r[AT] !== machine.committedEnd) {
      return machine.fail(
        `resume takes ${r[AT]} for the end: records were committed up to ${machine.committedEnd}`,
      );
    }
    r[PUBLISHED] = r[AT];
    if (defects.has('limit lowered on resume')) r[LIMIT_WORD] = 0;
    if (defects.has('granted what limit says')) r[GRANTED] = r[LIMIT_WORD];
    return defects.has('tail not published on resume') ? wakeAll(r) : 'resume: publish';
  };
  const wakeAll = (r) => {
    if (!scenario.waking || defects.has('resume wakes nobody')) return next(r);
    return 'resume: take';
  };
  return {
    resume: ofItsOwn(
      when(
        'recovery.ts lockUnended: the lock is free once the dead one is gone',
        () => true,
        (r) => {
          r[LIFE] = 1;
          return 'resume: tail';
        },
      ),
    ),
    'resume: tail': ofItsOwn(
      load('recovery.ts recover', ATOMIC, TAIL, (r, tail) => {
        r[AT] = tail;
        return 'resume: limit';
      }),
    ),
    'resume: limit': ofItsOwn(
      load('recovery.ts recover', ATOMIC, LIMIT, (r, limit) => {
        r[LIMIT_WORD] = limit;
        if (limit < r[AT] || limit - r[AT] > units) {
          return machine.fail(`resume finds the limit ${limit} too far behind the tail ${r[AT]}`);
        }
        return 'resume: length';
      }),
    ),
    'resume: length': ofItsOwn(
      load(
        'recovery.ts walkToEnd',
        PLAIN,
        (r) => lengthAt(r[AT] % units),
        (r, length) => {
          if (length === 0) return found(r);
          r[LENGTH] = length;
          return 'resume: body';
        },
      ),
    ),
    'resume: body': ofItsOwn(
      load(
        'recovery.ts walkToEnd',
        PLAIN,
        (r) => bodyAt(r[AT] % units),
        (r, body) => {
          const length = r[LENGTH];
          r[LENGTH] = 0;
          if (!isStampedFor(body, r[AT]) || length > units - (r[AT] % units)) {
            return machine.fail(`resume finds damage at ${r[AT]}`);
          }
          r[AT] += length;
          return walkOn(r);
        },
      ),
    ),
    'resume: publish': store('recovery.ts publishRecovered, step 42', ATOMIC, TAIL, (r) => r[AT], wakeAll),
    'resume: take': change('waking.ts wakeEveryone, exchange', WAITERS, () => 0, 'resume: sequence'),
    'resume: sequence': change(
      'waking.ts wake, step 90',
      WAKE_SEQUENCE,
      (sequence) => sequence + 1,
      'resume: wake',
    ),
    'resume: wake': act('waking.ts wake, step 91', (_machine, _thread, r) => {
      machine.wakeFutex(1, machine.threads.length);
      machine.ring(1, machine.threads.length);
      return next(r);
    }),
  };
}

import { WRITER } from './machine.js';
import { ATOMIC, act, change, choose, load, PLAIN, store } from './steps.js';
import {
  EVICTED,
  FREE,
  GATING,
  lengthAt,
  nextState,
  REGISTRATION,
  slotPatience,
  slotState,
  stateOf,
} from './words.js';
import { LISTED, RELIEVED, STATE_SEEN, WANT } from './writer.js';

/**
 * What a writer does about readers that stand in its way: flow.ts #relieve. It frees the slot of one that died, and evicts one
 * that is past its patience, which may be at any time; here one of them at a time, whichever. Then it begins again.
 */
export function relievingSteps(scenario, machine, { isInTheWay, waitForRoom, evicted }) {
  const { units, defects } = scenario;
  const testsFirst = defects.has('lock tested before the state is loaded');
  const takesLock = defects.has('lock taken to free');
  const slotOf = (r) => slotState(r[RELIEVED]);
  const mayBeDead = scenario.deaths !== undefined && !defects.has('nobody is freed');
  const relievable = (r) =>
    machine.slots.all.filter(
      (slot) => isInTheWay(r, slot) && (mayBeDead || machine.state[slotPatience(slot)] !== 0),
    );
  /** Whether a compare-and-swap from the state that was loaded succeeds: table.ts changeSlot. */
  const isStill = (r, word, withoutGeneration) =>
    defects.has(withoutGeneration) ? stateOf(word) === GATING : word === r[STATE_SEEN];
  const isFreeable = (r, word) => isStill(r, word, 'freed without the generation');
  const isEvictable = (r, word) => isStill(r, word, 'evicted without the generation');
  const over = (r, next) => {
    r[RELIEVED] = r[STATE_SEEN] = 0;
    return next(r);
  };
  const again = () => 'load sequence';
  const freed = (r) => {
    machine.slots.judgeFreed(r[RELIEVED]);
    if (takesLock) return 'relieve: unlock';
    return defects.has('freed slot not counted') ? over(r, again) : 'relieve: count';
  };
  let first = testsFirst ? 'relieve: lock' : 'relieve: state';
  if (defects.has('evicted after overwriting')) first = 'overwrite early';

  const steps = {
    refused: choose(
      'flow.ts #relieve: time',
      (r) => 1 + relievable(r).length,
      (r, way) => {
        if (way === 0) return waitForRoom(r);
        r[RELIEVED] = relievable(r)[way - 1];
        return first;
      },
    ),
    'relieve: state': load('flow.ts #relieve', ATOMIC, slotOf, (r, word) => {
      if (stateOf(word) !== GATING) {
        if (defects.has('states not looked at')) return over(r, waitForRoom);
        r[LISTED] = 0;
        return over(r, again);
      }
      r[STATE_SEEN] = word;
      return testsFirst ? 'relieve: free' : 'relieve: lock';
    }),
    'relieve: lock': act('table.ts freeDeadSlot', (_machine, _thread, r) => {
      if (!defects.has('lock not tested') && machine.slots.isLocked(r[RELIEVED])) {
        return testsFirst ? over(r, waitForRoom) : 'relieve: patience';
      }
      if (takesLock) machine.slots.tryLock(WRITER, r[RELIEVED]);
      return testsFirst ? 'relieve: state' : 'relieve: free';
    }),
    'relieve: free': defects.has('freed by a store')
      ? store('a defect', ATOMIC, slotOf, (r) => nextState(r[STATE_SEEN], FREE), freed)
      : change(
          'table.ts freeDeadSlot, step 33',
          slotOf,
          (word, r) => (isFreeable(r, word) ? nextState(word, FREE) : word),
          (r, word) => {
            if (isFreeable(r, word)) return freed(r);
            return takesLock ? 'relieve: unlock' : 'relieve: patience';
          },
        ),
    'relieve: count': change(
      'table.ts freeDeadSlot, step 34',
      REGISTRATION,
      (sequence) => sequence + 1,
      (r) => over(r, again),
    ),
    'relieve: unlock': act('a defect', (_machine, _thread, r) => {
      machine.slots.unlock(WRITER, r[RELIEVED]);
      return over(r, again);
    }),
    'relieve: patience': load(
      'flow.ts #evict',
      ATOMIC,
      (r) => slotPatience(r[RELIEVED]),
      (r, patience) => (patience === 0 ? over(r, waitForRoom) : 'evict'),
    ),
    evict: change(
      'flow.ts #evict: table.ts changeSlot',
      slotOf,
      (word, r) => (isEvictable(r, word) ? nextState(word, EVICTED) : word),
      (r, word) => {
        if (!isEvictable(r, word)) return over(r, waitForRoom);
        machine.slots.judgeEvicted(r[RELIEVED]);
        return defects.has('eviction not counted') ? over(r, evicted) : 'count eviction';
      },
    ),
    'count eviction': change(
      'flow.ts #evict, step 32',
      REGISTRATION,
      (sequence) => sequence + 1,
      (r) => over(r, evicted),
    ),
    'overwrite early': store('a defect', PLAIN, (r) => lengthAt((r[WANT] - 1) % units), 0, 'relieve: state'),
  };
  return { refused: (r) => (relievable(r).length > 0 ? 'refused' : waitForRoom(r)), steps };
}

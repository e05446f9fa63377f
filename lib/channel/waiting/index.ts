export { Awake } from './awake.js';
export { checkIdle, type Idle, type IdleStrategy, type Idling, strategyOf } from './idle.js';
export { RecordIterator, type Source } from './iteration.js';
export { Line } from './line.js';
export { ROUNDS_FOR_RECORDS, ROUNDS_FOR_ROOM } from './rounds.js';
export { Sleeper, type WaitStats } from './sleeper.js';
export {
  type Limits,
  type Look,
  limitsFromNow,
  type Task,
  throwIfAborted,
  throwIfOver,
  type WaitOptions,
  waitBlocked,
  waitOptions,
  waitUntil,
  within,
} from './waiting.js';
export { ARRIVAL, fencesItself, ROOM, wakeEveryone, wakeSleepers } from './waking.js';

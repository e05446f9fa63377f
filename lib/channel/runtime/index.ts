export { forget, onAbort } from './aborting.js';
export { disk, syncFile } from './disk.js';
export { environment } from './environment.js';
export { every } from './every.js';
export { outside } from './outside.js';
export { Pace, type Rates } from './pace.js';
export { absolutePath, shmPath } from './paths.js';
export { atOnce, type InSlices, inTurns, SLICE_BYTES } from './slices.js';
export { Stopwatch, type Times } from './stopwatch.js';
export {
  alreadyThere,
  explain,
  factsOf,
  isOutOfSpace,
  isRam,
  isUnlooked,
  isUnopened,
  refuseFileSystem,
} from './system.js';
export { checkLogger, type Logger, Teller, throwLater } from './teller.js';
export { timeInUs, type When } from './time.js';
export {
  isTurnDue,
  isTurnOver,
  LEAST_RECORDS_A_BATCH,
  nextTurn,
  TurnClock,
  turn,
  turnBegins,
} from './turns.js';

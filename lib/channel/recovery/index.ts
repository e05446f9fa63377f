export { abandoning, declareAbandoned } from './abandon.js';
export { Checker, isTrueFrame } from './checksums.js';
export { frameRemains, isCutOff, syncedBehind } from './cut-off.js';
export { damaged, kindAt, plausibleLength, truncated } from './damage.js';
export { heal, refuseUnhealable } from './healing.js';
export { countedTail } from './known.js';
export { nextIntact } from './next-intact.js';
export {
  lockUnended,
  lockWriter,
  neverAgain,
  publishRecovered,
  type Recovered,
  recover,
  recoverable,
  type Start,
  storeEnd,
  sumUnflushed,
} from './recovery.js';
export { refuseSegment } from './segment.js';
export { setMissingMarks } from './unmarked.js';

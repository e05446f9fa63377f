export { isBroken } from './damage.js';
export {
  CURSORS_FILE,
  CURSORS_REPLACEMENT,
  Directory,
  diskBytes,
  factsOf,
  indexOfRecord,
  isInPlace,
  LOCK_FILE,
  noLog,
  type SegmentFacts,
  type SegmentFile,
  strayError,
  syncNames,
} from './directory.js';
export {
  durableEnd,
  firstDoubtful,
  isAllDurable,
  isOpen,
  isProvenBy,
  isSyncedLater,
  isUnwritten,
  lastSynced,
  logOfMost,
  refuseLaterSegment,
  segmentInfo,
} from './durable.js';
export { HALT } from './halt.js';
export { openIfThere } from './if-there.js';
export {
  COMPACTION_BYTE,
  isLocked,
  isOfLaterVersion,
  LockFile,
  refuseOtherLog,
  refuseTakenPlace,
  SEGMENTS_BYTE,
  saysShared,
  TURN_BYTE,
  tryLock,
  WRITER_BYTE,
  writerActive,
} from './lock-file.js';
export { DEFAULT_FILE_MODE, keepOwner } from './ownership.js';
export { beginAnew, rewriteSegment } from './rewrite.js';
export {
  factsIn,
  hasFrames,
  type KnownFacts,
  type LostOffsets,
  type Neighbours,
  putIntact,
  SalvagedFrames,
} from './salvaging.js';
export {
  endOf,
  knownEndOf,
  lastBefore,
  maxTimeOf,
  nextAt,
  nextBefore,
  nextBehind,
  wholeBefore,
} from './segment-end.js';
export { walkFrames } from './segment-walk.js';
export { type SetAside, SetAsideFolder } from './set-aside.js';
export { isPassedOver, isStray, NOT_OF_LOG } from './strays.js';
export { hasAppender, type TurnFacts, Turns } from './turns.js';

export { Flow } from './flow.js';
export {
  type Beating,
  beat,
  endedAs,
  heart,
  isOfThisBoot,
  isReleased,
  lastBeat,
  type Standing,
  type Status,
  StatusWatch,
  signAsReleased,
  signAsWriter,
  WriterWatch,
  writerStatus,
} from './liveness.js';
export { gateFrom } from './registration.js';
export {
  claimSlot,
  evictAgain,
  isEvicted,
  isGating,
  listReaders,
  noReaderSlot,
  noteLoss,
  observeFrom,
  type ReaderInfo,
  releaseSlot,
  SLOT_POSITION,
  slotWord,
} from './table.js';

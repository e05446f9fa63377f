export { CursorMover, type Stood } from './cursor-mover.js';
export { FrameReader } from './frame-reader.js';
export { iterate, iterateBatches } from './iteration.js';
export {
  type BatchesOptions,
  checkBatchesOptions,
  checkReadOptions,
  knownEnd,
  type ReadOptions,
  type RecordSource,
  sourceOf,
} from './reading.js';
export { Tail, type ValueHandler } from './tail.js';
export { type LogWhere, type TailOptions, tailSettings } from './tail-options.js';

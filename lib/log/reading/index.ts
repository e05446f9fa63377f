export { FrameReader } from './frame-reader.js';
export {
  type BatchesOptions,
  checkReadOptions,
  iterate,
  iterateBatches,
  knownEnd,
  type ReadOptions,
  type RecordSource,
  sourceOf,
} from './reading.js';
export { type LogWhere, Tail, type TailOptions, tailSettings, type ValueHandler } from './tail.js';

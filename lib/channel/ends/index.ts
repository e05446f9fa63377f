export { checkReaderOptions, type ReaderOptions } from './joining.js';
export {
  lookAhead,
  type PollOptions,
  Reader,
  type ReaderEvents,
  type ReaderStats,
  readsFile,
} from './reader.js';
export { Writer } from './writer.js';
export type { WriterStats } from './writer-figures.js';
export type { WriterOptions, WritingOptions } from './writing.js';

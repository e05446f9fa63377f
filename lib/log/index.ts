export type { Rates, Times } from '../channel/index.js';
export type { CursorInfo, CursorSetOptions, NamedCursor } from './cursors/index.js';
export type { LostOffsets, SetAside } from './files/index.js';
export { Log, type SegmentInfo } from './log.js';
export type { LogRecovery } from './opening/index.js';
export { type Compaction, DEFAULT_SEGMENT, type LogOptions, type Retention } from './options.js';
export type {
  BatchesOptions,
  LogWhere,
  ReadOptions,
  Tail,
  TailOptions,
  ValueHandler,
} from './reading/index.js';
export type { HeadersInput, LogRecord, LogRecordInput } from './records/index.js';
export type { LogFault, LogRepair, LogVerification } from './repair/index.js';
export type { LogStats } from './stats.js';
export type { Compacted, CompactOptions } from './upkeep/index.js';
export type { Appendable } from './writing/index.js';

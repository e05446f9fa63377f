export { type Appendable, Log, type LogStats, type SegmentInfo } from './log.js';
export type { CursorInfo, CursorSetOptions, NamedCursor } from './named-cursor.js';
export type { LogOptions, Retention } from './options.js';
export type { BatchesOptions, ReadOptions } from './reading.js';
export type { HeadersInput, LogRecord, LogRecordInput } from './record.js';
export type { LogRecovery } from './recovery.js';
export type { SetAside } from './set-aside.js';
export type { LogWhere, Tail, TailOptions, ValueHandler } from './tail.js';

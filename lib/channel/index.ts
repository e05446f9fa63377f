export { declareAbandoned } from './abandon.js';
export type { Claim } from './claim.js';
export {
  type Codec,
  json,
  jsonOf,
  type Sequenced,
  sequenced,
  type Timestamped,
  timestamped,
  utf8,
} from './codecs.js';
export type { ChannelOptions } from './create.js';
export type { RecordHandler } from './cursor.js';
export type { BatchRecord, Data, RecordOptions } from './data.js';
export type { Sync } from './durability.js';
export type { Idle, IdleStrategy, Idling } from './idle.js';
export { type ChannelInfo, inspect } from './inspect.js';
export type { ReaderOptions } from './joining.js';
export type { Status } from './liveness.js';
export { type ManyHandler, ManyReader, type ManyRecord } from './many/many-reader.js';
export { openAll } from './many/open-all.js';
export type { ManyOptions } from './many/options.js';
export type { ManySource } from './many/source.js';
export { shmPath } from './paths.js';
export { type PollOptions, Reader, type ReaderEvents, type ReaderStats } from './reader.js';
export type { ReaderRecord } from './record.js';
export { Refusal } from './refusal.js';
export type { Recovery } from './resume.js';
export type { Where } from './seek.js';
export type { WaitStats } from './sleeper.js';
export type { ReaderInfo } from './table.js';
export type { Logger } from './teller.js';
export type { When } from './time.js';
export { type Fault, type Verification, type VerifyOptions, verify } from './verify.js';
export type { WaitOptions } from './waiting.js';
export { Writer } from './writer.js';
export type { WriterOptions, WriterStats, WritingOptions } from './writing.js';

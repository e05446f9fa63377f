export { declareAbandoned } from './abandon.js';
// For the layers above; not of the package's face.
export type { Link } from './appender.js';
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
export { Copier, partOf } from './copier.js';
export { checkDirectory, freeBytes, takeName } from './create.js';
export type { RecordHandler } from './cursor.js';
export { areBytes, type BatchRecord, type Data, type DescribedRecord, type RecordOptions } from './data.js';
export type { ChannelOptions } from './design.js';
export { disk } from './disk.js';
export type { Sync } from './durability.js';
export { environment } from './environment.js';
export { headerRemains } from './header-remains.js';
export type { Idle, IdleStrategy, Idling } from './idle.js';
export { checkIdle } from './idle.js';
export { type ChannelInfo, inspect } from './inspect.js';
export { RecordIterator, type Source } from './iteration.js';
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
export { Salvage, type Salvaged } from './salvage.js';
export type { Where } from './seek.js';
export { SegmentMappings } from './segment-mappings.js';
export { SegmentReader, type SegmentReaderOptions } from './segment-reader.js';
export { examineSealed, provesSync, type SegmentRemains, syncSealed } from './segment-remains.js';
export { asOfSegment, wrongHeader } from './segment-words.js';
export { largestInSegment, type SegmentDesign, SegmentWriter, segmentBytes } from './segment-writer.js';
export type { WaitStats } from './sleeper.js';
export { explain, isOutOfSpace, isShortOfFiles, noSpace, refuseFileSystem } from './system.js';
export type { ReaderInfo } from './table.js';
export type { Logger } from './teller.js';
export { checkLogger, Teller } from './teller.js';
export type { When } from './time.js';
export { timeInUs } from './time.js';
export { isTurnOver, turn } from './turns.js';
export {
  checkVerifyOptions,
  type Fault,
  type SeeRecord,
  type Verification,
  type VerifyOptions,
  verify,
  verifyRecords,
} from './verify.js';
export type { WaitOptions } from './waiting.js';
export { type Limits, limitsFromNow, throwIfAborted, waitOptions, waitUntil, within } from './waiting.js';
export { join, loadAcquire, storeRelease, writeFrozen } from './words.js';
export { Writer } from './writer.js';
export type { WriterOptions, WriterStats, WritingOptions } from './writing.js';

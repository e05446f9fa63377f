export {
  type EncodedRecord,
  MAX_COUNT,
  packAll,
  packedHead,
  type UnpackHandler,
  unpack,
  unpackEach,
} from './packing.js';
export {
  EXPIRES,
  frameBytes,
  type HeadersInput,
  hasChecksum,
  hasExpired,
  KEY,
  type LogRecord,
  type LogRecordInput,
  MAX_TTL_MS,
  PACKED,
  TOMBSTONE,
} from './record.js';
export { decodeRecord, fromPool, NO_KEY, RecordParts } from './record-decoder.js';
export { NO_TIME, RecordEncoder } from './record-encoder.js';
export { type FrameLook, lookAtFrame } from './record-look.js';

import { MillraceError } from '../../errors.js';
import { binding } from '../../native.js';
import * as L from '../layout.js';
import type { SyncLevel } from './durability.js';
import { readFrozen, writeFrozen } from './words.js';

export type Mode = 'ring' | 'linear';

/** The static part of a channel: decided when it is made, the same for ever after. */
export interface Header {
  mode: Mode;
  capacity: number;
  dataOffset: number;
  /** 16, or 32 where frames carry a timestamp and a tag. */
  frameHeader: number;
  readersOffset: number;
  readerSlots: number;
  metadataOffset: number;
  marksOffset: number;
  markCount: number;
  markStride: number;
  maxRecord: number;
  /** Whether frames carry a checksum, filled in after they were written. */
  checksums: boolean;
  sync: SyncLevel;
  basePosition: number;
  baseRecord: number;
  heartbeatMs: number;
  stalledAfterMs: number;
  channelId: Buffer;
  incarnation: number;
  createdUs: number;
  creatorPid: number;
  creatorStart: number;
  bootId: Buffer;
  metadata: Record<string, unknown>;
}

export const MAGIC: Buffer = Buffer.from('MILLRACE', 'latin1');

/** Nothing larger can be a channel, so nothing larger is mapped to find out. */
export const MAX_FILE_BYTES =
  L.MAX_CAPACITY +
  roundUp(L.HEADER_BYTES + L.MAX_READER_SLOTS * L.SLOT_BYTES + L.METADATA_BYTES + 2 ** 24, L.DATA_ALIGN);

/** A record takes at most this part of a linear channel. */
export const LARGEST_PART = 4;

/** Where the parts of a channel of this mode, capacity and reader table lie. */
export function planFile(mode: Mode, capacity: number, readerSlots: number) {
  const markStride = Math.min(L.MAX_MARK_STRIDE, floorTo(capacity / 16, L.FRAME_ALIGN));
  const markCount = Math.ceil(capacity / markStride);
  const readersOffset = L.HEADER_BYTES;
  const metadataOffset = readersOffset + readerSlots * L.SLOT_BYTES;
  const marksOffset = metadataOffset + L.METADATA_BYTES;
  const dataOffset = roundUp(marksOffset + markCount * L.MARK_BYTES, L.DATA_ALIGN);
  const largest = mode === 'ring' ? capacity / 8 : capacity / LARGEST_PART;
  return { readersOffset, metadataOffset, marksOffset, markCount, markStride, dataOffset, largest };
}

export function encodeHeader(bytes: Buffer, header: Header): void {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, L.HEADER_BYTES >> 2);
  MAGIC.copy(bytes, L.MAGIC_OFFSET);
  words[L.FORMAT_MAJOR_OFFSET >> 2] = L.FORMAT_MAJOR;
  words[L.FORMAT_MINOR_OFFSET >> 2] = L.FORMAT_MINOR;
  words[L.ENDIAN_OFFSET >> 2] = L.ENDIAN_TAG;
  header.channelId.copy(bytes, L.CHANNEL_ID_OFFSET);
  words[L.INCARNATION_OFFSET >> 2] = header.incarnation;
  words[L.MODE_OFFSET >> 2] = header.mode === 'ring' ? L.MODE_RING : L.MODE_LINEAR;
  words[L.FRAME_HEADER_OFFSET >> 2] = header.frameHeader;
  words[L.CHECKSUM_KIND_OFFSET >> 2] = header.checksums ? L.CHECKSUM_CRC32C : L.CHECKSUM_NONE;
  writeFrozen(words, L.CREATED_OFFSET >> 2, header.createdUs);
  words[L.CAPACITY_OFFSET >> 2] = header.capacity;
  words[L.DATA_OFFSET_OFFSET >> 2] = header.dataOffset;
  words[L.READERS_OFFSET_OFFSET >> 2] = header.readersOffset;
  words[L.READER_SLOTS_OFFSET >> 2] = header.readerSlots;
  words[L.METADATA_OFFSET_OFFSET >> 2] = header.metadataOffset;
  words[L.MARKS_OFFSET_OFFSET >> 2] = header.marksOffset;
  words[L.MARK_COUNT_OFFSET >> 2] = header.markCount;
  words[L.MARK_STRIDE_OFFSET >> 2] = header.markStride;
  words[L.MAX_RECORD_OFFSET >> 2] = header.maxRecord;
  writeFrozen(words, L.BASE_POSITION_OFFSET >> 2, header.basePosition);
  writeFrozen(words, L.BASE_RECORD_OFFSET >> 2, header.baseRecord);
  words[L.HEARTBEAT_MS_OFFSET >> 2] = header.heartbeatMs;
  words[L.STALLED_AFTER_MS_OFFSET >> 2] = header.stalledAfterMs;
  words[L.CREATOR_PID_OFFSET >> 2] = header.creatorPid;
  writeFrozen(words, L.CREATOR_START_OFFSET >> 2, header.creatorStart);
  header.bootId.copy(bytes, L.BOOT_ID_OFFSET);
  words[L.SYNC_KIND_OFFSET >> 2] = header.sync.kind;
  words[L.SYNC_MS_OFFSET >> 2] = header.sync.everyMs;
  words[L.SYNC_BYTES_OFFSET >> 2] = header.sync.everyBytes;
  const metadata = encodeMetadata(header.metadata);
  words[L.METADATA_LENGTH_OFFSET >> 2] = metadata.length;
  metadata.copy(bytes, header.metadataOffset);
  words[L.STATIC_CRC_OFFSET >> 2] = staticCrc(bytes, header.metadataOffset);
}

export function encodeMetadata(metadata: Record<string, unknown>): Buffer {
  return Object.keys(metadata).length === 0 ? Buffer.alloc(0) : Buffer.from(JSON.stringify(metadata));
}

/** CRC32C of the static part, its own word taken as 0, and of the whole metadata area. */
function staticCrc(bytes: Buffer, metadataOffset: number): number {
  const head = Buffer.from(bytes.subarray(0, L.STATIC_BYTES));
  head.writeInt32LE(0, L.STATIC_CRC_OFFSET);
  const crc = binding().crc32c(head, 0, head.length, 0);
  return binding().crc32c(bytes, metadataOffset, metadataOffset + L.METADATA_BYTES, crc);
}

/** Reads the static part. Nothing in the file is believed before its checksum held. */
export function decodeHeader(bytes: Buffer, path: string): Header {
  const header = decodeStatic(bytes, path);
  const expected = header.dataOffset + header.capacity;
  if (bytes.length < expected) {
    throw new MillraceError('ERR_TRUNCATED', `${path} has ${bytes.length} bytes of ${expected}`, {
      path,
      size: bytes.length,
      expected,
    });
  }
  if (bytes.length > expected) throw damagedHeader(path);
  return header;
}

/** The same of a file that may be shorter or longer than it should be. */
export function decodeStatic(bytes: Buffer, path: string): Header {
  const magic = bytes.subarray(0, MAGIC.length);
  if (!magic.equals(MAGIC.subarray(0, magic.length))) {
    throw new MillraceError('ERR_FORMAT', `${path} is not a Millrace channel`, { path });
  }
  if (bytes.length < L.HEADER_BYTES) {
    throw new MillraceError('ERR_TRUNCATED', `${path} ends within its header, after ${bytes.length} bytes`, {
      path,
      size: bytes.length,
      expected: L.HEADER_BYTES,
    });
  }
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, L.HEADER_BYTES >> 2);
  refuseUnknownFormat(words, path);
  const metadataOffset = words[L.METADATA_OFFSET_OFFSET >> 2];
  const metadataLength = words[L.METADATA_LENGTH_OFFSET >> 2];
  const metadataEnd = metadataOffset + L.METADATA_BYTES;
  if (metadataOffset < L.HEADER_BYTES || metadataOffset > MAX_FILE_BYTES) throw damagedHeader(path);
  if (metadataEnd > bytes.length) {
    throw new MillraceError('ERR_TRUNCATED', `${path} ends within its metadata`, {
      path,
      size: bytes.length,
      expected: metadataEnd,
    });
  }
  if (staticCrc(bytes, metadataOffset) !== words[L.STATIC_CRC_OFFSET >> 2]) throw damagedHeader(path);
  if (metadataLength < 0 || metadataLength > L.METADATA_BYTES) throw damagedHeader(path);
  const header: Header = {
    mode: decodeMode(words, path),
    capacity: words[L.CAPACITY_OFFSET >> 2],
    dataOffset: words[L.DATA_OFFSET_OFFSET >> 2],
    frameHeader: words[L.FRAME_HEADER_OFFSET >> 2],
    readersOffset: words[L.READERS_OFFSET_OFFSET >> 2],
    readerSlots: words[L.READER_SLOTS_OFFSET >> 2],
    metadataOffset,
    marksOffset: words[L.MARKS_OFFSET_OFFSET >> 2],
    markCount: words[L.MARK_COUNT_OFFSET >> 2],
    markStride: words[L.MARK_STRIDE_OFFSET >> 2],
    maxRecord: words[L.MAX_RECORD_OFFSET >> 2],
    checksums: words[L.CHECKSUM_KIND_OFFSET >> 2] === L.CHECKSUM_CRC32C,
    sync: {
      kind: words[L.SYNC_KIND_OFFSET >> 2],
      everyMs: words[L.SYNC_MS_OFFSET >> 2],
      everyBytes: words[L.SYNC_BYTES_OFFSET >> 2],
    },
    basePosition: readFrozen(words, L.BASE_POSITION_OFFSET >> 2),
    baseRecord: readFrozen(words, L.BASE_RECORD_OFFSET >> 2),
    heartbeatMs: words[L.HEARTBEAT_MS_OFFSET >> 2],
    stalledAfterMs: words[L.STALLED_AFTER_MS_OFFSET >> 2],
    channelId: Buffer.from(bytes.subarray(L.CHANNEL_ID_OFFSET, L.CHANNEL_ID_OFFSET + 16)),
    incarnation: words[L.INCARNATION_OFFSET >> 2],
    createdUs: readFrozen(words, L.CREATED_OFFSET >> 2),
    creatorPid: words[L.CREATOR_PID_OFFSET >> 2],
    creatorStart: readFrozen(words, L.CREATOR_START_OFFSET >> 2),
    bootId: Buffer.from(bytes.subarray(L.BOOT_ID_OFFSET, L.BOOT_ID_OFFSET + 16)),
    metadata: decodeMetadata(bytes.subarray(metadataOffset, metadataOffset + metadataLength), path),
  };
  refuseImpossible(header, path);
  return header;
}

/** Whether a later version wrote it, and not only a bit of it is wrong: what it says of itself has its checksum. */
export function isOfLaterFormat(bytes: Buffer): boolean {
  if (bytes.length < L.HEADER_BYTES) return false;
  const metadataOffset = bytes.readUInt32LE(L.METADATA_OFFSET_OFFSET);
  return (
    bytes.subarray(0, MAGIC.length).equals(MAGIC) &&
    bytes.readInt32LE(L.ENDIAN_OFFSET) === L.ENDIAN_TAG &&
    (bytes.readInt32LE(L.FORMAT_MAJOR_OFFSET) !== L.FORMAT_MAJOR ||
      bytes.readInt32LE(L.INCOMPATIBLE_OFFSET) !== 0) &&
    metadataOffset + L.METADATA_BYTES <= bytes.length &&
    staticCrc(bytes, metadataOffset) === bytes.readInt32LE(L.STATIC_CRC_OFFSET)
  );
}

function refuseUnknownFormat(words: Int32Array, path: string): void {
  if (words[L.ENDIAN_OFFSET >> 2] !== L.ENDIAN_TAG) throw damagedHeader(path);
  const major = words[L.FORMAT_MAJOR_OFFSET >> 2];
  if (major !== L.FORMAT_MAJOR) {
    throw new MillraceError(
      'ERR_FORMAT',
      `${path} has format ${major}; this version of Millrace reads format ${L.FORMAT_MAJOR}`,
      { path, format: major },
    );
  }
  const unknown = words[L.INCOMPATIBLE_OFFSET >> 2];
  if (unknown !== 0) {
    throw new MillraceError(
      'ERR_FORMAT',
      `${path} uses features this version of Millrace does not know (0x${(unknown >>> 0).toString(16)})`,
      { path, features: unknown >>> 0 },
    );
  }
}

function decodeMode(words: Int32Array, path: string): Mode {
  const mode = words[L.MODE_OFFSET >> 2];
  const known = mode === L.MODE_RING || mode === L.MODE_LINEAR;
  const checksum = words[L.CHECKSUM_KIND_OFFSET >> 2];
  const summed = checksum === L.CHECKSUM_NONE || checksum === L.CHECKSUM_CRC32C;
  if (!known || !summed) throw damagedHeader(path);
  return mode === L.MODE_RING ? 'ring' : 'linear';
}

/** The checksum held, so these can only fail for a file that some other program made, or made to harm. */
function refuseImpossible(header: Header, path: string): void {
  const { mode, capacity, readerSlots, frameHeader, maxRecord, sync } = header;
  const least = mode === 'ring' ? L.MIN_RING_CAPACITY : L.MIN_LINEAR_CAPACITY;
  if (capacity < least || capacity > L.MAX_CAPACITY || readerSlots < 0 || readerSlots > L.MAX_READER_SLOTS) {
    throw damagedHeader(path);
  }
  const plan = planFile(mode, capacity, readerSlots);
  const asPlanned =
    header.readersOffset === plan.readersOffset &&
    header.metadataOffset === plan.metadataOffset &&
    header.marksOffset === plan.marksOffset &&
    header.markCount === plan.markCount &&
    header.markStride === plan.markStride &&
    header.dataOffset === plan.dataOffset &&
    (mode === 'ring' ? (capacity & (capacity - 1)) === 0 : capacity % 4096 === 0);
  const framed = frameHeader === L.FRAME_HEADER || frameHeader === L.FRAME_HEADER_EXTENDED;
  if (!asPlanned || !framed || maxRecord < 0 || maxRecord > plan.largest) throw damagedHeader(path);
  const synced = sync.kind >= L.SYNC_NONE && sync.kind <= (mode === 'ring' ? L.SYNC_NONE : L.SYNC_COMMIT);
  if (!synced || sync.everyMs < 0 || sync.everyBytes < 0) throw damagedHeader(path);
  if (header.basePosition % L.FRAME_ALIGN !== 0 || !isCountable(header)) throw damagedHeader(path);
}

/** Whether all positions and record numbers that there may be in the first capacity of it are exact. */
export function isCountable({ basePosition, baseRecord, capacity }: Header): boolean {
  return Number.isSafeInteger(basePosition + capacity) && Number.isSafeInteger(baseRecord + capacity);
}

function decodeMetadata(json: Buffer, path: string): Record<string, unknown> {
  if (json.length === 0) return {};
  let metadata: unknown;
  try {
    metadata = JSON.parse(json.toString('utf8'));
  } catch (cause) {
    throw new MillraceError('ERR_FORMAT', `The metadata of ${path} is not JSON`, { path, cause });
  }
  if (isMetadata(metadata)) return metadata;
  throw new MillraceError('ERR_FORMAT', `The metadata of ${path} is no JSON object`, { path });
}

export function isMetadata(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function damagedHeader(path: string): MillraceError {
  return new MillraceError('ERR_FORMAT', `The header of ${path} is damaged`, { path });
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function floorTo(value: number, multiple: number): number {
  return Math.floor(value / multiple) * multiple;
}

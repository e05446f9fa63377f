import { environment, type When } from '../../channel/index.js';
import { MillraceError } from '../../errors.js';

/** Headers going in: by name, or as pairs, whose order is kept and whose names may come several times. */
export type HeadersInput =
  | Readonly<Record<string, Uint8Array | string>>
  | readonly (readonly [name: string, value: Uint8Array | string])[];

/** A record as it is appended. Strings become UTF-8. */
export interface LogRecordInput {
  /** For compaction, and yours. */
  key?: Uint8Array | string | undefined;
  /** null: what had this key is gone. */
  value: Uint8Array | string | null;
  /** By name, or as pairs, whose order is kept and whose names may come several times. */
  headers?: HeadersInput | undefined;
  /** Default: now. */
  timestamp?: When | undefined;
  /** It is not handed out any more once so many milliseconds have passed since its timestamp. */
  ttlMs?: number | undefined;
}

/** A record as it is read. What is in it is a copy, to keep. */
export interface LogRecord {
  offset: number;
  /** Microseconds since 1970. */
  timestamp: number;
  /** Not there where it was given none. */
  key?: Buffer;
  /** Empty where the record is a tombstone. */
  value: Buffer;
  /** In the order in which they were given, and not there where there were none. */
  headers?: [name: string, value: Buffer][];
  /** Microseconds since 1970; not there where it does not expire. */
  expiresAt?: number;
  /** What had this key is gone. */
  tombstone?: true;
}

/** Whether what expires then is not to be handed out any more. Who has no time to live pays for no look at the clock. */
export function hasExpired(expiresAtUs: number = Number.POSITIVE_INFINITY): boolean {
  return expiresAtUs !== Number.POSITIVE_INFINITY && expiresAtUs <= environment.nowUs();
}

// What a frame's type says of its payload: which parts it has, in this order, before the value.
export const EXPIRES = 1;
export const KEY = 2;
export const HEADERS = 4;
export const TOMBSTONE = 8;
/** All that a record by itself may have. */
export const PARTS = EXPIRES | KEY | HEADERS | TOMBSTONE;
/** The payload is no record but several of them, compressed. */
export const PACKED = 16;

/** More of them mean no harm to a segment, but much to the memory of who reads the record. */
export const MAX_HEADERS = 65536;

/** A hundred years: beyond that nobody means what they say. */
export const MAX_TTL_MS = 3_155_760_000_000;

const FRAME_HEADER = 32;
const CRC_OFFSET = 12;

/** How much of a segment a payload of that length takes. */
export function frameBytes(length: number): number {
  return (length + FRAME_HEADER + 15) & -16;
}

/** Whether the frame whose payload begins there has its checksum: its writer stores it some time later than the frame. */
export function hasChecksum(bytes: Buffer, payload: number): boolean {
  return bytes.readInt32LE(payload - FRAME_HEADER + CRC_OFFSET) !== 0;
}

export function corruptRecord(offset: number, what: string): MillraceError {
  return new MillraceError('ERR_CORRUPT', `Record ${offset} is damaged: ${what}`, { offset });
}

export function unknownType(offset: number, type: number): MillraceError {
  return new MillraceError(
    'ERR_FORMAT',
    `Record ${offset} is of type ${type}, which this version of Millrace does not know`,
    { offset, type },
  );
}
